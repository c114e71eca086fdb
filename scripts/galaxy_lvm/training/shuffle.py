"""A shuffled order that is computed, not kept: of any number of items, in no memory."""

import numpy as np

_ROUNDS = 6
# Multiplicative hash of 64 bits (splitmix64's constants, Steele et al. 2014).
_ADD, _FIRST, _SECOND = (
    np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def shuffled_positions(places: np.ndarray, n_items: int, seed: int) -> np.ndarray:
    """Return which item stands at each place of a shuffled order of `n_items`.

    A Feistel network maps the numbers below the next power of four onto themselves, one to one;
    what falls beyond `n_items` is mapped again until it does not (Black & Rogaway 2002).

    Parameters
    ----------
    places
        Places (n,) in [0, n_items).
    n_items
        Length of the order, 1 to 2**62.
    seed
        Below 2**64; equal seeds give equal orders.

    Returns
    -------
    numpy.ndarray
        int64 (n,). All places together give every item once.
    """
    values = np.asarray(places, dtype=np.uint64)
    half_bits = np.uint64(max(1, -(-(n_items - 1).bit_length() // 2)))
    keys = _hash(np.uint64(seed) + np.arange(1, _ROUNDS + 1, dtype=np.uint64) * _ADD)
    values = _network(values, half_bits, keys)
    outside = values >= n_items
    while outside.any():
        values[outside] = _network(values[outside], half_bits, keys)
        outside = values >= n_items
    return values.astype(np.int64)


def _network(values: np.ndarray, half_bits: np.uint64, keys: np.ndarray) -> np.ndarray:
    low_bits = (np.uint64(1) << half_bits) - np.uint64(1)
    left, right = values >> half_bits, values & low_bits
    for key in keys:
        left, right = right, left ^ (_hash(right + key) & low_bits)
    return (left << half_bits) | right


def _hash(values: np.ndarray) -> np.ndarray:
    """Return 64 well-mixed bits of each number; overflow is meant."""
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
