"""Which rows of long files are read: samples and blocks."""

from collections.abc import Iterator

import numpy as np


def sample_rows(n_rows: int, n_wanted: int, seed: int) -> np.ndarray:
    """Return at most `n_wanted` of `n_rows` row numbers, drawn at random, rising."""
    if n_wanted >= n_rows:
        return np.arange(n_rows)
    # Without a permutation of all rows: those may be 76 million.
    return np.sort(np.random.default_rng(seed).choice(n_rows, n_wanted, replace=False))


def row_blocks(n_rows: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` rows that cover `n_rows`."""
    for first in range(0, n_rows, size):
        yield slice(first, min(first + size, n_rows))
