"""Where weights of encoders lie: the released ones, a file, or those of a finished run."""

import os
from pathlib import Path

from galaxy_lvm.core.cards import read_card
from galaxy_lvm.core.errors import DataError

RELEASED = "released"
_FILE = "released.safetensors"
# In a checkout beside `scripts`; pip puts them into the package.
_PLACES = (Path(__file__).parents[3] / "weights", Path(__file__).parents[1] / "weights")
_PRETRAINED = "models/pretrain/*/lvm.safetensors"


def released_weights() -> Path:
    """Return the file of the released weights; their card lies beside it.

    Raises
    ------
    DataError
        If this version comes without them.
    """
    for place in _PLACES:
        if (place / _FILE).is_file():
            return place / _FILE
    raise DataError(
        f"{_PLACES[0] / _FILE}: there are no released weights in this version; give the path of an "
        "lvm.safetensors or the name of a finished run instead of 'released'"
    )


def weights_file(which: str | os.PathLike) -> Path:
    """Return a weights file by what a config says: `released`, or a path.

    Raises
    ------
    DataError
        If there is no such file.
    """
    if str(which) == RELEASED:
        return released_weights()
    path = Path(which)
    if not path.is_file():
        raise DataError(
            f"{path}: no such weights; give the path of an lvm.safetensors, or released"
        )
    return path


def encoder_file(which: str | os.PathLike) -> Path:
    """Return the weights file of an encoder: `released`, a file, or a run's folder or name.

    Raises
    ------
    DataError
        If there is no such thing, or a run whose encoder is not there or not known from others.
    """
    if str(which) == RELEASED or str(which).endswith(".safetensors"):
        return weights_file(which)
    run = run_folder(which)
    found = {path.parent.name: path for path in sorted(run.glob(_PRETRAINED))}
    if not found:
        raise DataError(f"{run}: no {_PRETRAINED} in it; the run has not finished its pretraining")
    if len(found) > 1:
        found = {name: path for name, path in found.items() if name in _in_use(run)} or found
    if len(found) > 1:
        names = ", ".join(str(path) for path in found.values())
        raise DataError(f"{run}: several encoders; give the path of one of them: {names}")
    return next(iter(found.values()))


def run_folder(which: str | os.PathLike) -> Path:
    """Return the folder of a run, given itself or by the run's name.

    Raises
    ------
    DataError
        If there is none.
    """
    places = [Path(which), Path("results") / which]
    for place in places:
        if place.is_dir():
            return place
    raise DataError(
        f"{which}: neither 'released', nor a .safetensors file, nor the folder or name of a run "
        f"({places[1]} is not there)"
    )


def _in_use(run: Path) -> set[str]:
    """Return the pretrainings that the run's tasks started from, as their cards say."""
    names = set()
    for card in sorted(run.glob("models/multitask/*.json")):
        names.add(Path(read_card(card).get("pretrained", "")).parent.name)
    return names
