"""What a session is run with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.hitl.ranker import RankerSettings
from galaxy_lvm.hitl.selection import LOWER_CHOICES, rule_of


@dataclass(frozen=True)
class SessionSettings:
    """What a session is run with; kept in its store.

    Attributes
    ----------
    rule
        Selection rule, a key of `selection.RULES`.
    alpha
        Threshold on P/N of the alpha rule, 0 to 1.
    lower
        What it takes for lower scores, see `selection.alpha_rule`.
    assumed_negatives
        Galaxies drawn from the pool that stand in for negatives, 1 or more.
    assumed_weight
        Their weight in total, in units of that of the labelled negatives; 0 uses them only as long
        as no negative is labelled.
    seed
        Of draws and first weights.
    ranker
        Settings of the network.
    """

    rule: str = "alpha"
    alpha: float = 0.5
    lower: str = LOWER_CHOICES[0]
    assumed_negatives: int = 100
    assumed_weight: float = 0.1
    seed: int = 0
    ranker: RankerSettings = field(default_factory=RankerSettings)

    def __post_init__(self) -> None:
        """Refuse settings that cannot select."""
        rule_of(self.rule)
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"hitl.alpha is {self.alpha}, expected 0 to 1")
        if self.lower not in LOWER_CHOICES:
            raise ConfigError(f"hitl.lower is {self.lower!r}, expected one of {LOWER_CHOICES}")
        if self.assumed_negatives < 1:
            raise ConfigError(f"hitl.assumed_negatives is {self.assumed_negatives}, expected >= 1")
        if self.assumed_weight < 0:
            raise ConfigError(f"hitl.assumed_weight is {self.assumed_weight}, expected >= 0")


def settings_from(section: Mapping[str, Any]) -> SessionSettings:
    """Return the settings that the config's section `hitl` describes."""
    keys = ("alpha", "lower", "assumed_negatives", "assumed_weight")
    ranker = RankerSettings(**section["ranker"])
    return SessionSettings(ranker=ranker, **{key: section[key] for key in keys})
