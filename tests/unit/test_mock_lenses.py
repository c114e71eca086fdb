"""Simulated lenses and the fields around them: optics, masks, visibility, shares, determinism."""

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.lenses import MockFields, MockLenses
from galaxy_lvm.core.config.survey import MockSky
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.lenses.field_figure import lens_field_sheet, spread, zoom_of
from galaxy_lvm.simulation import lenses as mock_lenses
from galaxy_lvm.simulation import survey as mock
from galaxy_lvm.simulation.fields import lens_counts, simulate_field
from galaxy_lvm.simulation.lenses import Deflector, Lens, Source, draw_red_galaxy
from galaxy_lvm.simulation.placing import (
    BOX_MARGIN_PIX,
    REDRAWN,
    Canvas,
    corner_of,
    paste,
)
from galaxy_lvm.simulation.render import LightModel, PointSources, make_grid
from galaxy_lvm.simulation.scenery import draw_scenery
from galaxy_lvm.survey.fields import BOX_COLUMNS, SPLITS, FieldStore, box_of_mask, decode_mask
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC
from matplotlib import pyplot as plt
from simulate_fields import main

SURVEY = MockSky()
QUIET = MockSky(neighbour_density_per_arcmin2=0.0, star_density_per_arcmin2=0.0)
SIDE = 96
# Smaller than a config's smallest field, for speed.
PLAN = MockFields(n_train=10, n_val=3, n_test=4).model_copy(update={"side_pix": SIDE})


def lens_of(deflector: Deflector, *sources: Source) -> Lens:
    return Lens(draw_red_galaxy(np.random.default_rng(0), 1.5, 0.5), deflector, sources)


def seen(lens: Lens) -> np.ndarray:
    grid = mock_lenses.lens_grid(lens)
    transform = mock_lenses.lensed_transform(grid, lens)
    return mock.observe(grid, transform, np.full(3, 0.8), 3.0, np.zeros(2))


def offsets(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, x = (np.indices(image.shape) + 0.5 - image.shape[0] / 2) * PIXEL_SCALE_ARCSEC
    return x, y


@pytest.mark.parametrize("radius_arcsec", [1.2, 2.0, 3.3])
def test_ring_of_a_round_lens_has_the_einstein_radius(radius_arcsec: float) -> None:
    image = seen(lens_of(Deflector(radius_arcsec), Source(np.ones(3), 0.0, 0.0, 0.12)))[1]
    radius = np.hypot(*offsets(image))
    steps = np.arange(0.4, 5.0, 0.1)
    profile = [image[np.abs(radius - step) < 0.15].mean() for step in steps]
    assert steps[np.argmax(profile)] == pytest.approx(radius_arcsec, abs=PIXEL_SCALE_ARCSEC)
    # A ring, not an arc: as bright on all sides.
    angle = np.arctan2(*offsets(image)[::-1])[np.abs(radius - radius_arcsec) < 0.2]
    ring = image[np.abs(radius - radius_arcsec) < 0.2]
    sides = [ring[np.abs(angle - middle) < np.pi / 4].mean() for middle in (-1.5, 0.0, 1.5)]
    assert max(sides) / min(sides) < 1.1


@pytest.mark.parametrize(("part", "size_arcsec"), [(0.3, 0.1), (0.5, 0.12), (0.7, 0.2)])
def test_a_round_lens_magnifies_by_theory_and_puts_images_where_they_belong(
    part: float, size_arcsec: float
) -> None:
    theta = 2.0
    source = Source(np.array([1.0, 2.0, 3.0]), part * theta, 0.0, size_arcsec, 0.5)
    lens = lens_of(Deflector(theta), source)
    grid = mock_lenses.lens_grid(lens)
    flux = mock_lenses.lensed_transform(grid, lens)[:, 0, 0].real
    # A singular isothermal sphere: both images together are magnified by 2 / offset. The source
    # is small against its offset, but its faint image still wider than the step between rays.
    np.testing.assert_allclose(flux, source.flux * 2 / part, rtol=0.02)
    image = seen(lens)[1]
    x, _ = offsets(image)
    for sign in (-1, 1):
        light = np.where(sign * x > 0, image, 0)
        # Images at offset + theta and offset - theta, with magnifications 1 / offset +- 1.
        centroid = (light * x).sum() / light.sum()
        assert centroid == pytest.approx(part * theta + sign * theta, abs=PIXEL_SCALE_ARCSEC)
        assert light.sum() / source.flux[1] == pytest.approx(1 / part + sign, rel=0.08)


def test_without_mass_the_source_is_itself() -> None:
    source = Source(np.array([1.0, 2.0, 3.0]), 0.4, -0.3, 0.5, 1.0, 0.6, 0.3)
    lens = lens_of(Deflector(1e-9), source)
    image = seen(lens)
    np.testing.assert_allclose(image.sum(axis=(1, 2)), source.flux, rtol=0.02)
    x, y = offsets(image[0])
    assert (image[1] * x).sum() / image[1].sum() == pytest.approx(0.4, abs=0.02)
    assert (image[1] * y).sum() / image[1].sum() == pytest.approx(-0.3, abs=0.02)


def test_an_elliptical_lens_makes_four_images_of_a_compact_source() -> None:
    deflector = Deflector(2.5, axis_ratio=0.6, shear_1=0.05)
    image = seen(lens_of(deflector, Source(np.ones(3), 0.02, 0.02, 0.08, 0.5)))[1]
    inner = image[1:-1, 1:-1]
    neighbours = [
        image[1 + dy : image.shape[0] - 1 + dy, 1 + dx : image.shape[1] - 1 + dx]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if (dy, dx) != (0, 0)
    ]
    peaks = np.all([inner > other for other in neighbours], axis=0) & (inner > 0.2 * inner.max())
    assert peaks.sum() == 4


def test_mask_holds_the_images_and_ends_where_it_says() -> None:
    sigma = np.full(3, 0.01)
    arcs = seen(lens_of(Deflector(2.0), Source(np.full(3, 20.0), 0.6, 0.0, 0.2)))
    chi = np.sqrt(3) * arcs[0] / 0.01  # the same flux in all bands
    mask = mock_lenses.lens_mask(arcs, sigma, 0.15, 1.0)
    assert mask.any()
    np.testing.assert_array_equal(mask, chi > 0.15 * chi.max())
    # The centre, where the galaxy in front stands, is none of it; both images are.
    centre = mask.shape[0] // 2
    assert not mask[centre - 1 : centre + 1, centre - 1 : centre + 1].any()
    assert mask[:, centre + 6 :].any() and mask[:, : centre - 2].any()
    # Faint images end in the sky instead, and drown.
    faint = mock_lenses.lens_mask(arcs * 2e-3, sigma, 0.15, 1.0)
    np.testing.assert_array_equal(faint, chi * 2e-3 > max(1.0, 0.15 * 2e-3 * chi.max()))
    assert not mock_lenses.lens_mask(arcs * 1e-5, sigma, 0.15, 1.0).any()


def test_signal_to_noise_of_a_star_at_the_depth_is_five() -> None:
    grid = make_grid(64, 64)
    canvas = Canvas(64, SURVEY, np.random.default_rng(0))
    star = PointSources(np.zeros(1), np.zeros(1), np.ones((1, 3)))
    scene = mock.scene_transform(grid, LightModel(points=star))
    psf = mock.observe(grid, scene, mock.per_band(SURVEY, "psf_fwhm_arcsec"), 3.0, np.zeros(2))
    nothing = np.zeros_like(psf)
    for band, depth in enumerate(mock.per_band(SURVEY, "depth_mag")):
        light = nothing.copy()
        light[band] = psf[band] * mock.physics.nanomaggies(depth)
        snr = mock_lenses.arc_snr(light, nothing, nothing, canvas.sigma, canvas.sky)
        # A few per cent below: the noise is counted before resampling smooths it.
        assert snr == pytest.approx(5.0, rel=0.12)


def test_brighter_arcs_are_seen_better_and_worse_in_the_glare() -> None:
    arcs = seen(lens_of(Deflector(1.5), Source(np.full(3, 2.0), 0.4, 0.1, 0.2)))
    glare = seen(lens_of(Deflector(1e-9), Source(np.full(3, 100.0), 0.0, 0.0, 1.0)))
    canvas, nothing = Canvas(64, SURVEY, np.random.default_rng(0)), np.zeros_like(arcs)

    def snr(light: np.ndarray, galaxy: np.ndarray, rest: np.ndarray) -> float:
        return mock_lenses.arc_snr(light, galaxy, rest, canvas.sigma, canvas.sky)

    alone = snr(arcs, nothing, nothing)
    assert alone < snr(2 * arcs, nothing, nothing) < 2 * alone
    # A galaxy that is known adds photons; the one in front hides what is behind it.
    assert snr(arcs, glare, nothing) < 0.7 * snr(arcs, nothing, glare) < 0.7 * alone


def test_a_stamp_lands_where_it_should() -> None:
    for place in (0.0, 10.25, 31.5, 95.9):
        first, rest = corner_of(place, 64)
        assert -0.5 <= rest < 0.5
        assert first + 32 + rest == pytest.approx(place)
    image, stamp = np.zeros((3, 8, 8)), np.ones((3, 4, 4))
    for left, top, kept in ((2, 3, 16), (-2, -2, 4), (6, 0, 8), (-9, 0, 0), (9, 9, 0)):
        image[:] = 0
        paste(image, stamp, left, top)
        assert image[0].sum() == kept
    canvas = Canvas(SIDE, SURVEY, np.random.default_rng(0))
    canvas.add(
        LightModel(points=PointSources(np.zeros(1), np.zeros(1), np.ones((1, 3)))), 30.3, 61.7, 0.4
    )
    y, x = np.indices((SIDE, SIDE)) + 0.5
    light = canvas.image[1] / canvas.image[1].sum()
    assert ((light * x).sum(), (light * y).sum()) == pytest.approx((30.3, 61.7), abs=0.05)
    assert canvas.image.sum(axis=(1, 2)) == pytest.approx([1, 1, 1], rel=0.01)


@pytest.mark.parametrize(("count", "share"), [(10, 0.3), (7, 0.5), (150, 0.33), (5, 0.0)])
def test_shares_of_fields_without_and_with_two_lenses(count: int, share: float) -> None:
    numbers = lens_counts(count, share, 0.2, seed=1)
    assert len(numbers) == count
    assert abs((numbers == 0).sum() - share * count) <= 0.5
    assert abs((numbers == 2).sum() - 0.2 * (numbers > 0).sum()) <= 0.5


def test_empty_fields_hold_red_and_bright_galaxies_too() -> None:
    rng, settings = np.random.default_rng(3), MockLenses()
    drawn = [thing for _ in range(40) for thing in draw_scenery(rng, 160, settings, QUIET)]
    colours = [sum(c.flux for c in thing.light.components) for thing in drawn]
    g_r = np.array([2.5 * np.log10(flux[1] / flux[0]) for flux in colours])
    mag = np.array([22.5 - 2.5 * np.log10(flux[1]) for flux in colours])
    lens_like = (g_r > 1.2) & (mag > 17.5) & (mag < 21.5)
    assert lens_like.sum() > 40  # more than one a field
    assert (mag < 18).sum() > 10
    none = MockLenses(red_density_per_arcmin2=0.0, bright_density_per_arcmin2=0.0)
    fewer = [thing for _ in range(40) for thing in draw_scenery(rng, 160, none, QUIET)]
    assert len(fewer) < len(drawn) / 2  # what is left are groups


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FieldStore:
    folder = tmp_path_factory.mktemp("fields")
    for cores in (1, 2):
        main(str(folder / f"{cores}.h5"), PLAN, SURVEY, seed=5, cores=cores)
    return FieldStore(folder / "1.h5")


def test_fields_do_not_depend_on_the_number_of_workers(store: FieldStore) -> None:
    two = FieldStore(store.path.with_name("2.h5"))
    np.testing.assert_array_equal(store.images(range(17)), two.images(range(17)))
    pd.testing.assert_frame_equal(store.columns, two.columns)
    pd.testing.assert_frame_equal(store.lenses, two.lenses)
    image, *_ = simulate_field("train", 0, 1, SIDE, MockLenses(), SURVEY, seed=6)
    assert not np.array_equal(image, store.images([0])[0])


def test_store_holds_what_was_asked_for(store: FieldStore) -> None:
    columns = store.columns
    assert columns["split"].value_counts()[list(SPLITS)].tolist() == [10, 3, 4]
    assert (columns["n_lenses"] == 0).groupby(columns["split"]).sum().to_dict() == {
        **{"train": 3, "val": 1, "test": 1}
    }
    assert columns["ra"].between(0, 360).all() and columns["dec"].between(-90, 90).all()
    assert columns["psf_fwhm_arcsec_r"].between(0.8, 1.8).all()
    counted = store.lenses["field"].value_counts().reindex(range(17), fill_value=0)
    assert counted.tolist() == columns["n_lenses"].tolist()
    assert all(f"redrawn_{reason}" in store.attributes for reason in REDRAWN)
    assert not store.lenses[["einstein_radius_arcsec", "arc_mag_r", "arc_snr"]].isna().any().any()


def test_lenses_lie_in_their_fields_and_can_be_seen(store: FieldStore) -> None:
    settings = MockLenses()
    assert (store.lenses["arc_snr"] >= settings.min_arc_snr).all()
    assert store.lenses["einstein_radius_arcsec"].between(*settings.einstein_limits_arcsec).all()
    boxes = store.lenses[list(BOX_COLUMNS)].to_numpy()
    assert boxes.min() >= BOX_MARGIN_PIX and boxes.max() <= SIDE - BOX_MARGIN_PIX
    for lens, box in zip(store.lenses.itertuples(), boxes, strict=True):
        mask = decode_mask(lens.mask_rle, SIDE, SIDE)
        assert box_of_mask(mask) == tuple(box)
        assert mask.sum() == lens.area_pix
        # Images on both sides of the galaxy lie an Einstein diameter apart.
        longest = max(box[2] - box[0], box[3] - box[1]) * PIXEL_SCALE_ARCSEC
        assert longest > 1.2 * lens.einstein_radius_arcsec


def test_the_mask_lies_on_the_arcs() -> None:
    """With the sky alone around it, lensed light and mask are in the same place."""
    empty = MockLenses(red_density_per_arcmin2=0.0, bright_density_per_arcmin2=0.0)
    image, row, placed, _ = simulate_field("val", 3, 1, SIDE, empty, QUIET, seed=2)
    assert row["n_lenses"] == len(placed) == 1
    mask = placed[0].mask
    blue = image[..., 2].astype(float)  # the survey maps g to blue
    assert blue[mask].mean() > np.median(blue) + 10


def test_contact_sheet_runs_from_the_clearest_to_the_faintest(store: FieldStore) -> None:
    values = np.array([3.0, 9.0, 1.0, 7.0, 5.0])
    assert values[spread(values, 3)].tolist() == [9.0, 5.0, 1.0]
    assert zoom_of(np.zeros((96, 96, 3)), (80, 2, 94, 20)).shape == (36, 36, 3)
    fig = lens_field_sheet(store, "train", n_lenses=4, n_empty=2)
    notes = [text.get_text() for axes in fig.axes for text in axes.texts]
    ratios = [float(note.split("S/N ")[1]) for note in notes if "S/N" in note]
    assert len(ratios) == 4 and ratios == sorted(ratios, reverse=True)
    assert notes.count("no lens") == 2
    plt.close(fig)


def test_lenses_that_nobody_could_see_are_an_error_and_no_endless_loop() -> None:
    hopeless = MockLenses(source_mag_r_bright=27.5, source_mag_r_faint=28.0, min_arc_snr=900)
    with pytest.raises(ConfigError, match="min_arc_snr"):
        simulate_field("train", 0, 1, SIDE, hopeless, QUIET, seed=1)
