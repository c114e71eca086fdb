"""What tells features from others: a few numbers and hashes that follow from their content."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from galaxy_lvm.hitl.ranker import Features

# Other weights change every vector, so that a sample of them shows it.
SAMPLE_ROWS = 512
_KEPT_DIGITS = 16


def fingerprint_of(ids: Iterable[str], features: Features) -> dict[str, Any]:
    """Return what a label store keeps of the features that it is used with.

    It follows from the content alone: a copy of a file has the fingerprint of the file. All ids
    count, in their order; of the vectors `SAMPLE_ROWS`, evenly spaced, count to the last bit. Some
    100 ms for 200,000 vectors that are mapped.

    Parameters
    ----------
    ids
        Identifiers (N,).
    features
        (N, D).

    Returns
    -------
    dict
        `n_galaxies`, `dim`, `dtype`, and hashes of `ids` and `values`; made of what JSON knows.
    """
    n_rows, dim = (int(n) for n in features.shape)
    rows = np.unique(np.linspace(0, n_rows - 1, min(n_rows, SAMPLE_ROWS)).astype(np.int64))
    sample = np.ascontiguousarray(features[rows])
    # A byte that no id has by accident stands between them: "a", "bc" is not "ab", "c".
    names = "\x00".join(ids).encode("utf-8", "surrogatepass")
    return {
        "n_galaxies": n_rows,
        "dim": dim,
        "dtype": sample.dtype.str,
        "ids": _digits(names),
        "values": _digits(sample.tobytes()),
    }


def differences(known: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Return in words how features differ from those that are known."""
    found = []
    if known["n_galaxies"] != given["n_galaxies"]:
        found.append(f"{known['n_galaxies']} galaxies, now {given['n_galaxies']}")
    elif known["ids"] != given["ids"]:
        found.append("other galaxies, or the same in another order")
    if known["dim"] != given["dim"]:
        found.append(f"vectors of length {known['dim']}, now {given['dim']}")
    if known["dtype"] != given["dtype"]:
        found.append(f"numbers of type {known['dtype']}, now {given['dtype']}")
    return "; ".join(found) or "the same galaxies with other values of their vectors"


def _digits(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_KEPT_DIGITS]
