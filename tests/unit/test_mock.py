"""The simulated survey: seeing, noise, truth columns and determinism."""

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.signal
from galaxy_lvm.core.config.lenses import MockLenses
from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.simulation import physics as mock_physics
from galaxy_lvm.simulation import survey as mock
from galaxy_lvm.simulation.galaxies import draw_galaxy
from galaxy_lvm.simulation.rare import NO_ARCS, kinds_of
from galaxy_lvm.simulation.render import (
    Component,
    LightModel,
    PointSources,
    make_grid,
    scene_transform,
)
from galaxy_lvm.simulation.truth import Galaxy, position_angle_deg, truth_row
from galaxy_lvm.survey.classes import CLASSES
from galaxy_lvm.survey.store import BANDS, PIXEL_SCALE_ARCSEC, CutoutStore
from simulate_survey import main

ALONE = Mock(neighbour_density_per_arcmin2=0.0, star_density_per_arcmin2=0.0)
NO_SHEAR = np.zeros(2)
COLUMNS = {
    *("id", "label", "ra", "dec", "redshift", "mag_g", "mag_r", "mag_z", "flux_g", "flux_r"),
    *("flux_z", "half_light_radius_arcsec", "sersic_index", "axis_ratio", "position_angle_deg"),
    *("barred", "face_on", "merging", "n_arms", "psf_fwhm_arcsec_r", "n_neighbours"),
}


def star_frame(fwhm_arcsec: float, beta: float, flux: float = 1.0) -> np.ndarray:
    grid = make_grid(256)
    star = PointSources(np.array([0.1]), np.array([-0.07]), np.full((1, 3), flux))
    scene = scene_transform(grid, LightModel(points=star))
    return mock.observe(grid, scene, np.full(3, fwhm_arcsec), beta, NO_SHEAR)


def moments_of(image: np.ndarray) -> tuple[float, float]:
    """Axis ratio and position angle (deg, rows north, columns west) from second moments."""
    y, x = np.indices(image.shape, dtype=float)
    light = image / image.sum()
    x, y = x - (light * x).sum(), y - (light * y).sum()
    xx, yy, xy = (light * x * x).sum(), (light * y * y).sum(), (light * x * y).sum()
    low, high = np.linalg.eigvalsh([[xx, xy], [xy, yy]])
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    return float(np.sqrt(low / high)), position_angle_deg(angle)


@pytest.mark.parametrize(("fwhm", "beta"), [(0.8, 3.0), (1.2, 3.0), (1.9, 2.5)])
def test_star_has_the_set_seeing(fwhm: float, beta: float) -> None:
    stamp = star_frame(fwhm, beta)[1, 46:106, 46:106]
    y, x = np.indices(stamp.shape)

    def misfit(p: np.ndarray) -> np.ndarray:
        peak, x0, y0, radius, index = p
        return (peak * (1 + ((x - x0) ** 2 + (y - y0) ** 2) / radius**2) ** -index - stamp).ravel()

    fit = scipy.optimize.least_squares(misfit, [stamp.max(), 29.5, 29.5, 4.0, 3.3]).x
    measured = 2 * abs(fit[3]) * np.sqrt(2 ** (1 / fit[4]) - 1) * PIXEL_SCALE_ARCSEC
    assert measured == pytest.approx(fwhm, rel=0.01)
    assert fit[4] == pytest.approx(beta, rel=0.05)
    # Places are relative to the centre of the 60-pixel stamp.
    assert fit[1] == pytest.approx(29.5 + 0.1 / PIXEL_SCALE_ARCSEC, abs=0.02)
    assert fit[2] == pytest.approx(29.5 - 0.07 / PIXEL_SCALE_ARCSEC, abs=0.02)


def test_noise_of_an_empty_frame_is_the_one_of_the_depth() -> None:
    settings, rng = Mock(), np.random.default_rng(1)
    empty = np.stack([mock.add_noise(np.zeros((3, 152, 152)), settings, rng) for _ in range(6)])
    np.testing.assert_allclose(
        empty.std(axis=(0, 2, 3)), mock.sky_sigma_nanomaggies(settings), rtol=0.02
    )
    for band, name in enumerate(BANDS):
        fwhm = mock.per_band(settings, "psf_fwhm_arcsec")[band]
        psf = star_frame(fwhm, settings.psf_moffat_beta)[band, 56:97, 56:97]
        # Flux of a star fitted at every empty place: its scatter is a fifth of the limit.
        fluxes = [
            scipy.signal.fftconvolve(f, psf, "valid") / (psf**2).sum() for f in empty[:, band]
        ]
        limit = mock_physics.nanomaggies(getattr(settings, f"depth_mag_{name}"))
        assert np.std(fluxes) == pytest.approx(limit / 5, rel=0.08)


def test_noise_of_the_source_grows_like_photons() -> None:
    rng = np.random.default_rng(2)

    def variance(light: float) -> np.ndarray:
        frames = [mock.add_noise(np.full((3, 152, 152), light), ALONE, rng) for _ in range(3)]
        return np.var(np.stack(frames, axis=1), axis=(1, 2, 3))

    sky, faint, bright = (variance(light) for light in (0.0, 5.0, 10.0))
    assert np.all(faint > 2 * sky)
    np.testing.assert_allclose(bright - sky, 2 * (faint - sky), rtol=0.06)


@pytest.mark.parametrize("label", CLASSES)
def test_flux_of_the_truth_is_the_flux_of_the_frame(label: str) -> None:
    compared = 0
    for index in range(12):
        image, row = mock.simulate_cutout(index, label, ALONE, seed=3, noise=False)
        if row["half_light_radius_arcsec"] > 3 or row["sersic_index"] > 3:
            continue  # its wings leave the frame
        compared += 1
        truth = [row[f"flux_{band}"] for band in BANDS]
        np.testing.assert_allclose(image.sum(axis=(1, 2)), truth, rtol=0.04)
        assert row["mag_r"] == pytest.approx(22.5 - 2.5 * np.log10(row["flux_r"]))
    assert compared >= 2


@pytest.mark.parametrize("index", [1.0, 2.5])
def test_half_light_radius_of_a_large_galaxy(index: float) -> None:
    size, q, angle, grid = 4.0, 0.7, 0.6, make_grid(384)
    body = mock_physics.sersic(index, size, q, angle)
    light = LightModel([Component(np.full(3, 50.0), body), Component(np.full(3, 50.0), body)])
    sky = mock_physics.place(16.0, -21.0)
    galaxy = Galaxy("elliptical", "test", light, sky, q, angle, size)
    scene = scene_transform(grid, light)
    row = truth_row(grid, galaxy, scene)
    assert row["half_light_radius_arcsec"] == pytest.approx(size, rel=0.03)
    assert row["sersic_index"] == pytest.approx(index, rel=0.15)

    frame = mock.observe(grid, scene, np.full(3, 0.6), 4.0, NO_SHEAR)[1]
    y, x = (np.indices(frame.shape) - 75.5) * PIXEL_SCALE_ARCSEC
    along = x * np.cos(angle) + y * np.sin(angle)
    across = (y * np.cos(angle) - x * np.sin(angle)) / q
    inside = frame[np.hypot(along, across) < row["half_light_radius_arcsec"]].sum()
    assert inside / 100.0 == pytest.approx(0.5, abs=0.03)


def test_shape_and_angle_of_the_image_follow_the_truth() -> None:
    ratios = {"edge_on": [], "face_on": []}
    for index in range(24):
        for label in ("edge_on", "spiral"):
            image, row = mock.simulate_cutout(index, label, ALONE, seed=4, noise=False)
            ratio, angle = moments_of(image[2])
            if label == "edge_on":
                ratios["edge_on"].append(ratio)
                off = (angle - row["position_angle_deg"] + 90) % 180 - 90
                assert abs(off) < 8
                assert row["axis_ratio"] < 0.42
            elif row["face_on"]:
                ratios["face_on"].append(ratio)
                assert row["axis_ratio"] > 0.8
    assert max(ratios["edge_on"]) < min(ratios["face_on"])


def test_arms_leave_the_disc_brighter_on_crests() -> None:
    rng = np.random.default_rng(5)
    while (galaxy := draw_galaxy("spiral", rng, 0.0)).subtype != "grand_design":
        pass
    pattern = galaxy.light.components[0].paint
    radius = np.full((1, 720), 1.5 * pattern.inner_arcsec, dtype=np.float32)
    azimuth = np.linspace(-np.pi, np.pi, 720, endpoint=False, dtype=np.float32)[None, :]
    crests = pattern.crests(radius, azimuth)[0]
    power = np.abs(np.fft.rfft(crests - crests.mean()))
    assert crests.max() > 1.5 * crests.min()
    assert power[pattern.n_arms] > np.median(power)


def test_shares_of_classes_and_bars() -> None:
    shares = {"elliptical": 0, "edge_on": 0, "spiral": 3, "other": 1}
    settings = Mock(n_galaxies=101, class_fractions=shares)
    labels = mock.class_labels(settings, seed=1)
    assert len(labels) == 101
    assert labels.count("spiral") in (75, 76)
    assert set(labels) == {"spiral", "other"}
    rng = np.random.default_rng(6)
    barred = [draw_galaxy("spiral", rng, 0.35).barred for _ in range(300)]
    assert 0.26 < np.mean(barred) < 0.44
    assert not any(draw_galaxy("spiral", rng, 0.0).barred for _ in range(20))


def test_the_survey_does_not_depend_on_the_number_of_workers(tmp_path) -> None:
    settings = Mock(n_galaxies=36)
    for cores in (1, 2):
        main(str(tmp_path / f"{cores}.h5"), settings, seed=7, cores=cores)
    with CutoutStore(tmp_path / "1.h5") as one, CutoutStore(tmp_path / "2.h5") as two:
        # Rounding may differ with the number of threads: 1e-6 is a thousandth of the sky's noise.
        np.testing.assert_allclose(one.images[:], two.images[:], rtol=0, atol=1e-6)
        catalogue = one.catalogue()
        pd.testing.assert_frame_equal(catalogue, two.catalogue(), rtol=1e-5)
        assert one.images.shape == (36, 3, 152, 152)
        assert np.isfinite(one.images[:]).all()
        assert one.attributes["source"] == "mock"
    assert set(catalogue) >= COLUMNS
    assert set(catalogue["label"]) == set(CLASSES)
    assert catalogue["id"].is_unique
    assert catalogue["redshift"].between(0.01, 0.3).all()
    assert not catalogue.drop(columns=list(NO_ARCS)).isna().any().any()


def test_another_seed_is_another_survey() -> None:
    one, _ = mock.simulate_cutout(0, "spiral", ALONE, seed=1)
    two, _ = mock.simulate_cutout(0, "spiral", ALONE, seed=2)
    assert not np.allclose(one, two)


def test_rare_kinds_are_ellipticals_and_as_many_as_asked_for() -> None:
    labels = list(CLASSES) * 25
    kinds = kinds_of(labels, 0.4, 5, 1)
    assert kinds.count("lens") == 5 and kinds.count("distant_red") == 8
    changed = [label for label, kind in zip(labels, kinds, strict=True) if label != kind]
    assert changed == ["elliptical"] * 13
    assert kinds_of(labels, 0.0, 0, 1) == labels
    with pytest.raises(ConfigError, match="only 25 of 100 galaxies are ellipticals"):
        kinds_of(labels, 0.0, 26, 1)


def test_a_lens_adds_its_arcs_to_the_light_of_the_galaxy_in_front() -> None:
    frame, row = mock.simulate_cutout(2, "lens", ALONE, 5, noise=False)
    assert row["lens"] and row["label"] == "elliptical"
    assert row["arc_snr"] >= MockLenses().min_arc_snr
    arcs = float(mock_physics.nanomaggies(row["arc_mag_r"]))
    assert frame[1].sum() == pytest.approx(row["flux_r"] + arcs, rel=0.03)
    assert row["half_light_radius_arcsec"] < 4 and row["sersic_index"] % 0.25 == 0  # exact
    _, red = mock.simulate_cutout(2, "distant_red", ALONE, 5, noise=False)
    assert not red["lens"] and np.isnan(red["arc_snr"]) and red["subtype"] == "distant_red"
    assert set(red) == set(row)


def test_images_of_a_lens_lie_around_its_einstein_radius() -> None:
    """Arcs are bluer than the galaxy: g - z falls from the centre to the Einstein radius."""
    steps = []
    for index in range(6):
        frame, row = mock.simulate_cutout(index, "lens", ALONE, 9, noise=False)
        y, x = np.indices(frame.shape[1:]) - (frame.shape[1] - 1) / 2
        radius = np.hypot(x, y) * PIXEL_SCALE_ARCSEC
        ring = abs(radius - row["einstein_radius_arcsec"]) < 0.5
        centre = radius < 0.5
        colours = [frame[0][part].sum() / frame[2][part].sum() for part in (centre, ring)]
        steps.append(colours[1] / colours[0])
    assert np.median(steps) > 1.3
