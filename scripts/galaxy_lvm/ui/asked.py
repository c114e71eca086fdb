"""Fields of a request, checked."""

from typing import Any

from flask import request

from galaxy_lvm.core.errors import DataError


def field_of(name: str, kind: type = str) -> Any:
    """Return a field of the request's JSON.

    Raises
    ------
    DataError
        If it is missing or of another kind.
    """
    body = request.get_json(silent=True)
    value = body.get(name) if isinstance(body, dict) else None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"the request has no {name!r}, or one that is no {kind.__name__}")
    return value
