"""Names of annotators."""

import getpass
import re

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.majority import SETTLED

MAX_NAME = 40
_NAME = re.compile(r"[^\W_][\w .'@-]*")


def annotator_name(text: str) -> str:
    """Return an annotator's name, tidied.

    Raises
    ------
    DataError
        If it is empty, too long, has characters that are no part of a name, or is reserved.
    """
    name = " ".join(text.split())
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME or name.startswith(SETTLED.strip()):
        raise DataError(
            f"{text[:MAX_NAME]!r} is no name for an annotator: letters, digits, spaces and . ' @ - "
            f"are, {MAX_NAME} characters at most, a letter or digit first, and not "
            f"'{SETTLED.strip()} ...'"
        )
    return name


def owner_name() -> str:
    """Return who started this, as a name of an annotator; "me" where the system does not say."""
    try:
        return annotator_name(getpass.getuser())
    except (DataError, KeyError, OSError, ImportError):
        return "me"
