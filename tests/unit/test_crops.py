"""Adaptive crops: the box follows the galaxy, whatever lies beside it."""

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
from crop_cutouts import main as crop_cutouts
from galaxy_lvm.core.config.survey import Crop
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.colour import grz_to_rgb
from galaxy_lvm.survey.crops import (
    BAD_PIXELS,
    DEFAULT_BOX,
    NEIGHBOUR,
    TOUCHES_FRAME,
    adaptive_box,
    crop_chunk,
    crop_image,
)
from galaxy_lvm.survey.store import CutoutWriter
from plot_survey import main as plot_survey

SIDE = 152


def galaxy(radius_pix=6.0, x=76.0, y=76.0, axis_ratio=1.0, peak=1.0, side=SIDE):
    """Exponential disc, flux per pixel, the same in all bands."""
    rows, columns = np.indices((side, side), dtype=np.float32)
    distance = np.hypot(columns - x, (rows - y) / axis_ratio)
    return (peak * np.exp(-distance / radius_pix))[None].repeat(3, 0).astype(np.float32)


def sky(seed=0, side=SIDE, sigma=0.01):
    return np.random.default_rng(seed).normal(0, sigma, (3, side, side)).astype(np.float32)


def colours(image):
    return grz_to_rgb(image[None])[0]


def box_of(image, **settings):
    return adaptive_box(colours(image), Crop(**settings))


def side_of(box):
    assert box[2] - box[0] == box[3] - box[1]
    return box[2] - box[0]


def middle_of(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def test_box_doubles_with_the_galaxy():
    small, flags_small = box_of(galaxy(3.0) + sky())
    large, flags_large = box_of(galaxy(6.0) + sky())
    assert side_of(large) == pytest.approx(2 * side_of(small), rel=0.15)
    assert flags_small == flags_large == 0


def test_the_galaxy_fills_the_same_share_of_each_crop():
    covered = []
    for radius in (3.0, 4.5, 6.5):
        image = colours(galaxy(radius) + sky(sigma=0.003))
        crop = crop_image(image, adaptive_box(image)[0])
        smooth = cv2.GaussianBlur(crop.astype(np.float32).mean(axis=2), (0, 0), 3)
        covered.append((smooth > 60).mean())
    assert max(covered) < 1.25 * min(covered)
    assert 0.1 < min(covered)


def test_margin_scales_the_box():
    image = galaxy(4.0) + sky()
    ratio = side_of(box_of(image, margin=2.0)[0]) / side_of(box_of(image, margin=1.0)[0])
    assert ratio == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("shift", [(5, -4), (-6, 0), (3, 7)])
def test_box_follows_a_galaxy_off_the_centre(shift):
    box, _ = box_of(galaxy(4.0, 76 + shift[0], 76 + shift[1]) + sky())
    assert middle_of(box) == pytest.approx((76.5 + shift[0], 76.5 + shift[1]), abs=3)


def test_a_separate_neighbour_leaves_the_box_alone():
    alone, _ = box_of(galaxy(4.0) + sky())
    beside, flags = box_of(galaxy(4.0) + galaxy(4.0, 135, 76, peak=3) + sky())
    assert np.abs(np.subtract(alone, beside)).max() <= 4
    assert not flags & NEIGHBOUR


def test_a_touching_neighbour_does_not_blow_up_the_box():
    alone = side_of(box_of(galaxy(4.0) + sky())[0])
    # A bright neighbour whose light joins the galaxy's, and a chain of others behind it.
    crowd = sum(galaxy(4.0, 76 + step, 76, peak=2) for step in (24, 44, 62))
    box, flags = box_of(galaxy(4.0) + crowd + sky())
    assert flags & NEIGHBOUR
    assert side_of(box) <= 1.8 * alone
    assert box[0] < 76 < box[2] and box[1] < 76 < box[3]


def test_a_companion_as_close_as_a_merger_stays_in_view():
    box, _ = box_of(galaxy(4.0) + galaxy(4.0, 90, 82, peak=0.8) + sky())
    assert box[0] + 5 < 76 and box[2] - 5 > 90


def test_a_star_nearby_is_not_taken_for_the_galaxy():
    star = galaxy(1.2, 87, 76, peak=30)
    box, _ = box_of(galaxy(6.0, axis_ratio=0.3) + star + sky())
    assert middle_of(box)[0] == pytest.approx(76, abs=8)


def test_edge_on_galaxy_fits_lengthwise():
    box, _ = box_of(galaxy(7.0, axis_ratio=0.15) + sky())
    round_one, _ = box_of(galaxy(7.0) + sky())
    assert side_of(box) == pytest.approx(side_of(round_one), rel=0.2)


def test_without_a_galaxy_the_default_box_is_cut_and_flagged():
    box, flags = box_of(sky(3), default_fraction=0.5)
    assert flags == DEFAULT_BOX
    assert side_of(box) == SIDE // 2
    assert middle_of(box) == pytest.approx((SIDE / 2, SIDE / 2), abs=1)


def test_a_faint_galaxy_at_the_noise_does_not_fail():
    box, _ = box_of(galaxy(4.0, peak=0.01) + sky())
    assert 24 <= side_of(box) <= SIDE


def test_a_galaxy_that_fills_the_frame_is_kept_whole():
    box, flags = box_of(galaxy(40.0, peak=3) + sky(), margin=1.5)
    assert box == (0, 0, SIDE, SIDE)
    assert flags & TOUCHES_FRAME


def test_halo_of_a_bright_star_at_the_edge_is_not_the_galaxy():
    halo = galaxy(60.0, 151, 151, peak=1.0)
    box, _ = box_of(galaxy(3.5, peak=3) + halo + sky())
    assert side_of(box) < 0.75 * SIDE


def test_saturated_star_keeps_a_valid_box():
    image = colours(galaxy(3.0, peak=500) + sky())
    box, _ = adaptive_box(image)
    assert 24 <= side_of(box) <= SIDE


def test_compression_noise_changes_little():
    image = colours(galaxy(5.0) + sky())
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    first, _ = adaptive_box(image)
    second, _ = adaptive_box(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    assert side_of(second) == pytest.approx(side_of(first), rel=0.15)


def test_large_frames_give_the_scaled_box():
    image = colours(galaxy(6.0) + sky())
    large = cv2.resize(image, (424, 424), interpolation=cv2.INTER_CUBIC)
    ratio = side_of(adaptive_box(large)[0]) / side_of(adaptive_box(image)[0])
    assert ratio == pytest.approx(424 / SIDE, rel=0.15)


@pytest.mark.parametrize("shape", [(152, 152), (100, 180), (180, 101), (16, 16), (31, 64)])
def test_boxes_lie_inside_any_frame(shape):
    rng = np.random.default_rng(4)
    for strength in (0, 40, 255):
        image = rng.integers(0, strength + 1, (*shape, 3)).astype(np.uint8)
        x0, y0, x1, y1 = adaptive_box(image)[0]
        assert 0 <= x0 < x1 <= shape[1]
        assert 0 <= y0 < y1 <= shape[0]


def test_crop_outside_the_frame_mirrors():
    image = colours(galaxy() + sky())
    crop = crop_image(image, (-76, 0, 76, 152), 152)
    np.testing.assert_array_equal(crop[:, 75], crop[:, 77])


def test_chunk_gives_what_single_frames_give():
    frames = grz_to_rgb(np.stack([galaxy(r) + sky(i) for i, r in enumerate((3.0, 5.0, 9.0))]))
    crops, boxes, flags = crop_chunk(frames, Crop(side_pix=64))
    assert crops.shape == (3, 64, 64, 3) and crops.dtype == np.uint8
    for i, frame in enumerate(frames):
        box, flag = adaptive_box(frame)
        assert tuple(boxes[i]) == box and flags[i] == flag


def test_impossible_images_are_refused():
    with pytest.raises(DataError, match="uint8"):
        adaptive_box(np.zeros((64, 64, 3), np.float32))


def write_store(path, images, **columns):
    with CutoutWriter(path) as writer:
        ids = [f"g{i}" for i in range(len(images))]
        writer.append(images, {"id": ids, "row": np.arange(len(images)) + 2, **columns})


def test_script_fills_small_holes_and_rejects_the_rest(tmp_path):
    images = np.stack([galaxy() + sky(i) for i in range(5)])
    images[1, 1, 80:84, 60:64] = np.nan  # a few pixels in one band
    images[2, :, :, :60] = 0.0  # no exposure on 40 per cent
    images[3] = np.nan
    images[4] = 1e-4  # one level everywhere
    labels = ["spiral", "", "other", "other", "spiral"]
    write_store(tmp_path / "c.h5", images, label=labels)
    crop_cutouts(tmp_path / "c.h5", tmp_path / "o.h5", tmp_path / "r.csv", Crop())
    with h5py.File(tmp_path / "o.h5") as out:
        assert list(out["id"].asstr()) == ["g0", "g1"]
        assert list(out["label"].asstr()) == ["spiral", ""]
        assert list(out["flag"][:] & BAD_PIXELS) == [0, BAD_PIXELS]
        assert out["images"].shape == (2, 128, 128, 3)
        np.testing.assert_array_equal(out["cutout_index"][:], [0, 1])
    rejected = pd.read_csv(tmp_path / "r.csv")
    assert list(rejected["id"]) == ["g2", "g3", "g4"]
    assert list(rejected["row"]) == [4, 5, 6]
    assert set(rejected["stage"]) == {"crop"}
    assert rejected["reason"].str.contains("39%|100%|blank").all()


def test_interpolated_pixels_leave_no_mark_on_the_crop(tmp_path):
    image = galaxy() + sky()
    damaged = image.copy()
    damaged[0, 74:77, 70:72] = np.nan
    write_store(tmp_path / "c.h5", np.stack([image, damaged]))
    crop_cutouts(tmp_path / "c.h5", tmp_path / "o.h5", tmp_path / "r.csv", Crop())
    with h5py.File(tmp_path / "o.h5") as out:
        first, second = out["images"][:].astype(int)
    assert np.abs(first - second).max() < 40


def test_script_fails_clearly_when_nothing_is_left(tmp_path):
    write_store(tmp_path / "c.h5", np.full((2, 3, SIDE, SIDE), np.nan, np.float32))
    with pytest.raises(DataError, match="no cutout can be used"):
        crop_cutouts(tmp_path / "c.h5", tmp_path / "o.h5", tmp_path / "r.csv", Crop())
    assert not (tmp_path / "o.h5").exists()


def test_the_survey_figures_show_every_class(tmp_path):
    labels = ["spiral"] * 5 + ["other"] * 2 + [""]
    images = np.stack([galaxy(3 + i) + sky(i) for i in range(8)])
    write_store(tmp_path / "c.h5", images, label=labels)
    crop_cutouts(tmp_path / "c.h5", tmp_path / "o.h5", tmp_path / "r.csv", Crop(margin=1.2))
    splits = pd.DataFrame({"index": range(8), "id": [f"g{i}" for i in range(8)], "label": labels})
    splits.assign(split="test").to_parquet(tmp_path / "s.parquet")
    files = [tmp_path / name for name in ("c.h5", "o.h5", "s.parquet", "sheet.pdf", "pairs.pdf")]
    plot_survey(*files, n_per_class=2, n_pairs=5)
    for name in ("sheet", "pairs"):
        assert (tmp_path / f"{name}.pdf").stat().st_size > 5000
        assert cv2.imread(str(tmp_path / f"{name}.png")).std() > 5
