"""By what an annotator is asked: what a choice may be, and until when it holds."""

from collections.abc import Callable, Mapping
from typing import Any

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.hitl.selection import NEED_NO_SCORES, RULES
from galaxy_lvm.ui.model import Model

MOST_PER_ROUND = 60
# Key of a kept choice: the rule that takes over at the first positive.
AFTERWARDS = "afterwards"


def checked_choice(rule: str, alpha: float, n: int) -> dict[str, Any]:
    """Return a choice as the store keeps it.

    Parameters
    ----------
    rule
        Key of `selection.RULES`.
    alpha
        Threshold on P/N of the alpha rule, 0 to 1.
    n
        Galaxies of a round, 1 to 60.

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """
    if rule not in RULES:
        raise ConfigError(f"no rule {rule!r}; there are {', '.join(RULES)}")
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha is {alpha}, expected 0 to 1")
    if not 1 <= n <= MOST_PER_ROUND:
        raise ConfigError(f"{n} galaxies a round, expected 1 to {MOST_PER_ROUND}")
    return {"rule": rule, "alpha": float(alpha), "n": int(n)}


def until_a_positive(
    choice: Mapping[str, Any], before: Mapping[str, Any], usual: str
) -> dict[str, Any]:
    """Return a choice made while nothing is positive, with the rule that follows on it.

    Without a positive there is no model, and a rule that needs none is all that one can choose;
    it is not meant to stay when there is one.

    Parameters
    ----------
    choice
        Of `checked_choice`.
    before
        The annotator's earlier choice as kept, empty without one.
    usual
        The session's rule.
    """
    rules = before.get(AFTERWARDS), before.get("rule"), usual
    follows = next((rule for rule in rules if rule and rule not in NEED_NO_SCORES), None)
    if follows is None or choice["rule"] not in NEED_NO_SCORES:
        return dict(choice)
    return {**choice, AFTERWARDS: follows}


def in_force(kept: Mapping[str, Any], has_positive: Callable[[], bool]) -> dict[str, Any]:
    """Return `rule`, `alpha` and `n` of a kept choice as they hold by the labels that stand.

    It is asked of the labels each time, so it holds after a restart, in every tab, and backwards
    where the only positive is taken back.
    """
    choice = {name: value for name, value in kept.items() if name != AFTERWARDS}
    if AFTERWARDS in kept and has_positive():
        choice["rule"] = kept[AFTERWARDS]
    return choice


def call_of(choice: Mapping[str, Any], model: Model | None) -> dict[str, Any]:
    """Return what `Session.suggest` and `preview` are called with."""
    scores = model.scores if model else None
    return {"k": choice["n"], "scores": scores, "rule": choice["rule"], "alpha": choice["alpha"]}
