"""Positions as users write them, in degrees: numbers, units, sexagesimal."""

import logging
import re
import warnings
from collections.abc import Mapping

import astropy.units as u
import numpy as np
import pandas as pd
from astropy.coordinates import Angle

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import GAPS

log = logging.getLogger("galaxy_lvm.positions")

_LIMITS_DEG = {"ra": (0.0, 360.0), "dec": (-90.0, 90.0)}
# Fewer wrong rows are mistakes of their own.
_MANY = 3
# 10:23:45.6, 10h23m45.6s, 10 23 45.6, 10d23'45.6" and without seconds.
_SEXAGESIMAL = re.compile(
    r"""[+-]?\s*\d{1,3}\s*[:hd°\s]\s*\d{1,2}(\.\d*)?\s*[:m'′\s]?
        (\s*\d{1,2}(\.\d*)?\s*(s|"|″|'')?)?""",
    re.VERBOSE,
)


def degrees_of(
    written: pd.DataFrame, units: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Return positions in degrees, and what is wrong with each row.

    Parameters
    ----------
    written
        Columns `ra` and `dec`: degrees, or sexagesimal (hours of right ascension, degrees of
        declination), text or numbers.
    units
        Unit of `ra`, `dec` where the table declares one.

    Returns
    -------
    degrees : pandas.DataFrame
        `ra` in [0, 360], `dec` in [-90, 90]; NaN where there is none or it is wrong.
    problems : list of str
        "" where both are good or both are gaps.

    Raises
    ------
    DataError
        If the columns are swapped, or the unit of one is no angle.
    """
    parts = {name: _degrees(written[name], name, (units or {}).get(name)) for name in _LIMITS_DEG}
    gaps = {name: _gaps(written[name]) for name in _LIMITS_DEG}
    _refuse_swapped(**parts)
    degrees = pd.DataFrame(parts, index=written.index)
    problems = []
    for row, texts in enumerate(written[list(_LIMITS_DEG)].itertuples(index=False)):
        alone = gaps["ra"][row] != gaps["dec"][row]
        if gaps["ra"][row] and gaps["dec"][row]:
            problems.append("")
            continue
        values = {name: parts[name][row] for name in _LIMITS_DEG}
        problems.append(_problem(texts._asdict(), values, alone))
    wrong = np.array([bool(problem) for problem in problems])
    degrees.loc[wrong, :] = np.nan
    _warn_of_hours(degrees["ra"])
    return degrees, problems


def _refuse_swapped(ra: np.ndarray, dec: np.ndarray) -> None:
    """Stop at a table whose rows are wrong as they are, and right the other way round."""
    known = np.isfinite(ra) & np.isfinite(dec)
    beyond = np.abs(dec[known]) > _LIMITS_DEG["dec"][1]
    turned = (np.abs(ra[known]) <= _LIMITS_DEG["dec"][1]) & (dec[known] >= 0) & (dec[known] <= 360)
    if beyond.sum() >= _MANY and beyond.mean() > 0.25 and turned.all():
        raise DataError(
            f"{beyond.sum()} of {known.sum()} declinations are beyond 90 degrees, and all right "
            "ascensions within: ra and dec look swapped; give each the other's name"
        )


def _gaps(values: pd.Series) -> np.ndarray:
    texts = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    return texts.str.lower().isin(GAPS).to_numpy(bool)


def _degrees(values: pd.Series, name: str, unit: str | None) -> np.ndarray:
    """Return a column in degrees (n,), NaN where it cannot be read."""
    numbers = pd.to_numeric(values, errors="coerce").astype(float).to_numpy(copy=True)
    if unit is not None and np.isfinite(numbers).any():
        # Texts have units such as "h:m:s", which say what the text shows anyway.
        try:
            numbers *= u.Unit(unit).to(u.deg)
        except (ValueError, u.UnitConversionError) as error:
            raise DataError(f"column {name!r} has the unit {unit!r}, which is no angle") from error
    for row in np.flatnonzero(np.isnan(numbers)):
        text = _plain(values.iloc[row])
        if _SEXAGESIMAL.fullmatch(text):
            numbers[row] = _angle(text, name)
    return numbers


def _plain(text: object) -> str:
    return str(text).strip().replace("−", "-").lower()


def _angle(text: str, name: str) -> float:
    in_degrees = name == "dec" or "d" in text or "°" in text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # 60 seconds are a mistake of the table
            return float(Angle(text, u.deg if in_degrees else u.hourangle).deg)
    except (ValueError, Warning):
        return np.nan


def _problem(texts: Mapping[str, object], degrees: Mapping[str, float], alone: bool) -> str:
    forms = {name: bool(_SEXAGESIMAL.fullmatch(_plain(text))) for name, text in texts.items()}
    if forms["ra"] != forms["dec"] and np.isfinite(list(degrees.values())).all():
        return (
            f"ra {texts['ra']!r} and dec {texts['dec']!r} are written in different ways; write "
            "both in degrees or both as 10:00:24"
        )
    for name, (low, high) in _LIMITS_DEG.items():
        text = str(texts[name]).strip()
        if not np.isfinite(degrees[name]):
            if alone and text.lower() in GAPS | {"<na>"}:
                return f"{name} is missing; give both or neither"
            if re.fullmatch(r"[+-]?\d+,\d+", text):
                return f"{name} {text!r} has a decimal comma; write {text.replace(',', '.')}"
            return f"{name} {text!r} is no number of degrees; write 150.1 or 10:00:24"
        if not low <= degrees[name] <= high:
            return f"{name} {text!r} is not between {low:g} and {high:g} degrees"
    return ""


def _warn_of_hours(ra: pd.Series) -> None:
    known = ra.dropna()
    if len(known) >= 20 and known.max() <= 24 and known.max() - known.min() > 12:
        log.warning(
            "all right ascensions lie between 0 and 24 and are taken for degrees; if they are "
            "hours, write them as 10:23:45.6 or multiply them by 15"
        )
