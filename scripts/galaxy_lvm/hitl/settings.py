"""What a session is run with."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from galaxy_lvm.core.config.handed import part_of, section
from galaxy_lvm.core.config.hitl import Loop, Sizes


class SessionSettings(Loop):
    """What a session is run with; kept in its store."""

    rule: Literal["alpha", "top_score", "uncertainty", "random", "k_centre", "mix"] = Field(
        "alpha", description="selection rule, a key of selection.RULES"
    )
    seed: int = Field(0, description="of draws and first weights")

    def changed(self, **values: Any) -> "SessionSettings":
        """Return the same settings but for some, checked like all."""
        return type(self)(**{**dict(self), **values})

    def kept(self) -> dict[str, Any]:
        """Return what a label store keeps: made of what JSON knows."""
        return self.model_dump(mode="json")


def settings_from(given: Mapping[str, Any]) -> SessionSettings:
    """Return the settings that the config's section `hitl` describes."""
    return SessionSettings(**dict(section(Loop, part_of(Loop, given), "hitl")))


def sizes_from(given: Mapping[str, Any]) -> Sizes:
    """Return the training sets that the config's section `hitl.comparison` describes."""
    return section(Sizes, part_of(Sizes, given), "hitl.comparison")
