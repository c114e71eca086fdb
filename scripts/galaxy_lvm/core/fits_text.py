"""Names of FITS files, and texts of FITS tables.

These hold ASCII alone (FITS 4.0, 7.3.3); others are written as escapes. The escapes are Python's
`unicode_escape`; a card in the header says so, for whoever reads them.
"""

import numpy as np

# What names of FITS files end in, packed ones too.
FITS_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz")
CARD = "TEXTESC"
CARD_COMMENT = "texts hold escapes (Python: unicode_escape)"


def encoded(text: str) -> bytes:
    """Return a text as it stands in a FITS table; plain letters stay what they are."""
    return text.encode("unicode_escape")


def decoded(values: np.ndarray, is_escaped: bool) -> np.ndarray:
    """Return texts (N,): those that `encoded` wrote, or UTF-8 of other programs.

    Parameters
    ----------
    values
        Bytes, or texts of plain letters alone, as astropy gives them where it can.
    is_escaped
        Whether the header has the card.

    Raises
    ------
    UnicodeDecodeError
        If they are neither.
    """
    if values.dtype.kind == "U":
        values = np.char.encode(values, "ascii")
    return np.char.decode(values, "unicode_escape" if is_escaped else "utf-8")
