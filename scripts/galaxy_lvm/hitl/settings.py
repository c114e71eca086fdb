"""What a session is run with."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from galaxy_lvm.core.config.hitl import Loop, RuleName
from galaxy_lvm.core.config.mistakes import mistakes
from galaxy_lvm.core.errors import ConfigError


class SessionSettings(Loop):
    """What a session is run with; kept in its store."""

    rule: RuleName = Field("alpha", description="selection rule, a key of selection.RULES")
    seed: int = Field(0, description="of draws and first weights")

    def changed(self, **values: Any) -> "SessionSettings":
        """Return the same settings but for some, checked like all."""
        return type(self)(**{**dict(self), **values})

    def kept(self) -> dict[str, Any]:
        """Return what a label store keeps: made of what JSON knows."""
        return self.model_dump(mode="json")


def settings_of_store(kept: Mapping[str, Any], path: str) -> SessionSettings:
    """Return the settings that a label store kept.

    Parameters
    ----------
    kept
        Of `LabelStore.settings`; the defaults stand for what it has none of.
    path
        Of the store, for the message.

    Raises
    ------
    ConfigError
        If one is unknown or has a value that is not allowed, in this version.
    """
    try:
        return SessionSettings.model_validate(dict(kept))
    except ValidationError as error:
        found = "; ".join(mistakes(error, SessionSettings))
    raise ConfigError(
        f"{path}: was started with settings that this version cannot use: {found}; open it with "
        "the version that wrote it, or start another store"
    )


def settings_from(loop: Loop) -> SessionSettings:
    """Return the settings of a session that the config's section `hitl` describes."""
    return SessionSettings(**{key: getattr(loop, key) for key in Loop.model_fields})
