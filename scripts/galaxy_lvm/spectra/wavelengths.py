"""Wavelengths: units, air and vacuum, the grids that all spectra are brought to."""

import numpy as np

from galaxy_lvm.core.config.spectra import Grid
from galaxy_lvm.core.errors import DataError

ANGSTROM_PER_UNIT = {"angstrom": 1.0, "nm": 10.0, "micron": 1e4}
# Medians that tell units apart: spectra from the ultraviolet at 100 nm to the infrared at 5 micron.
_LARGEST = (("micron", 50.0), ("nm", 1500.0))
_SHORTEST_ANGSTROM = 2000.0


def refraction(vacuum_angstrom: np.ndarray) -> np.ndarray:
    """Return the refractive index of standard air (Ciddor 1996, as Morton 2000 and VALD use it).

    Parameters
    ----------
    vacuum_angstrom
        Wavelengths in vacuum, above 2000 Angstrom.
    """
    s2 = (1e4 / np.asarray(vacuum_angstrom, dtype=float)) ** 2
    return 1 + 0.05792105 / (238.0185 - s2) + 0.00167917 / (57.362 - s2)


def vacuum_to_air(vacuum_angstrom: np.ndarray) -> np.ndarray:
    """Return wavelengths in air; below 2000 Angstrom, where vacuum is meant, they stay."""
    vacuum = np.asarray(vacuum_angstrom, dtype=float)
    safe = np.maximum(vacuum, _SHORTEST_ANGSTROM)
    return np.where(vacuum < _SHORTEST_ANGSTROM, vacuum, vacuum / refraction(safe))


def air_to_vacuum(air_angstrom: np.ndarray) -> np.ndarray:
    """Return wavelengths in vacuum, the inverse of `vacuum_to_air` to 1e-9."""
    air = np.asarray(air_angstrom, dtype=float)
    vacuum = np.maximum(air, _SHORTEST_ANGSTROM)
    for _ in range(4):  # each round is exact to the square of the index's change, 1e-8
        vacuum = np.maximum(air, _SHORTEST_ANGSTROM) * refraction(vacuum)
    return np.where(air < _SHORTEST_ANGSTROM, air, vacuum)


def grid_wavelengths(grid: Grid) -> np.ndarray:
    """Return a grid's wavelengths in vacuum, Angstrom, ascending.

    `xp`: 343 samples of the Gaia archive, 336 to 1020 nm in steps of 2 nm. `lamost`: 1462 pixels, a
    step of 1e-4 in the decimal logarithm from 4000 Angstrom in air.
    """
    if grid == "xp":
        return np.arange(3360.0, 10201.0, 20.0)
    return air_to_vacuum(4000.0 * 10 ** (1e-4 * np.arange(1462)))


def unit_of(wavelengths: np.ndarray) -> str:
    """Return the unit that wavelengths of this size are in: angstrom, nm or micron."""
    median = float(np.median(wavelengths))
    return next((unit for unit, largest in _LARGEST if median < largest), "angstrom")


def in_vacuum_angstrom(
    wavelengths: np.ndarray, unit: str = "auto", medium: str = "vacuum"
) -> np.ndarray:
    """Return wavelengths (L,) in vacuum, Angstrom, in the order given.

    Parameters
    ----------
    wavelengths
        As the file has them.
    unit
        angstrom, nm, micron, or auto to take it from their size.
    medium
        air or vacuum.

    Raises
    ------
    DataError
        If one is not a positive finite number, or they neither rise nor fall throughout.
    """
    values = np.asarray(wavelengths, dtype=float)
    wrong = np.flatnonzero(~np.isfinite(values) | (values <= 0))
    if wrong.size:
        raise DataError(
            f"wavelength {values[wrong[0]]} of pixel {wrong[0]} is no positive number; "
            "leave such pixels out"
        )
    steps = np.diff(values)
    if len(values) < 2 or not ((steps > 0).all() or (steps < 0).all()):
        raise DataError("wavelengths neither rise nor fall throughout; sort the pixels by them")
    values = values * ANGSTROM_PER_UNIT[unit_of(values) if unit == "auto" else unit]
    return air_to_vacuum(values) if medium == "air" else values
