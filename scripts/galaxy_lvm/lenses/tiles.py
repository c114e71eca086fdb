"""Search an image of any size with a detector of small fields: tiles that overlap, then merging."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from galaxy_lvm.core.config.lens_search import Tiles

# Detectors take sides that are multiples of this, and nothing smaller than the second.
SIDE_STEP_PIX = 32
SMALLEST_SIDE_PIX = 64
# Detections of two tiles are one object where they share this much of the smaller box.
_SHARED = 0.5
# A box that ends this close to its tile's border is cut by it.
_BORDER_PIX = 2.0


class HasBoxes(Protocol):
    """What a detector returns for one image: edges (n, 4) in pixels and scores (n,)."""

    boxes: np.ndarray
    scores: np.ndarray


class Detector(Protocol):
    """What is needed of a detector."""

    def detect(self, images: np.ndarray) -> Sequence[HasBoxes]:
        """Return what is found in images (B, H, W, 3) uint8 at 0.262 arcsec per pixel."""


def tile_starts(length_pix: int, tile_side_pix: int, overlap_pix: int) -> list[int]:
    """Return where tiles begin along one side, spread evenly from the first to the last pixel."""
    if length_pix <= tile_side_pix:
        return [0]
    step = tile_side_pix - overlap_pix
    n_tiles = 1 + -(-(length_pix - tile_side_pix) // step)
    return np.linspace(0, length_pix - tile_side_pix, n_tiles).round().astype(int).tolist()


def pad_image(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3) padded at its ends to sides that detectors take.

    The padding has the image's median colour, as sky; a mirror would show lenses twice.
    """
    sides = [
        max(SMALLEST_SIDE_PIX, -(-length // SIDE_STEP_PIX) * SIDE_STEP_PIX)
        for length in image.shape[:2]
    ]
    padded = np.empty((*sides, 3), np.uint8)
    padded[:] = np.median(image, axis=(0, 1)).round()
    padded[: image.shape[0], : image.shape[1]] = image
    return padded


def detect_tiled(
    detector: Detector, image: np.ndarray, settings: Tiles, score_threshold: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Search one image.

    Parameters
    ----------
    detector
        With a method `detect`.
    image
        uint8 (H, W, 3) at 0.262 arcsec per pixel, of any size.
    settings
        Tiles.
    score_threshold
        Detections below it are left out.

    Returns
    -------
    boxes : numpy.ndarray
        (n, 4) edges x_min, y_min, x_max, y_max in pixels of `image`, best first.
    scores : numpy.ndarray
        (n,).
    """
    height, width = image.shape[:2]
    boxes, scores, tiles, cut = [np.zeros((0, 4))], [np.zeros(0)], [np.zeros(0, int)], []
    for number, (corner, side, found) in enumerate(_search_tiles(detector, image, settings)):
        kept = np.asarray(found.scores) >= score_threshold
        own = np.asarray(found.boxes, dtype=float).reshape(-1, 4)[kept]
        cut += [_is_cut(box, corner, side, (width, height)) for box in own]
        boxes.append(own + np.tile(corner, 2))
        scores.append(np.asarray(found.scores, dtype=float)[kept])
        tiles.append(np.full(len(own), number))
    all_boxes, score = np.concatenate(boxes), np.concatenate(scores)
    centre = (all_boxes[:, :2] + all_boxes[:, 2:]) / 2
    # What the detector saw in the padding is not in the image.
    inside = (centre < (width, height)).all(axis=1)
    all_boxes = np.clip(all_boxes, 0, np.tile((width, height), 2))
    return merge(
        all_boxes[inside],
        score[inside],
        np.concatenate(tiles)[inside],
        np.array(cut, dtype=bool)[inside],
    )


def _search_tiles(
    detector: Detector, image: np.ndarray, settings: Tiles
) -> Iterator[tuple[tuple[int, int], tuple[int, int], HasBoxes]]:
    """Yield corner (x, y), size (width, height) and detections of every tile."""
    side, overlap = settings.tile_side_pix, settings.overlap_pix
    # A side that is tiled needs no padding: its last tile ends with it.
    padded = pad_image(image)
    height, width = (
        min(side, p) if length <= side else side
        for p, length in zip(padded.shape[:2], image.shape[:2], strict=True)
    )
    corners = [
        (x, y)
        for y in tile_starts(image.shape[0], height, overlap)
        for x in tile_starts(image.shape[1], width, overlap)
    ]
    for first in range(0, len(corners), settings.batch_size):
        batch = corners[first : first + settings.batch_size]
        tiles = np.stack([padded[y : y + height, x : x + width] for x, y in batch])
        for corner, found in zip(batch, detector.detect(tiles), strict=True):
            yield corner, (width, height), found


def _is_cut(
    box: np.ndarray, corner: tuple[int, int], side: tuple[int, int], image: tuple[int, int]
) -> bool:
    """Return whether a box of a tile ends at a border beyond which the image goes on."""
    for low, high, start, length, end in zip(box[:2], box[2:], corner, side, image, strict=True):
        if (low < _BORDER_PIX and start > 0) or (
            high > length - _BORDER_PIX and start + length < end
        ):
            return True
    return False


def merge(
    boxes: np.ndarray, scores: np.ndarray, tiles: np.ndarray, cut: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keep one detection of every object that several tiles show.

    Whole ones win over those that a tile's border cuts, then the higher score. Detections of the
    same tile are left as the detector gave them. Pieces of an object that no tile shows whole are
    joined.

    Parameters
    ----------
    boxes
        (n, 4) edges in pixels of the whole image.
    scores
        (n,).
    tiles
        (n,) number of the tile.
    cut
        (n,) bool, box ends at a border inside the image.

    Returns
    -------
    boxes, scores
        Of the objects, best first.
    """
    boxes = boxes.copy()
    kept: list[int] = []
    for i in np.lexsort((-scores, cut)):
        others = np.array([j for j in kept if tiles[j] != tiles[i]], dtype=int)
        same = others[_shared(boxes[i], boxes[others]) > _SHARED]
        if not len(same):
            kept.append(int(i))
        elif cut[i] and cut[same[0]]:
            boxes[same[0], :2] = np.minimum(boxes[same[0], :2], boxes[i, :2])
            boxes[same[0], 2:] = np.maximum(boxes[same[0], 2:], boxes[i, 2:])
    order = sorted(kept, key=lambda i: -scores[i])
    return boxes[order], scores[order]


def _shared(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the area that a box shares with others (n, 4), over the smaller of the two areas."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    area, areas = np.prod(box[2:] - box[:2]), np.prod(others[:, 2:] - others[:, :2], axis=1)
    return np.prod(np.maximum(sides, 0), axis=1) / np.maximum(np.minimum(area, areas), 1e-9)
