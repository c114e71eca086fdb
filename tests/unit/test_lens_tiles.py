"""A large image in tiles: nothing is lost or found twice at their borders."""

import numpy as np
import pytest
from galaxy_lvm.core.config.lens_search import Tiles
from galaxy_lvm.lenses.tiles import detect_tiled, merge, pad_image, tile_starts
from pydantic import ValidationError
from spots import SpotFinder, sky

TILES = Tiles(tile_side_pix=96, overlap_pix=32, batch_size=3)


@pytest.mark.parametrize("length", [97, 160, 161, 500])
def test_tiles_cover_a_side_and_overlap_enough(length):
    starts = tile_starts(length, 96, 32)
    assert starts[0] == 0 and starts[-1] + 96 == length
    assert max(np.diff(starts)) <= 96 - 32


def test_an_object_on_a_border_is_found_once_and_whole():
    # 200 pixels: tiles begin at 0, 52 and 104. This one crosses 96 and begins before 104.
    image = sky(200, 200, [(85, 90, 18)])
    boxes, scores = detect_tiled(SpotFinder(), image, TILES)
    np.testing.assert_array_equal(boxes, [[85, 90, 103, 108]])
    assert scores.tolist() == pytest.approx([324 / 400])


@pytest.mark.parametrize("seed", range(3))
def test_a_tiled_search_finds_what_a_search_of_the_whole_finds(seed):
    rng = np.random.default_rng(seed)
    # One object per cell of 50 pixels, at least 2 pixels from the cell's sides.
    spots = [(50 * i + rng.integers(2, 24), 50 * j + rng.integers(2, 24), rng.integers(6, 24))
             for i in range(7) for j in range(5) if rng.random() < 0.6]  # fmt: skip
    image = sky(257, 353, spots)
    boxes, _ = detect_tiled(SpotFinder(), image, TILES)
    expected = sorted((x, y, x + side, y + side) for x, y, side in spots)
    assert sorted(map(tuple, boxes)) == expected


def test_an_object_larger_than_the_overlap_is_joined_from_its_pieces():
    image = sky(96, 200, [(30, 30, 50)])
    image[30:50, 30:150] = 220
    boxes, _ = detect_tiled(SpotFinder(), image, TILES)
    np.testing.assert_array_equal(boxes, [[30, 30, 150, 80]])


def test_merging_leaves_neighbours_of_one_tile_alone():
    boxes = np.array([[0, 0, 20, 20], [5, 5, 15, 15], [1, 0, 20, 20.0]])
    kept, scores = merge(boxes, np.array([0.5, 0.6, 0.9]), np.array([0, 0, 1]), np.zeros(3, bool))
    # The third is the first of another tile, and also covers the second.
    assert kept.tolist() == [[1, 0, 20, 20]] and scores.tolist() == [0.9]
    kept, _ = merge(boxes[:2], np.array([0.5, 0.6]), np.zeros(2, int), np.zeros(2, bool))
    assert len(kept) == 2


def test_a_whole_detection_wins_over_a_cut_one_of_a_higher_score():
    boxes = np.array([[0, 0, 12, 20], [0, 0, 20, 20.0]])
    kept, scores = merge(boxes, np.array([0.9, 0.5]), np.array([0, 1]), np.array([True, False]))
    assert kept.tolist() == [[0, 0, 20, 20]] and scores.tolist() == [0.5]


def test_small_images_are_padded_with_sky_and_nothing_is_found_outside():
    image = sky(40, 50, [(20, 10, 15)])
    padded = pad_image(image)
    assert padded.shape == (64, 64, 3) and (padded[40:] == 30).all()
    detector = SpotFinder()
    boxes, _ = detect_tiled(detector, image, TILES)
    np.testing.assert_array_equal(boxes, [[20, 10, 35, 25]])
    assert detector.shapes == [(1, 64, 64, 3)]
    edge = sky(40, 50, [(30, 30, 10)])  # ends with the image
    np.testing.assert_array_equal(detect_tiled(detector, edge, TILES)[0], [[30, 30, 40, 40]])
    # Bright padding stands for a detector that is wrong there.
    bright = SpotFinder(level=20)
    boxes, _ = detect_tiled(bright, sky(40, 50, []), TILES)
    assert (boxes[:, 2] <= 50).all() and (boxes[:, 3] <= 40).all()


@pytest.mark.parametrize("setting", [{"tile_side_pix": 100}, {"overlap_pix": 90}])
def test_impossible_tiles_are_refused(setting):
    with pytest.raises(ValidationError, match=next(iter(setting))):
        Tiles(**setting)
