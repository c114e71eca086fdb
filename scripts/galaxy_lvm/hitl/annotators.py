"""Simulated annotators: perfect, noisy, and one that votes like the volunteers of Galaxy Zoo."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE

Annotator = Callable[[Sequence[str]], list[str]]
"""Takes ids, returns "positive" or "negative" for each. The same galaxy gets the same answer."""

_UNIT = 2.0**63


def _chance(seed: int, what: str, name: str) -> float:
    """Return a number in [0, 1) that depends on the galaxy and the seed, not on the order."""
    return derive_seed(seed, what, name) / _UNIT


def perfect(truth: Mapping[str, bool]) -> Annotator:
    """Return an annotator who is always right.

    Parameters
    ----------
    truth
        Id -> whether the galaxy is a positive.
    """

    def answer(ids: Sequence[str]) -> list[str]:
        return [POSITIVE if _known(truth, name) else NEGATIVE for name in ids]

    return answer


def noisy(truth: Mapping[str, bool], flip_rate: float, seed: int) -> Annotator:
    """Return an annotator who errs on a share of the galaxies, positives and negatives alike.

    Parameters
    ----------
    truth
        Id -> whether the galaxy is a positive.
    flip_rate
        Share of wrong answers, 0 to 0.5.
    seed
        Which galaxies are mistaken.

    Raises
    ------
    ConfigError
        For a rate outside its range: above a half the labels would be swapped.
    """
    if not 0 <= flip_rate <= 0.5:
        raise ConfigError(f"hitl: flip_rate is {flip_rate}, expected 0 to 0.5")

    def answer(ids: Sequence[str]) -> list[str]:
        flipped = [_chance(seed, "flip", str(name)) < flip_rate for name in ids]
        true = [bool(_known(truth, name)) for name in ids]
        return [POSITIVE if t != f else NEGATIVE for t, f in zip(true, flipped, strict=True)]

    return answer


def voting(fractions: Mapping[str, float], seed: int) -> Annotator:
    """Return an annotator who says yes as often as the volunteers did (Willett et al. 2013).

    Parameters
    ----------
    fractions
        Id -> share of the votes that were for the target, 0 to 1.
    seed
        Which volunteer is asked.

    Raises
    ------
    DataError
        If a fraction is outside its range or missing.
    """
    values = np.array(list(fractions.values()), dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        name = list(fractions)[int(np.argmin((values >= 0) & (values <= 1)))]
        raise DataError(f"vote fraction of {name!r} is {fractions[name]}, expected 0 to 1")

    def answer(ids: Sequence[str]) -> list[str]:
        return [
            POSITIVE if _chance(seed, "vote", str(name)) < _known(fractions, name) else NEGATIVE
            for name in ids
        ]

    return answer


def _known(table: Mapping[str, float], name: str) -> float:
    if str(name) not in table:
        raise DataError(f"the simulated annotator knows nothing about galaxy {name!r}")
    return table[str(name)]
