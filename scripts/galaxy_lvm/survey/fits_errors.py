"""What readers of FITS raise on damaged files or strange headers.

Beside `file_errors`, so that who reads none starts without astropy (0.3 CPU seconds).
"""

from astropy.io.fits.verify import VerifyError

from galaxy_lvm.survey.file_errors import FILE_ERRORS

# `astropy.wcs` derives its own errors from ValueError, RuntimeError and MemoryError; a card of
# another type than expected is a TypeError, LookupError or AttributeError, one that cannot be
# parsed a VerifyError, one that needs a table in another extension an AssertionError.
HEADER_ERRORS = (
    ValueError, TypeError, LookupError, AttributeError, RuntimeError, MemoryError, ArithmeticError,
    AssertionError, VerifyError,
)  # fmt: skip
FITS_ERRORS = (*FILE_ERRORS, VerifyError)
