"""The simulated sky of WISE: colours, point-spread functions, photometry; by hand and by GalSim."""

import sys
from pathlib import Path

import galsim
import numpy as np
import pytest
from galaxy_lvm.core.config.wise import WisePopulation, WiseScene, WiseSplits
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.survey.store import CutoutStore
from galaxy_lvm.wise.bands import (
    BANDS,
    PIXEL_SCALE_ARCSEC,
    VEGA_K,
    band_fluxes,
    blackbody,
    kept,
    magnitudes,
    nanomaggies,
    pixel_noise,
)
from galaxy_lvm.wise.colours import CLASSES, colours, draw_fluxes, galaxy_fluxes, star_fluxes
from galaxy_lvm.wise.levels import HIGH, LOW, to_levels
from galaxy_lvm.wise.photometry import asinh_magnitudes, psf_photometry
from galaxy_lvm.wise.render import DISC_NU, SPHEROID_NU, Camera, Shapes, galaxy_transform
from galaxy_lvm.wise.scene import draw_sources
from galaxy_lvm.wise.simulate import simulate_part

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import measure_wise  # noqa: E402
import plot_wise_sources  # noqa: E402
import simulate_wise  # noqa: E402

QUIET = WiseScene(n_sources=30, neighbours_per_arcmin2=0)


def at(x, y, size=0.0, ratio=1.0, angle=0.0, nu=DISC_NU):
    return Shapes(*(np.array([v]) for v in (x, y, size, ratio, angle, nu)))


def one(side, flux=1.0, **where):
    where = {"x": 0.0, "y": 0.0} | where
    return Camera(side).images(np.full((1, 3), flux), at(**where), np.array([0]), 1)[0]


def test_a_star_like_vega_has_no_colour_and_hot_ones_are_blue():
    assert star_fluxes(np.array([VEGA_K])) == pytest.approx(np.ones((1, 3)))
    hot, sun, cool = colours(star_fluxes(np.array([20000.0, 5800, 3000])))[:, 0]
    assert hot < 0 < sun < cool
    # By hand at the bands' effective wavelengths, 3.353 and 4.603 micron.
    ratio = [blackbody(np.array([3.353, 4.603]), t) for t in (3000.0, VEGA_K)]
    by_hand = -2.5 * np.log10(ratio[0][0] / ratio[0][1] / (ratio[1][0] / ratio[1][1]))
    assert cool == pytest.approx(by_hand, abs=0.02)


def test_a_flat_spectrum_has_the_colours_that_the_survey_publishes():
    """AB minus Vega is 2.699, 3.339, 5.174 mag (Jarrett et al. 2011)."""
    found = colours(band_fluxes(np.ones((1, len(kept("wavelength_micron"))))))[0]
    assert found == pytest.approx([3.339 - 2.699, 5.174 - 3.339], abs=0.05)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("star", (0.04, 0.08, 0.17)),
        ("galaxy", (0.08, 0.29, 0.48)),
        ("quasar", (0.66, 1.16, 1.50)),
    ],
)
def test_colours_are_those_of_real_sources(kind, expected):
    fluxes, truth = draw_fluxes(kind, 3000, WisePopulation(), np.random.default_rng(1))
    found = np.percentile(colours(fluxes)[:, 0], (5, 50, 95))
    assert found == pytest.approx(expected, abs=0.1)
    assert truth["teff_k"].notna().all() == (kind == "star")
    assert truth["redshift"].notna().all() == (kind != "star")


def test_dust_makes_galaxies_bright_in_w3_and_redshift_takes_it_out_of_the_band():
    spiral, old = np.eye(5)[2], np.eye(5)[4]
    found = colours(galaxy_fluxes(np.array([spiral, old, spiral]), np.array([0, 0, 1.0])))[:, 1]
    assert found[0] > 3.5 and found[1] < 0.6 and found[2] < 1.5
    half = galaxy_fluxes((spiral + old)[None] / 2, np.array([0.0]))
    parts = galaxy_fluxes(np.array([spiral, old]), np.zeros(2))
    assert half[0] == pytest.approx(parts.mean(axis=0))


def test_the_scatter_is_that_of_the_colours():
    kinds, mags = np.repeat("star", 4000), np.full(4000, 13.0)
    tables = [
        draw_sources(kinds, mags, QUIET, scatter, np.random.default_rng(1))
        for scatter in (0.0, 0.1)
    ]
    for band in ("w2_mag", "w3_mag"):
        added = tables[1][band] - tables[0][band]
        assert added.std() == pytest.approx(0.1, rel=0.05) and abs(added.mean()) < 0.006
    assert (tables[1]["w1_mag"] == 13).all()


def half_maximum(image):
    """Return the full width at half maximum (arcsec), the mean of both axes."""
    row, column = np.unravel_index(image.argmax(), image.shape)
    widths = []
    for line in (image[row], image[:, column]):
        fine = np.linspace(0, len(line) - 1, 4001)
        above = fine[np.interp(fine, np.arange(len(line)), line) > line.max() / 2]
        widths.append(above[-1] - above[0])
    return np.mean(widths) * PIXEL_SCALE_ARCSEC


def test_a_star_is_as_wide_as_the_satellite_sees_it():
    """6.1, 6.4 and 6.5 arcsec in exposures (Wright et al. 2010); coadds are a little wider."""
    images = one(33)
    widths = [half_maximum(image) for image in images]
    assert widths == pytest.approx([6.1, 6.4, 6.5], rel=0.2) and min(widths) > 5.5
    kept_psf = kept("psf")[:, 15:-15, 15:-15]
    assert images == pytest.approx(kept_psf, abs=1e-6)
    shifted = one(33, x=2.0, y=-3.0)
    assert shifted[:, 5:20, 10:25] == pytest.approx(images[:, 8:23, 8:23], abs=1e-6)


@pytest.mark.parametrize("nu", [DISC_NU, SPHEROID_NU])
def test_galaxies_are_those_of_galsim(nu):
    size, ratio, angle = 6.0, 0.5, 0.7
    # GalSim's shear keeps the area; ours keeps the major axis.
    round_one = galsim.Spergel(nu, half_light_radius=size * np.sqrt(ratio))
    theirs = round_one.shear(q=ratio, beta=angle * galsim.radians)
    places = [(0.0, 0.0), (0.1, 0.0), (0.0, 0.1), (-0.05, 0.2), (0.3, 0.3)]
    ours = [
        galaxy_transform(at(0, 0, size, ratio, angle, nu), 0, np.array(u), np.array(v))
        for u, v in places
    ]
    unit = 2 * np.pi / PIXEL_SCALE_ARCSEC
    expected = [theirs.kValue(unit * u, unit * v).real for u, v in places]
    assert np.array(ours) == pytest.approx(np.array(expected), abs=2e-4)


def test_a_galaxy_is_wider_than_a_star_along_its_major_axis_and_keeps_its_flux():
    star, galaxy = one(61)[0], one(61, size=8.0, ratio=0.3)[0]
    assert galaxy.sum() == pytest.approx(star.sum(), rel=0.02)
    place = np.arange(61) - 30.0

    def spread(line):
        near = np.abs(place) < 12
        return np.sqrt((place**2 * line)[near].sum() / line[near].sum())

    along, across = (spread(galaxy.sum(axis=k)) for k in (0, 1))
    assert along > across > spread(star.sum(axis=0))


def test_photometry_gives_back_magnitudes_of_points_and_their_errors():
    rng = np.random.default_rng(2)
    n, depth = 300, np.array(QUIET.depth_mag)
    fluxes = nanomaggies(np.array([14.5, 13.5, 10.0])) * np.ones((n, 1))
    places = rng.uniform(-0.5, 0.5, (2, n))
    nothing = np.zeros(n)
    shapes = Shapes(*places, nothing, nothing + 1, nothing, nothing + DISC_NU)
    clean = Camera(32).images(fluxes, shapes, np.arange(n), n)
    noise = pixel_noise(depth)[:, None, None]
    found = psf_photometry(clean + noise * rng.standard_normal(clean.shape), depth)
    for k, band in enumerate(BANDS):
        error = found[f"{band}_flux"] / fluxes[:, k] - 1
        pull = (found[f"{band}_flux"] - fluxes[:, k]) / found[f"{band}_flux_sigma"]
        assert abs(error.median()) < 0.01
        assert pull.std() == pytest.approx(1, rel=0.25)
        assert found[f"{band}_chi2"].median() == pytest.approx(1, abs=0.15)
    assert np.hypot(found["x_pix"] - places[0], found["y_pix"] - places[1]).median() < 0.08
    # A fifth of the flux of the depth is about the error of a flux.
    faint = nanomaggies(depth) / 5
    assert found[[f"{b}_flux_sigma" for b in BANDS]].iloc[0].to_numpy() == pytest.approx(
        faint, rel=0.2
    )


def test_asinh_magnitudes_are_the_usual_ones_where_flux_is_large_and_finite_where_it_is_not():
    flux = np.array([1e4, 0.0, -30.0])
    found = asinh_magnitudes(flux, np.array(10.0))
    assert found[0] == pytest.approx(magnitudes(flux[:1])[0], abs=1e-4)
    assert np.isfinite(found).all() and found[0] < found[1] < found[2]


def test_levels_keep_fluxes_to_a_fraction_of_the_noise():
    depth = np.array(QUIET.depth_mag)
    noise = pixel_noise(depth)[:, None, None]
    images = noise * np.array([-3.0, 0, 0.5, 10, 1000])[None, None, :, None] * np.ones((1, 3, 1, 1))
    share = to_levels(images, depth).transpose(0, 3, 1, 2) / 255
    back = np.sinh(LOW + (HIGH - LOW) * share) * noise
    error = np.abs(back - images) / noise
    assert (error[..., :3, :] < 0.08).all()
    assert (error[..., 3:, :] < 0.03 * images[..., 3:, :] / noise).all()


def test_a_part_is_the_same_again_and_others_differ():
    scene = WiseScene(n_sources=30)
    first, truth = simulate_part((0, 9), scene, 0.05, 1)
    again, _ = simulate_part((0, 9), scene, 0.05, 1)
    other, _ = simulate_part((1, 9), scene, 0.05, 1)
    assert (first == again).all() and not np.allclose(first, other)
    assert list(truth["label"]) == list(CLASSES) * 3
    assert truth["n_neighbours"].sum() > 20 and (truth["blend"] >= 0).all()
    assert (truth["half_light_arcsec"] > 0).equals(truth["label"] == "galaxy")


def test_the_scripts_make_crops_photometry_splits_and_a_figure(tmp_path):
    names = "cutouts.h5", "crops.h5", "photometry.parquet", "splits.parquet", "rejected.csv"
    cutouts, *measured = [str(tmp_path / name) for name in names]
    simulate_wise.main(cutouts, WiseScene(n_sources=60), 0.05, 1)
    with CutoutStore(cutouts) as store:
        assert store.images.shape == (60, 3, 32, 32)
        assert store.attributes["unit"] == "Vega nanomaggies"
        truth = store.catalogue()
    measure_wise.main(cutouts, *measured, WiseScene(), WiseSplits(), 1)
    photometry, splits = load_table(measured[1]), Splits(measured[2])
    assert list(photometry["id"]) == list(truth["id"])
    assert splits.class_names == ("galaxy", "quasar", "star")
    assert {k: len(v) for k, v in splits.all_labelled().items()} == {
        "train": 30, "val": 6, "test": 24,
    }  # fmt: skip
    with CropStore(measured[0]) as crops:
        assert crops.side_pix == 32 and list(crops.ids) == list(truth["id"])
    quiet = (truth["blend"] < 0.02) & (truth["label"] != "galaxy") & (truth["w1_mag"] < 14)
    assert (photometry["w1_mag"] - truth["w1_mag"])[quiet].abs().median() < 0.03
    plot_wise_sources.main(measured[0], measured[1], str(tmp_path / "sources.pdf"))
    assert (tmp_path / "sources.png").exists()
