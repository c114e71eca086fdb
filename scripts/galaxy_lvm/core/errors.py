"""Errors whose message is written for the user: what is wrong, where, and what to do."""


class DataError(ValueError):
    """Bad input data; the message names the file or row and says what to do."""


class ConfigError(ValueError):
    """An impossible setting; the message names the key and what was expected."""
