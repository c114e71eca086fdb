"""Cards of weights files: what lies in the weights, as JSON beside them; no torch needed."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galaxy_lvm import __version__
from galaxy_lvm.core.errors import DataError

# Raised when a card comes to mean something else; cards without the key are of version 1.
CARD_VERSION = 1


def card_path(weights: str | os.PathLike) -> Path:
    """Return where the card of a weights file is kept: the same name with `.json`."""
    return Path(weights).with_suffix(".json")


def read_card(weights: str | os.PathLike) -> dict[str, Any]:
    """Return the card of a weights file.

    Raises
    ------
    DataError
        If there is none, it cannot be read, or it is of a newer version.
    """
    path = card_path(weights)
    if not path.exists():
        raise DataError(f"{path}: missing; weights are only used together with their card")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no readable card ({error}); copy it again") from error
    if not isinstance(card, dict):
        raise DataError(f"{path}: holds no card, but {type(card).__name__}; copy it again")
    version = card.get("card_version", 1)
    if not isinstance(version, int) or version > CARD_VERSION:
        raise DataError(
            f"{path}: a card of version {version!r}, newer than this program ({__version__}) "
            f"knows ({CARD_VERSION}); install the version that wrote it"
        )
    return card


def read_card_of(
    weights: str | os.PathLike, keys: Sequence[str], kinds: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the card of a weights file of which more is known.

    Parameters
    ----------
    weights
        The file.
    keys
        What the card has to say.
    kinds
        What its key `kind` may be; cards of other networks have none.

    Raises
    ------
    DataError
        As `read_card`; if the card is that of something else.
    """
    card, path = read_card(weights), card_path(weights)
    if kinds and card.get("kind") not in kinds:
        found = f"kind {card['kind']!r}" if "kind" in card else f"no kind, but {_in_words(card)}"
        raise DataError(
            f"{path}: weights of something else: {found}; here belongs {' or '.join(kinds)}"
        )
    if lacking := [key for key in keys if key not in card]:
        raise DataError(
            f"{path}: weights of something else, or a damaged card: no {', '.join(lacking)}, but "
            f"{_in_words(card)}; copy card and weights again"
        )
    return card


def _in_words(card: dict[str, Any]) -> str:
    return ", ".join(card) or "nothing"
