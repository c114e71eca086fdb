"""Galaxies with one mixture of populations: the image's colours are the spectrum's."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.joint import GalaxySpectra, JointSimulation
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.joint.spectra import noise_free_spectra, noise_of, sample_wavelengths
from galaxy_lvm.simulation.physics import magnitudes, nanomaggies
from galaxy_lvm.simulation.populations import MIXTURE_COLUMNS, populations
from galaxy_lvm.simulation.survey import class_labels, simulate_cutout, simulate_survey
from galaxy_lvm.spectra.store import SpectrumStore
from galaxy_lvm.survey.store import CutoutStore

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import simulate_galaxy_spectra  # noqa: E402
import simulate_populations  # noqa: E402

ALONE = Mock(n_galaxies=16, neighbour_density_per_arcmin2=0, star_density_per_arcmin2=0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("populations")
    cutouts, spectra = folder / "cutouts.h5", folder / "spectra.h5"
    simulate_populations.main(cutouts, ALONE, 40, SpectrumSplits(), 1)
    simulate_galaxy_spectra.main(cutouts, spectra, JointSimulation(), 1)
    return cutouts, spectra


def synthetic_magnitude(wave, flux_nanomaggies, name):
    """AB magnitude through DECam's band, by its definition, from the kept curve."""
    folder = Path(simulate_populations.__file__).parent / "galaxy_lvm" / "simulation"
    with np.load(folder / "stellar_mixtures.npz") as kept:
        passed = np.interp(wave, kept[f"{name}_wave"], kept[f"{name}_pass"], left=0, right=0)
    per_photon = passed / wave
    return magnitudes(np.trapezoid(flux_nanomaggies * per_photon, wave, axis=1)
                      / np.trapezoid(per_photon, wave))  # fmt: skip


def test_the_spectrum_has_the_colours_that_are_measured_on_the_image():
    """Of g, r and z: on frames without noise and neighbours, with the spectrum to 10200 A."""
    frames, rows = zip(
        *(
            simulate_cutout(k, label, ALONE, 3, noise=False, with_population=True)
            for k, label in enumerate(class_labels(ALONE, 3))
        ),
        strict=True,
    )
    table = pd.DataFrame(rows)
    measured = magnitudes(np.stack(frames).sum(axis=(2, 3), dtype=float))
    wave = np.geomspace(3600, 10300, 2000)
    flux = noise_free_spectra(table, wave)
    spectral = np.stack([synthetic_magnitude(wave, flux, band) for band in "grz"], axis=1)
    assert np.diff(spectral) == pytest.approx(np.diff(measured), abs=0.012)
    assert np.ptp(np.diff(measured)[:, 0]) > 0.3  # they are no single colour
    # Light beyond the frame is all that the magnitudes themselves may lack.
    assert spectral[:, 1] == pytest.approx(table["mag_r"], abs=0.003)


def test_a_population_changes_the_colours_of_a_galaxy_and_nothing_else():
    plain, row = simulate_cutout(5, "spiral", ALONE, 3, noise=False)
    mixed, with_it = simulate_cutout(5, "spiral", ALONE, 3, noise=False, with_population=True)
    assert mixed[1] == pytest.approx(plain[1], rel=1e-5)
    kept = [key for key in row if key not in ("flux_g", "flux_z", "mag_g", "mag_z")]
    assert {key: with_it[key] for key in kept} == {key: row[key] for key in kept}
    assert abs(with_it["mag_g"] - row["mag_g"]) < 0.2
    ratio = mixed[0].sum() / plain[0].sum()
    assert ratio == pytest.approx(with_it["flux_g"] / row["flux_g"], rel=1e-4)
    # Sum over templates of what is formed is all that is formed.
    assert sum(with_it[name] for name in MIXTURE_COLUMNS) == pytest.approx(1)


def test_a_redshift_moves_lines_and_keeps_bands_and_spectrum_together():
    known = populations()
    mixture = np.array([[0.0, 1.0, 0.0, 0.0, 0.0]])  # young: strong lines
    wave = np.geomspace(3600, 10300, 8000)
    for z in (0.0, 0.1, 0.3):
        flux = known.spectra(mixture, np.array([z]), wave)
        near = np.abs(wave / (1 + z) - 5008) < 60
        assert wave[near][flux[0, near].argmax()] / (1 + z) == pytest.approx(5008, abs=5)
        bands = -2.5 * np.log10(mixture[0] @ known.band_fluxes(z))
        spectral = [synthetic_magnitude(wave, flux, b)[0] - 22.5 for b in "grz"]
        assert spectral == pytest.approx(bands, abs=0.003)
    with pytest.raises(DataError, match="redshift 1.5: the templates have"):
        known.spectra(mixture, np.array([1.5]), wave)


def test_old_mixtures_are_heavier_for_their_light_and_have_no_lines():
    known = populations()
    young, old = np.eye(5)[1:2], np.eye(5)[3:4]
    assert known.log_mass_to_light_r(old) > 0.2 > -1.5 > known.log_mass_to_light_r(young)
    assert known.halpha_angstrom(young) > 200 and abs(known.halpha_angstrom(old)) < 3


def test_a_drawn_mixture_has_about_the_colours_asked_for():
    known, rng = populations(), np.random.default_rng(0)
    wanted = nanomaggies(np.array([18.8, 18.0, 17.4]))
    found = np.array([known.choose(0.1, wanted, rng) for _ in range(60)])
    colours = np.diff(-2.5 * np.log10(found @ known.band_fluxes(0.1)), axis=1)
    assert colours.mean(axis=0) == pytest.approx([-0.8, -0.6], abs=0.03)
    assert 0.01 < colours[:, 0].std() < 0.06
    assert len(np.unique(found, axis=0)) > 20  # many galaxies have these colours


def test_stores_hold_the_same_galaxies_and_the_noise_that_they_say(made):
    cutouts, spectra = made
    with CutoutStore(cutouts) as store:
        table = store.catalogue()
    with SpectrumStore(spectra) as store:
        beside, flux, error, wave = (
            store.catalogue(), store.flux(), store.error(), store.wavelength
        )  # fmt: skip
    assert list(beside["id"]) == list(table["id"]) and len(table) == 40
    assert wave == pytest.approx(sample_wavelengths(GalaxySpectra()))
    pull = (flux - noise_free_spectra(table, wave)) / error
    assert pull.mean() == pytest.approx(0, abs=0.03) and pull.std() == pytest.approx(1, abs=0.03)
    bright = beside["mag_r"] < beside["mag_r"].median()
    assert beside["snr"][bright].min() > beside["snr"][~bright].max() * 0.5
    assert beside["snr"][bright].median() > 1.3 * beside["snr"][~bright].median()


def test_noise_of_a_flat_spectrum_of_18_mag_is_what_the_config_says():
    settings = GalaxySpectra(snr_at_mag_18=5, sky_mag=17)
    flux = np.full((1, 10), nanomaggies(18.0))
    assert flux / noise_of(flux, settings) == pytest.approx(np.full((1, 10), 5.0))
    # Far brighter than the sky the galaxy's own photons count: 5 mag are a factor of 10.
    bright, brighter = (np.full((1, 1), nanomaggies(mag)) for mag in (8.0, 3.0))
    gain = (brighter / noise_of(brighter, settings)) / (bright / noise_of(bright, settings))
    assert gain == pytest.approx(10, rel=1e-3)


def test_spectra_of_galaxies_without_mixtures_are_refused(tmp_path):
    simulate_survey(tmp_path / "plain.h5", ALONE.model_copy(update={"n_galaxies": 2}), 1)
    with pytest.raises(
        DataError, match=r"plain.h5: no column split, template_0, .*source populations"
    ):
        simulate_galaxy_spectra.main(tmp_path / "plain.h5", tmp_path / "s.h5", JointSimulation(), 1)
    with pytest.raises(ValueError, match="above wavelength_max_angstrom"):
        GalaxySpectra(wavelength_min_angstrom=9000, wavelength_max_angstrom=8000)
