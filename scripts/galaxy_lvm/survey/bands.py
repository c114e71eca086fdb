"""Which planes of a FITS cube are which bands, as its header names them in one of many ways."""

import re
from collections.abc import Iterator, Mapping, Sequence

from astropy.io import fits
from astropy.io.fits.card import Undefined

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.store import BANDS

_KNOWN = "ugrizy"
# One card with all bands; the second ones often are the single filter of a copied header.
_LISTS, _PERHAPS_LISTS = ("BANDS", "FILTERS"), ("BAND", "FILTER", "FILTNAM")
# One card a plane, counted from 0 or 1. Cameras number their filter wheels likewise.
_NUMBERED = ("BAND", "BANDS", "FILTER", "FILT", "FILTR", "FILTNAM", "PLANE", "CHANNEL")
# All cards that are asked for: headers find what they lack slowly.
_ASKED = re.compile(
    rf"({'|'.join({*_LISTS, *_PERHAPS_LISTS, *_NUMBERED})})\d*|CTYPE3|COLORSPC|COLORTYP|CSPACE"
)
# Names of surveys and instruments that are written together with a band's (gSDSS, DESg).
_INSTRUMENTS = re.compile(
    r"sdss|decam|des|panstarrs|ps1|hsc|bass|mzls|legacy(?:survey)?|megacam|cfht|lsst|kids|vst|filter|band"
)
# What programs write for an axis of bands; anything else is another quantity.
_BAND_AXES = {
    "", "BAND", "BANDS", "FILTER", "FILTERS", "LINEAR", "PIXEL", "INDEX", "PLANE", "CHANNEL",
    "NONE", "UNKNOWN",
}  # fmt: skip


def band_planes(
    header: fits.Header, planes: int, told: str | None = None, wanted: Sequence[str] = BANDS
) -> list[int]:
    """Return the planes of the bands that are wanted.

    Parameters
    ----------
    header
        Of the cube.
    planes
        Their number.
    told
        Bands in the order of the planes, from the config; None asks the header.
    wanted
        Their names, in the order that they are needed in. Case makes no difference, and W1 may be
        called 1, as the cutout service calls the bands of unWISE.

    Raises
    ------
    DataError
        If a band is missing or there twice, names contradict each other or cannot be understood, or
        the third axis is something else.
    """
    names = _Names(wanted)
    cards = {key: header[key] for key in header if _ASKED.fullmatch(key)}
    named = {"fits_bands": _told(told, names)} if told else dict(_named(cards, planes, names))
    if not named:
        _check_axis(cards, wanted)
        if planes == len(wanted):
            return list(range(planes))
        raise DataError(f"has {planes} plane(s), bands not named; {_needed(wanted)}")
    (key, bands), *others = named.items()
    for other, again in others:
        if again != bands:
            raise DataError(
                f"contradicts itself: {key} says {_shown(bands)!r}, {other} {_shown(again)!r}; "
                "correct its header, or set fits_bands"
            )
    if len(bands) != planes or not set(wanted) <= set(bands):
        raise DataError(f"has {planes} plane(s), bands {_shown(bands)!r}; {_needed(wanted)}")
    twice = [band for band in wanted if bands.count(band) > 1]
    if twice:
        raise DataError(f"has band {twice[0]} twice, bands {_shown(bands)!r}; leave one plane out")
    return [bands.index(band) for band in wanted]


class _Names:
    """How the bands that are wanted may be written."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._known = {band.lower(): band for band in _KNOWN}
        for band in wanted:
            self._known[band.lower()] = band
            if re.fullmatch(r"[Ww]\d", band):
                self._known.setdefault(band[1], band)

    def exact(self, text: str) -> str | None:
        """Return the band that a text is the name of."""
        return self._known.get(text.strip().lower())

    def of_filter(self, text: str) -> str | None:
        """Return the band that a filter's name stands for, None where it is no single one."""
        if exact := self.exact(text):
            return exact
        words = _INSTRUMENTS.sub(" ", text.lower())
        found = {word.rstrip("'") for word in re.findall(r"[a-z0-9']+", words)}
        # Digits alone are numbers of filters in all names but the shortest.
        known = {word for word in found if word in {*self._known, "zd"} and not word.isdigit()}
        known = {self._known["z" if word == "zd" else word] for word in known}
        return known.pop() if len(known) == 1 else None


def _told(told: str, names: _Names) -> list[str]:
    parts = told.split(",") if "," in told else list(told)
    return [names.exact(part) or part for part in parts]


def _needed(wanted: Sequence[str]) -> str:
    asked = ("" if all(len(band) == 1 for band in wanted) else ",").join(wanted)
    which = f"{', '.join(wanted[:-1])} and {wanted[-1]}"
    return (
        f"{which} are needed (fetch it with bands={asked}, name the planes in the header key "
        "BANDS, or set fits_bands)"
    )


def _shown(bands: list[str]) -> str:
    return ("" if all(len(band) == 1 for band in bands) else ",").join(bands)


def _named(
    cards: Mapping[str, object], planes: int, names: _Names
) -> Iterator[tuple[str, list[str]]]:
    """Yield every place where a header names the bands, and the names in the planes' order."""
    for key in _LISTS + _PERHAPS_LISTS:
        text = _text(cards, key)
        if not text:
            continue
        bands = _listed(text, planes, names)
        if key in _LISTS or len(bands) > 1:
            yield key, bands
    for stem in _NUMBERED:
        for first in (0, 1):
            keys = [f"{stem}{first + i}" for i in range(planes)]
            texts = [_text(cards, key) for key in keys]
            bands = [names.of_filter(text) or text for text in texts]
            # Wheels say CLEAR or OPEN: that is no list of planes.
            known = any(map(names.exact, bands))
            if all(texts) or (first == 0 and texts[0] and known):
                yield f"{keys[0]} to {keys[-1]}", bands
                break


def _text(cards: Mapping[str, object], key: str) -> str:
    value = cards.get(key, "")
    return "" if isinstance(value, Undefined) else str(value).strip()


def _listed(text: str, planes: int, names: _Names) -> list[str]:
    """Return the bands of a list in one card: grz, GRZ, g,r,z, g r z, ['g', 'r', 'z'] ..."""
    text = re.sub(r"[\[\](){}'\"]", "", text).strip()
    for separators in (r"[,;|/]", r"\s", r"[-+:_.]"):
        parts = [part for part in re.split(separators + r"+", text) if part.strip()]
        if len(parts) == planes and planes > 1:
            return [names.of_filter(part) or part.strip() for part in parts]
    exact = [names.exact(letter) for letter in text]
    if len(text) == planes and (text.isalpha() or all(exact)):
        return [band or letter.lower() for band, letter in zip(exact, text, strict=True)]
    return [text]


def _check_axis(cards: Mapping[str, object], wanted: Sequence[str]) -> None:
    """Refuse planes that are no bands: colours of a camera, wavelengths, polarisations."""
    kind = _text(cards, "CTYPE3").upper()
    colours = [_text(cards, key).upper() for key in ("COLORSPC", "COLORTYP", "CSPACE")]
    if kind in _BAND_AXES and not any(text.startswith("RGB") for text in colours):
        return
    what = f"CTYPE3 = {kind!r}" if kind not in _BAND_AXES else "colours of a camera, RGB"
    raise DataError(
        f"holds planes that are not {', '.join(wanted)} ({what}); give fluxes in these bands, or "
        "set fits_bands where that is what they are"
    )
