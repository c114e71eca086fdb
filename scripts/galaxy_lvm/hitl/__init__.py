"""The human in the loop (paper V): ask about a few galaxies, learn, rank the rest, ask again.

`Session` is fetched when it is asked for: the process that trains the page's model needs little.
"""

from importlib import import_module
from typing import Any

__all__ = ["Session"]


def __getattr__(name: str) -> Any:
    if name == "Session":
        return import_module("galaxy_lvm.hitl.session").Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
