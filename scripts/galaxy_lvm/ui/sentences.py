"""What the page says of the rules, in words."""

import math
from collections.abc import Mapping
from typing import Any

from galaxy_lvm.hitl.selection import RULES, positive_ratio
from galaxy_lvm.hitl.store import Suggestion

_WORDS = {
    "alpha": "alpha (of the paper)",
    "top_score": "highest scores",
    "uncertainty": "scores nearest to 0.5",
    "random": "at random",
    "k_centre": "far from all labelled ones",
    "mix": "a mix of all",
}
_NEXT = {
    "top_score": "The next round shows the highest scores.",
    "uncertainty": "The next round shows the scores nearest to 0.5.",
    "random": "The next round is drawn at random.",
    "k_centre": "The next round shows galaxies unlike all labelled ones.",
    "mix": "The next round mixes highest scores, scores near 0.5 and unlike galaxies.",
}
_LOWER = {
    "below_boundary": "scores just below 0.5, where negatives turn up",
    "lowest": "the lowest scores of all",
}


def rules_in_words() -> dict[str, str]:
    """Return every rule with what a choice calls it: its name where it has no words."""
    return {name: _WORDS.get(name, name) for name in RULES}


def rule_sentence(rule: str, alpha: float, lower: str, n_positive: int, n_negative: int) -> str:
    """Return what a rule asks about next, and for the alpha rule why.

    Parameters
    ----------
    rule
        Key of `selection.RULES`.
    alpha
        Threshold on P/N, 0 to 1.
    lower
        What the alpha rule takes for lower scores, one of `selection.LOWER_CHOICES`.
    n_positive, n_negative
        Labels of the latest round.
    """
    if rule != "alpha":
        return _NEXT.get(rule, f"The next round is chosen by the rule {rule}.")
    ratio = positive_ratio(n_positive, n_negative)
    shown = "infinite" if math.isinf(ratio) else f"{ratio:.2f}"
    counted = f"P/N of the last round is {n_positive}/{n_negative} = {shown}"
    if not n_positive and not n_negative:
        return "No label in the last round yet: the next one shows the highest scores."
    if ratio <= alpha:
        return f"{counted}, at most alpha = {alpha:g}: the next round shows the highest scores."
    return f"{counted}, above alpha = {alpha:g}: the next round shows {_LOWER[lower]}."


def with_the_change(
    sentence: str, kept: Mapping[str, Any], choice: Mapping[str, Any], asked: Suggestion | None
) -> str:
    """Return what a rule does next, and that a choice ends, or ended, at the first positive.

    Parameters
    ----------
    sentence
        Of `rule_sentence`.
    kept, choice
        What was chosen while nothing was positive, and what holds now.
    asked
        The annotator's latest round: the end is told until one by the other rule came.
    """
    if choice["rule"] == kept["rule"]:
        return f"{sentence} This ends with the first positive."
    if asked is None or asked.rule != kept["rule"]:
        return sentence
    rule = rules_in_words()[choice["rule"]]
    return f"A first galaxy is positive, so the rule is “{rule}” now. {sentence}"
