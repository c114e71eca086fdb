"""Galaxy-image framework: a large vision model, tasks on its encoder and a human in the loop.

The library behind the workflow's scripts, in chapters as the rules are: `core`, `report`, `survey`,
`simulation`, `lvm`, `training`, then `features`, `multitask`, `fewshot`, `lenses` and `hitl`; `ui`
is the labelling page, `cli` the command `galaxy-lvm`. A chapter imports from those before it only
(docs/architecture.md).

`load_encoder` turns images into feature vectors; it is fetched when it is asked for, so that the
import of the package stays cheap.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

# By name, not by an import statement: what every script imports is part of its hash.
_LAZY = {"load_encoder": "galaxy_lvm.features.encoder"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
