"""Errors whose message is written for the user: what is wrong, where, and what to do."""


class DataError(ValueError):
    """Bad input data; the message names the file or row and says what to do."""


class ConfigError(ValueError):
    """An impossible setting; the message names the key and what was expected."""


def in_short(error: BaseException, n_characters: int = 200) -> str:
    """Return an error's text on one line, its kind where it says nothing."""
    return (" ".join(str(error).split()) or type(error).__name__)[:n_characters]
