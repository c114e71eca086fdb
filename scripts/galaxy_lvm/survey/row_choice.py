"""Which rows of a file are used: as many as 76 million, in no memory where nearly all are."""

from collections.abc import Iterator, Sequence

import numpy as np

_BLOCK = 1_000_000


def shortened(rows: np.ndarray) -> range | np.ndarray:
    """Return rows (n,) that follow each other as a range, others as they are."""
    rows = np.asarray(rows, dtype=np.int64)
    if len(rows) and bool((np.diff(rows) == 1).all()):
        return range(int(rows[0]), int(rows[-1]) + 1)
    return rows


class Rows:
    """Rows of a file by position. A list of nearly all, in order, is kept as what it leaves out.

    The 76 million rows of the largest pool would take 600 MB in every process of a training, and
    seconds to hand them over.

    Parameters
    ----------
    parts
        The rows in their order, in pieces: ranges (of step 1) and lists.
    """

    def __init__(self, parts: Sequence[range | Sequence[int] | np.ndarray]) -> None:
        pieces = [part if isinstance(part, range) else shortened(part) for part in parts]
        pieces = [piece for piece in pieces if len(piece)]
        self._n = sum(map(len, pieces))
        self._listed: np.ndarray | None = None
        # How many positions lie in front of each row that is left out.
        self._skipped = np.empty(0, dtype=np.int64)
        left_out = _left_out(pieces)
        if left_out is not None and len(left_out) <= self._n:
            self._skipped = left_out - np.arange(len(left_out))
        else:
            self._listed = np.concatenate([_listed(piece) for piece in pieces])

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[int]:
        for block in self.blocks():
            yield from block.tolist()

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self.at(np.arange(self._n)).astype(np.int64 if dtype is None else dtype)

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the rows (n,) at positions (n,)."""
        if self._listed is not None:
            return self._listed[positions]
        return positions + np.searchsorted(self._skipped, positions, side="right")

    def blocks(self, size: int = _BLOCK) -> Iterator[np.ndarray]:
        """Yield all rows, int64, in pieces of `size`."""
        for start in range(0, self._n, size):
            positions = np.arange(start, min(start + size, self._n))
            ends = np.searchsorted(self._skipped, positions[[0, -1]], side="right")
            if self._listed is None and ends[0] == ends[1]:
                yield positions + ends[0]
            else:
                yield self.at(positions)


def _listed(piece: range | np.ndarray) -> np.ndarray:
    return np.arange(piece.start, piece.stop) if isinstance(piece, range) else piece


def _left_out(pieces: Sequence[range | np.ndarray]) -> np.ndarray | None:
    """Return the rows below the last one that are not in the pieces; None unless they rise."""
    found, end = [np.empty(0, dtype=np.int64)], 0
    for piece in pieces:
        first, last = int(piece[0]), int(piece[-1])
        if first < end or (not isinstance(piece, range) and bool((np.diff(piece) <= 0).any())):
            return None
        found.append(np.arange(end, first))
        if not isinstance(piece, range):
            is_used = np.zeros(last + 1 - first, dtype=bool)
            is_used[piece - first] = True
            found.append(first + np.flatnonzero(~is_used))
        end = last + 1
    return np.concatenate(found)
