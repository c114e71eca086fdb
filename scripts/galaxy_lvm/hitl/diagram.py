"""Figure 8: the human in the loop, drawn from the config and the built ranker."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from galaxy_lvm.core.config.hitl import Module
from galaxy_lvm.hitl.ranker import Ranker, RankerSettings, Whitening
from galaxy_lvm.hitl.selection import MIX, RULES
from galaxy_lvm.hitl.store import LABEL_COLUMNS, VALUES
from galaxy_lvm.report.boxes import FAINT, Box, Canvas, readable
from galaxy_lvm.report.style import COLOURS, PAGE_WIDTH_INCH

_HEIGHT = 3.35
_TOP, _BOTTOM = 2.02, 0.42
_BOX_HEIGHT = 0.98
_BACK, _FRONT = COLOURS["blue"], COLOURS["orange"]


@dataclass(frozen=True)
class ModuleParts:
    """What figure 8 names: sizes of the features and of the built ranker."""

    feature_dim: int
    n_components: int
    hidden_dim: int
    n_weights: int

    @classmethod
    def of(cls, feature_dim: int, settings: RankerSettings) -> "ModuleParts":
        """Build the ranker for features of this length, as for a pool with room for all components.

        A pool that spans fewer dimensions than `n_components` leaves fewer of them.
        """
        n_components = min(settings.n_components, feature_dim)
        whitening = Whitening(
            np.zeros(feature_dim, np.float32), np.zeros((feature_dim, n_components), np.float32)
        )
        n_weights = Ranker(whitening, settings).n_weights
        return cls(feature_dim, n_components, settings.hidden_dim, n_weights)


def draw_module(parts: ModuleParts, settings: Module) -> Figure:
    """Return figure 8.

    Parameters
    ----------
    parts
        Sizes.
    settings
        Of the config's section `hitl`.
    """
    return module_canvas(parts, settings).figure


def module_canvas(parts: ModuleParts, settings: Module) -> Canvas:
    """Draw figure 8; see `draw_module`."""
    canvas = Canvas(PAGE_WIDTH_INCH, _HEIGHT)
    ranker, scores = _backend(canvas, parts)
    store = _frontend(canvas, scores, settings)
    _feedback(canvas, store, ranker)
    canvas.text(0.05, _HEIGHT - 0.16, "Backend", ha="left", color=_BACK, weight="bold")
    canvas.text(0.05, 0.2, "Frontend and labels", ha="left", color=_FRONT, weight="bold")
    canvas.text(
        PAGE_WIDTH_INCH - 0.05, 0.2, "P, N: positives and negatives of the latest round",
        ha="right", color=FAINT,
    )  # fmt: skip
    return canvas


def _backend(canvas: Canvas, parts: ModuleParts) -> tuple[Box, Box]:
    """Draw the way from the pool to its scores; return the boxes of the ranker and the scores."""
    pool = canvas.box(
        Box(0.05, _TOP, 1.3, _BOX_HEIGHT), "Pool",
        ["galaxies,", "no labels"], COLOURS["grey"],
    )  # fmt: skip
    encoder = canvas.box(
        Box(1.8, _TOP, 1.45, _BOX_HEIGHT), "LVM encoder",
        ["fixed (figure 1),", "run once:", f"{parts.feature_dim} features a galaxy"], _BACK,
    )  # fmt: skip
    ranker = canvas.box(
        Box(3.7, _TOP, 1.5, _BOX_HEIGHT), "Ranker (MLP)",
        [f"{parts.feature_dim} → {parts.n_components} → {parts.hidden_dim} → 1",
         f"{readable(parts.n_weights)} weights,", "trained anew each round"], _BACK,
    )  # fmt: skip
    scores = canvas.box(
        Box(5.65, _TOP, 1.3, _BOX_HEIGHT), "Scores",
        ["probability of being", "what is looked for,", "for the whole pool"], _BACK,
    )  # fmt: skip
    for left, right in ((pool, encoder), (encoder, ranker), (ranker, scores)):
        canvas.arrow(left.right, right.left)
    return ranker, scores


def _frontend(canvas: Canvas, scores: Box, settings: Module) -> Box:
    """Draw the way from the scores to the labels; return the box of the store."""
    selection = canvas.box(
        Box(5.1, _BOTTOM, 1.85, _BOX_HEIGHT), "Selection",
        [f"P/N ≤ α = {settings.alpha:g}: highest scores", f"P/N > α: {_lower(settings)}",
         f"{settings.n_recommended} galaxies a round", f"or {_other_rules()}"], _BACK,
    )  # fmt: skip
    people = canvas.box(
        Box(2.75, _BOTTOM, 1.75, _BOX_HEIGHT), "People",
        ["click on galaxies in a browser", "or label them in a notebook:", ", ".join(VALUES)],
        _FRONT,
    )  # fmt: skip
    store = canvas.box(
        Box(0.05, _BOTTOM, 2.1, _BOX_HEIGHT), "Label store",
        ["SQLite, only ever appended to:", ", ".join(LABEL_COLUMNS[1:4]),
         ", ".join(LABEL_COLUMNS[4:]).replace("_", " "), "killed sessions go on from here"],
        _FRONT,
    )  # fmt: skip
    canvas.arrow(scores.bottom, (scores.bottom[0], selection.top[1]))
    canvas.arrow(selection.left, people.right)
    canvas.arrow(people.left, store.right)
    return store


def _feedback(canvas: Canvas, store: Box, ranker: Box) -> None:
    """Draw the labels' way back to the ranker."""
    middle = (_BOTTOM + _BOX_HEIGHT + _TOP) / 2
    x = ranker.bottom[0]
    canvas.arrow(store.top, (store.top[0], middle), (x, middle), ranker.bottom)
    canvas.text((store.top[0] + x) / 2, middle + 0.09, "labels of all annotators", color=FAINT)


def _lower(settings: Module) -> str:
    return {"below_boundary": "just below 0.5", "lowest": "lowest scores"}[settings.lower]


def _other_rules() -> str:
    names = [name.replace("_", " ") for name in RULES if name not in ("alpha", *MIX, "mix")]
    return f"another rule ({len(RULES) - 1}, e.g. {names[0]})"
