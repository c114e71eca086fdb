"""Emulated spectra: wavelengths, lines, dust and noise are those of stars."""

import sys
from pathlib import Path

import numpy as np
import pytest
from galaxy_lvm.core.config.spectra import (
    SpectrumNoise,
)
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.spectra.emulator import emulator
from galaxy_lvm.spectra.simulate import reddening, simulate_stars
from galaxy_lvm.spectra.wavelengths import (
    air_to_vacuum,
    grid_wavelengths,
    in_vacuum_angstrom,
    vacuum_to_air,
)

SUN = [5750.0, 4.4, 0.0]


XP = grid_wavelengths("xp")


def band(flux, wavelength, low, high):
    """Mean flux between two wavelengths in Angstrom."""
    return flux[..., (wavelength > low) & (wavelength < high)].mean(axis=-1)


@pytest.mark.parametrize(
    ("vacuum", "air"), [(6564.61, 6562.80), (5008.240, 5006.843), (3934.777, 3933.663)]
)
def test_known_lines_in_air_and_vacuum(vacuum, air):
    """H alpha, [O III] and Ca II K, both ways of the NIST and SDSS line lists."""
    assert vacuum_to_air(np.array([vacuum]))[0] == pytest.approx(air, abs=0.01)
    assert air_to_vacuum(vacuum_to_air(np.array([vacuum])))[0] == pytest.approx(vacuum, abs=1e-7)


def test_units_are_told_apart_and_disorder_is_refused():
    angstrom = np.array([4000.0, 5000.0, 6000.0])
    for factor in (1.0, 0.1, 1e-4):
        assert in_vacuum_angstrom(angstrom * factor) == pytest.approx(angstrom)
    with pytest.raises(DataError, match="neither rise nor fall"):
        in_vacuum_angstrom(angstrom[[0, 2, 1]])
    with pytest.raises(DataError, match="pixel 1 is no positive number"):
        in_vacuum_angstrom(np.array([4000.0, np.nan, 5000.0]))


def test_hotter_stars_are_bluer_and_metals_weaken_the_blue():
    make = emulator("xp")
    cool, sun, hot = make([[4500.0, 4.4, 0.0], SUN, [6500.0, 4.4, 0.0]])
    colour = [band(f, XP, 4000, 5000) / band(f, XP, 7000, 9000) for f in (cool, sun, hot)]
    assert colour[0] < colour[1] < colour[2]
    poor, rich = make([[5750.0, 4.4, -1.5], [5750.0, 4.4, 0.3]])
    assert band(rich, XP, 3800, 4500) < band(poor, XP, 3800, 4500)


def test_lines_on_the_lamost_grid():
    """Balmer lines deepen with temperature, iron and Mg b with metals, Mg b with gravity."""
    make = emulator("lamost")
    base = make([SUN])[0]
    wave = make.wavelength

    def depth(labels, centre, half=8.0):
        return band(base - make([labels])[0], wave, centre - half, centre + half)

    assert depth([6500.0, 4.4, 0.0], 4862.7) > 0
    assert depth([5750.0, 4.4, -1.0], 5270.0, 20.0) < 0
    assert depth([4750.0, 4.6, 0.0], 5176.0, 15.0) > depth([4750.0, 2.5, 0.0], 5176.0, 15.0)


def test_the_grid_of_lamost_is_that_of_the_emulator():
    with np.load(
        Path(sys.modules[emulator.__module__].__file__).with_name("cannon_emulator.npz")
    ) as k:
        assert vacuum_to_air(grid_wavelengths("lamost")) == pytest.approx(
            k["lamost_wave"], abs=1e-6
        )
        assert len(XP) == len(k["xp_wave"]) == 343


def test_labels_outside_of_the_grid_are_refused():
    with pytest.raises(DataError, match="star 1: teff = 9000 is outside of the emulator's grid"):
        emulator("xp")([SUN, [9000.0, 4.0, 0.0]])


def test_dust_reddens_by_the_law():
    """E(B-V) of A_V = 3.1 mag is 1: the band at 4400 loses that much more than that at 5500."""
    seen = -2.5 * np.log10(reddening(np.array([4400.0, 5500.0]), np.array([3.1])))[0]
    assert seen[1] == pytest.approx(3.1, abs=0.1)
    assert seen[0] - seen[1] == pytest.approx(1.0, abs=0.1)


def test_noise_is_as_large_as_the_errors_say():
    noise = SpectrumNoise(snr_min=30, snr_max=60, extinction_mean_mag=0)
    flux, error, table = simulate_stars(300, "xp", noise, 1)
    truth = emulator("xp")(table[["teff", "logg", "fe_h"]].to_numpy())
    assert np.std((flux - truth) / error) == pytest.approx(1, abs=0.02)
    assert np.median(1 / error, axis=1) == pytest.approx(table["snr"].to_numpy(), rel=1e-6)
    again = simulate_stars(300, "xp", noise, 1)
    assert (again[0] == flux).all() and again[2].equals(table)
