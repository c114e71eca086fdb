"""Find galaxies that are in a data set more than once, by position or by their pixels.

A copy in the training set and another in the test set would flatter every model. Two signs are
used: positions on the sky that agree within a few arcsec, and crops that show the same pixels,
perhaps turned, mirrored, moved by a little or compressed again. Small thumbnails alone cannot tell
copies from look-alikes (two round ellipticals correlate to 0.99), hence two steps: thumbnails
choose candidates, and fine detail, noise included, decides.
"""

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.survey.crop_store import CropStore

log = logging.getLogger("galaxy_lvm.duplicates")

ARCSEC_PER_RADIAN = 180 / np.pi * 3600

_THUMBNAIL_SIDE_PIX = 24
_THUMBNAIL_SMOOTHING_PIX = 1.5
_CANDIDATE_CORRELATION = 0.92
_DETAIL_SIDE_PIX = 64
_DETAIL_SMOOTHING_PIX = 1.0
_DETAIL_SHIFT_PIX = 3
_CONTRAST_SMOOTHING_PIX = 3.0
# On 3200 SDSS images: the closest two different galaxies reach 0.20; copies that were resampled,
# moved and compressed again 0.53 at least.
DETAIL_CORRELATION = 0.35

# So many at exactly one place, or more than half of all, are looked at, and this many of them.
_MANY_AT_ONE_PLACE, _MOST_COMPARED = 10, 64
# Thumbnails of one galaxy, taken again with other noise, correlate to 0.84 and more where it is
# well seen; those of different spirals to 0.2, of different ellipticals to 0.6.
_LOOK_ALIKE = 0.8

_BLOCK = COMPARED_AT_ONCE = 1024
_RINGS = 6
_NEIGHBOURS = 32
# In a set of look-alikes every pair is a candidate; a copy is among the best few.
_CANDIDATES_PER_CROP = 8


def duplicate_groups(
    crops: np.ndarray | CropStore,
    ra_deg: np.ndarray | None = None,
    dec_deg: np.ndarray | None = None,
    radius_arcsec: float = 3.0,
    all_pairs_limit: int = 10_000,
) -> np.ndarray:
    """Give every galaxy a number that its copies share.

    Parameters
    ----------
    crops
        uint8, shape (N, S, S, 3), or the store that holds them.
    ra_deg, dec_deg
        Positions; NaN where unknown. None: crops alone decide.
    radius_arcsec
        Positions closer than this are one galaxy; 0 switches this test off.
    all_pairs_limit
        Up to this many crops, all pairs are compared. Above, each with its 32 nearest by colours
        and light profile only, which misses heavily changed copies.

    Returns
    -------
    numpy.ndarray
        int64, shape (N,), 0 to the number of different galaxies - 1, in order of appearance.
    """
    count = len(crops)
    pairs = [copies_by_pixels(crops, all_pairs_limit)]
    if ra_deg is not None and dec_deg is not None and radius_arcsec > 0:
        ra_deg = np.where(shared_positions(crops, ra_deg, dec_deg), np.nan, ra_deg)
        pairs.append(copies_by_position(ra_deg, dec_deg, radius_arcsec))
    first, second = np.concatenate(pairs).T
    graph = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(count, count))
    numbers = connected_components(graph, directed=False)[1]
    _, firsts, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[inverse].astype(np.int64)


def shared_positions(
    crops: np.ndarray | CropStore, ra_deg: np.ndarray, dec_deg: np.ndarray
) -> np.ndarray:
    """Mark the galaxies (N,) whose position is not theirs: that of a field, a brick, a default.

    Many galaxies at exactly one place that do not look alike have been given one position, by a
    header that was copied from file to file or a table that names the field.

    Parameters
    ----------
    crops
        uint8, shape (N, S, S, 3), or the store that holds them.
    ra_deg, dec_deg
        Positions; NaN where unknown.
    """
    ra, dec = np.asarray(ra_deg, float), np.asarray(dec_deg, float)
    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    marked = np.zeros(len(ra), bool)
    # Both coordinates, to a ten-millionth of a degree, in one number: quicker and smaller to sort.
    east, north = (np.rint(1e7 * values[known]).astype(np.int64) for values in (ra, dec))
    places = (east << 31) + north
    each, count = np.unique(places, return_counts=True)
    for place in each[count >= min(_MANY_AT_ONE_PLACE, max(3, len(known) // 2 + 1))]:
        rows = known[places == place]
        # Some are enough to see whether they look alike.
        some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_COMPARED)).astype(int)]
        flat = _thumbnails(np.stack([crops[int(i)] for i in some]))[0].reshape(len(some), -1)
        alike = (flat @ flat.T)[np.triu_indices(len(some), 1)]
        if np.median(alike) < _LOOK_ALIKE:
            marked[rows] = True
            log.warning(
                "%d galaxies are all at ra %.6f, dec %.6f and do not look alike: that position is "
                "not theirs and finds no copies; give each its own",
                len(rows), ra[rows[0]], dec[rows[0]],
            )  # fmt: skip
    return marked


def copies_by_position(ra_deg: np.ndarray, dec_deg: np.ndarray, radius_arcsec: float) -> np.ndarray:
    """Return the pairs (n, 2) of rows that lie within a radius of each other on the sky."""
    ra, dec = np.deg2rad(np.asarray(ra_deg, float)), np.deg2rad(np.asarray(dec_deg, float))
    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    if not len(known):
        return np.empty((0, 2), int)
    ra, dec = ra[known], dec[known]
    # Unit vectors, so that neither the poles nor ra = 0 need care.
    points = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], 1)
    chord = 2 * np.sin(radius_arcsec / ARCSEC_PER_RADIAN / 2)
    return known[cKDTree(points).query_pairs(chord, output_type="ndarray")].reshape(-1, 2)


def copies_by_pixels(crops: np.ndarray | CropStore, all_pairs_limit: int = 10_000) -> np.ndarray:
    """Return the pairs (n, 2) of rows whose crops show the same pixels."""
    if len(crops) <= all_pairs_limit:
        candidates = _candidates_of_all(_thumbnails(crops)[0])
    else:
        with _KeptThumbnails(crops) as kept:
            candidates = _candidates_nearby(kept)
    copies = [
        (i, j) for i, j, turn in candidates if _same_detail(crops[i], _turned(crops[j], turn))
    ]
    return np.array(copies, int).reshape(-1, 2)


def copies_across(
    first: np.ndarray | CropStore,
    second: np.ndarray | CropStore,
    start: int = 0,
    stop: int | None = None,
) -> np.ndarray:
    """Return the pairs (n, 2), row of `first` and row of `second`, that show the same pixels.

    Memory is bounded by `first`; `second` is read in blocks and may be as large as it likes.

    Parameters
    ----------
    first, second
        uint8, shapes (M, S, S, 3) and (N, S, S, 3), or the stores that hold them.
    start, stop
        Rows of `second` that are looked at; all where not given.
    """
    if not len(first) or not len(second):
        return np.empty((0, 2), int)
    flat = _thumbnails(first)[0]
    turned = [np.ascontiguousarray(_turned(flat, t)).reshape(len(flat), -1) for t in range(8)]
    pairs = []
    stop = len(second) if stop is None else min(stop, len(second))
    for begin in range(start, stop, COMPARED_AT_ONCE):
        block = second[begin : min(begin + COMPARED_AT_ONCE, stop)]
        others = _thumbnails(block)[0].reshape(len(block), -1)
        for i, j, turn in _candidates_across(turned, others):
            if _same_detail(block[j], _turned(first[i], turn)):
                pairs.append((i, begin + j))
    return np.array(pairs, int).reshape(-1, 2)


def _candidates_across(
    turned: list[np.ndarray], others: np.ndarray
) -> Iterator[tuple[int, int, int]]:
    """Yield (i, j, turn of i) for the best few of the first that look like each of the others."""
    for start in range(0, len(turned[0]), _BLOCK):
        alike = np.stack([others @ some[start : start + _BLOCK].T for some in turned])
        turn, best = alike.argmax(axis=0), alike.max(axis=0)
        for j in np.flatnonzero((best > _CANDIDATE_CORRELATION).any(axis=1)):
            ranked = np.argsort(-best[j])[:_CANDIDATES_PER_CROP]
            for i in ranked[best[j, ranked] > _CANDIDATE_CORRELATION]:
                yield int(start + i), int(j), int(turn[j, i])


def _turned(images: np.ndarray, turn: int) -> np.ndarray:
    """Return images (..., S, S, C) in one of the 8 orientations of a square; 0 is as they are."""
    images = np.rot90(images, turn % 4, axes=(-3, -2))
    return images[..., ::-1, :] if turn >= 4 else images


def _unit(values: np.ndarray) -> np.ndarray:
    """Return rows of mean 0 and length 1; an empty row stays 0."""
    values = values.reshape(len(values), -1)
    values = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.maximum(length, 1e-6)


def _thumbnails(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return grey detail (N, side, side, 1) and colours by ring (N, 3 * rings) of all crops."""
    side = _THUMBNAIL_SIDE_PIX
    detail = np.empty((len(crops), side, side), np.float32)
    y, x = np.indices((side, side)) - (side - 1) / 2
    ring = np.minimum(np.hypot(x, y) / (side / 2) * _RINGS, _RINGS - 1).astype(int).ravel()
    ring_mean = np.eye(_RINGS, dtype=np.float32)[ring]
    ring_mean /= ring_mean.sum(axis=0)
    profiles = np.empty((len(crops), 3 * _RINGS), np.float32)
    for start in range(0, len(crops), _BLOCK):
        for i, crop in enumerate(crops[start : start + _BLOCK], start=start):
            small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
            grey = small.mean(axis=2)
            detail[i] = grey - cv2.GaussianBlur(grey, (0, 0), _THUMBNAIL_SMOOTHING_PIX)
            profiles[i] = (small.reshape(-1, 3).T @ ring_mean).ravel()
        # Block by block: a copy of all details would need as much memory again.
        block = detail[start : start + _BLOCK]
        block[:] = _unit(block).reshape(block.shape)
    return detail[..., None], profiles


class _KeptThumbnails:
    """Thumbnails of any number of crops in a temporary file, in memory only while they are read."""

    def __init__(self, crops: np.ndarray | CropStore) -> None:
        self.count, profiles = len(crops), []
        self._file = tempfile.TemporaryFile()
        for start in range(0, self.count, _BLOCK):
            detail, of_block = _thumbnails(crops[start : start + _BLOCK])
            self._write(detail.tobytes())
            profiles.append(of_block)
        self.profiles = np.concatenate(profiles)

    def _write(self, content: bytes) -> None:
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise DataError(
                f"{tempfile.gettempdir()}: no place for the thumbnails of {self.count} crops "
                f"({in_short(error)}); make room, or set TMPDIR to a folder with more"
            ) from error

    def __enter__(self) -> "_KeptThumbnails":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return thumbnails (n, side, side, 1)."""
        each, places = np.unique(rows, return_inverse=True)
        side, file = _THUMBNAIL_SIDE_PIX, self._file.fileno()
        # Read, not mapped: a map would hold the pages around each row as well.
        parts = [os.pread(file, 4 * side**2, 4 * side**2 * row) for row in each.tolist()]
        return np.frombuffer(b"".join(parts), np.float32).reshape(-1, side, side, 1)[places]


def _candidates_of_all(thumbnails: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (i, j, turn of j), i < j, of all pairs of thumbnails that look alike."""
    count = len(thumbnails)
    found = {}
    for turn in range(8):
        turned = np.ascontiguousarray(_turned(thumbnails, turn)).reshape(count, -1)
        flat = thumbnails.reshape(count, -1)
        for start in range(0, count, _BLOCK):
            # Only rows above the diagonal: every pair once.
            alike = flat[start : start + _BLOCK] @ turned[start:].T
            for i, j in np.argwhere(alike > _CANDIDATE_CORRELATION):
                if i < j:
                    found.setdefault((start + i, start + j), []).append((alike[i, j], turn))
    best = sorted(((*max(turns), i, j) for (i, j), turns in found.items()), reverse=True)
    taken, candidates = Counter(), []
    for _, turn, i, j in best:
        if min(taken[i], taken[j]) < _CANDIDATES_PER_CROP:
            taken.update((i, j))
            candidates.append((int(i), int(j), turn))
    return candidates


def _candidates_nearby(kept: _KeptThumbnails) -> list[tuple[int, int, int]]:
    """Return the same among each crop's nearest by ring colours, which no turn changes."""
    pairs = _pairs_nearby(kept.profiles)
    found = []
    for start in range(0, len(pairs), 8 * _BLOCK):
        i, j = np.divmod(pairs[start : start + 8 * _BLOCK], kept.count)
        first, second = kept.take(i).reshape(len(i), -1), kept.take(j)
        alike = np.stack(
            [
                np.einsum("nd,nd->n", first, _turned(second, turn).reshape(len(j), -1))
                for turn in range(8)
            ]
        )
        best = alike.argmax(axis=0)
        for k in np.flatnonzero(alike.max(axis=0) > _CANDIDATE_CORRELATION):
            found.append((int(i[k]), int(j[k]), int(best[k])))
    return found


def _pairs_nearby(profiles: np.ndarray) -> np.ndarray:
    """Return i * N + j, rising, of all rows i < j (N, D) of which one is among the other's nearest.

    One number a pair, and of a block at a time what leads to it: a million rows have 30 million.
    """
    tree, count = cKDTree(profiles), len(profiles)
    codes = []
    for start in range(0, count, 16 * _BLOCK):
        block = profiles[start : start + 16 * _BLOCK]
        near = tree.query(block, k=min(_NEIGHBOURS + 1, count))[1]
        own = start + np.arange(len(block))[:, None]
        low, high = np.minimum(near, own), np.maximum(near, own)
        codes.append((low * count + high)[low < high])
    pairs = np.concatenate(codes)
    codes.clear()
    pairs.sort()  # in place: of a million rows these are 300 MB
    return pairs[np.diff(pairs, prepend=-1) > 0]


def _same_detail(first: np.ndarray, second: np.ndarray) -> bool:
    """Compare two crops' fine detail, allowing for a small shift between their boxes."""
    inner = slice(_DETAIL_SHIFT_PIX, -_DETAIL_SHIFT_PIX)
    template = np.ascontiguousarray(_detail(second)[inner, inner])
    alike = cv2.matchTemplate(_detail(first), template, cv2.TM_CCOEFF_NORMED)
    return bool(alike.max() > DETAIL_CORRELATION)


def _detail(crop: np.ndarray) -> np.ndarray:
    """Return the fine structure of a crop at the same contrast everywhere, float32 (64, 64, 3).

    Without the even contrast the sharp edges of two discs seen edge-on outweigh all else.
    """
    size = (_DETAIL_SIDE_PIX, _DETAIL_SIDE_PIX)
    small = cv2.resize(np.ascontiguousarray(crop), size, interpolation=cv2.INTER_AREA)
    small = small.astype(np.float32)
    detail = small - cv2.GaussianBlur(small, (0, 0), _DETAIL_SMOOTHING_PIX)
    power = cv2.GaussianBlur((detail * detail).mean(axis=2), (0, 0), _CONTRAST_SMOOTHING_PIX)
    # Half a grey level keeps flat, noise-free areas at zero.
    return detail / (np.sqrt(power) + 0.5)[..., None]
