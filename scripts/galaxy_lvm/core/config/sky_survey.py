"""What the images of a survey are: bands, pixels, zero point, and how they become colours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, Sparse, part
from galaxy_lvm.core.config.handed import section

Kind = Literal["viewer", "lupton", "linear", "sqrt", "asinh"]
Band = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]*$")]
Bands = Annotated[tuple[Band, ...], UNIQUE]
_KINDS = (
    "viewer is the sky viewer's asinh of the bands' mean, lupton that of Lupton et al. 2004 "
    "(astropy's make_lupton_rgb); linear, sqrt and asinh stretch every band by itself"
)
_SCALES = "multipliers of the bands' fluxes, in their order; the result is white near 1"


class Stretch(Section):
    """From the fluxes of two or three bands to 8-bit colours."""

    kind: Kind = Field("viewer", description=_KINDS)
    band_scales: tuple[float, ...] = Field((6.0, 3.4, 2.2), description=_SCALES)
    offset: float = Field(0.03, description="added to the scaled fluxes: level of an empty sky")
    softening: float = Field(20.0, gt=0, description="scaled flux times this is 1 at the knee")


class Survey(Section):
    """Images of a survey; by default those of the Legacy Surveys."""

    bands: Bands = Field(
        ("g", "r", "z"),
        min_length=2,
        max_length=3,
        description="from blue to red; the middle one of three is green, of two their mean",
    )
    pixel_scale_arcsec: float = Field(0.262, gt=0, description="side of a pixel")
    zero_point_mag: float = Field(22.5, description="magnitude of a flux of 1 as it is read")
    stretch: Stretch = part(Stretch)

    @property
    def to_nanomaggies(self) -> float:
        """Factor from fluxes as they are read to fluxes with a zero point of 22.5 mag."""
        return 10 ** (0.4 * (22.5 - self.zero_point_mag))


class OwnStretch(Sparse):
    """What differs in the mapping of a dataset's fluxes to colours."""

    kind: Kind | None = Field(None, description=_KINDS)
    band_scales: tuple[float, ...] | None = Field(None, description=_SCALES)
    offset: float | None = Field(
        None, ge=0, le=1, description="added to the scaled fluxes: level of an empty sky"
    )
    softening: float | None = Field(
        None, gt=0, le=1e6, description="scaled flux times this is 1 at the knee"
    )


class OwnSurvey(Sparse):
    """What a dataset's images are where they are not g, r, z at 0.262 arcsec per pixel."""

    layer: str | None = Field(
        None,
        min_length=1,
        description=(
            "source 'legacysurvey' - layer of the cutout service (ls-dr9, ls-dr10, sdss, hsc-dr2, "
            "unwise-neo7 ...), which settles the other keys; null takes legacysurvey.layer"
        ),
    )
    bands: Bands | None = Field(
        None, min_length=2, max_length=3, description="two or three, from blue to red"
    )
    pixel_scale_arcsec: float | None = Field(
        None, gt=0, le=60, description="side of the stored pixels; null takes the layer's own"
    )
    zero_point_mag: float | None = Field(
        None, ge=0, le=40, description="magnitude of a flux of 1 as it is read"
    )
    stretch: OwnStretch = part(OwnStretch)


@dataclass(frozen=True)
class Layer:
    """A layer of the cutout service, as its source says (github.com/legacysurvey/imagine, views).

    Attributes
    ----------
    scales
        Multipliers for the colours, by band; the sky viewer's own.
    asked
        Names of the bands in a request where they are not ours.
    usual
        Bands where none are chosen.
    pixel_scale_arcsec
        Native.
    zero_point_mag
        Magnitude of a flux of 1; AB, of unWISE Vega.
    offset
        The viewer's level of an empty sky.
    """

    scales: Mapping[str, float]
    usual: tuple[str, ...]
    pixel_scale_arcsec: float
    asked: Mapping[str, str] | None = None
    zero_point_mag: float = 22.5
    offset: float = 0.03


_GRZ = ("g", "r", "z")
_DR9 = Layer({"g": 6.0, "r": 3.4, "z": 2.2}, _GRZ, 0.262)
# In i only the south has data; its scale is that of the layer ls-dr10-gri beside the other two.
_DR10 = Layer({"g": 6.0, "r": 3.4, "i": 3.0, "z": 2.2}, _GRZ, 0.262)
_SDSS = Layer({"g": 2.5, "r": 1.5, "i": 1.0}, ("g", "r", "i"), 0.396, offset=0.02)
_HSC = Layer({"g": 30.0, "r": 17.0, "z": 11.0}, _GRZ, 0.168, zero_point_mag=27.0)
# The viewer's knee lies at 20 of W1 and W2, 200 of W3 and 800 of W4.
_W1W2 = Layer({"W1": 0.0025, "W2": 0.0025}, ("W1", "W2"), 2.75, {"W1": "1", "W2": "2"})
_W3W4 = Layer({"W3": 2.5e-4, "W4": 6.25e-5}, ("W3", "W4"), 2.75, {"W3": "3", "W4": "4"})
LAYERS = {
    "ls-dr8": _DR9, "ls-dr8-north": _DR9, "ls-dr8-south": _DR9,
    "ls-dr9": _DR9, "ls-dr9-north": _DR9, "ls-dr9-south": _DR9,
    "ls-dr10": _DR10, "ls-dr10-south": _DR10,
    "sdss": _SDSS, "hsc-dr2": _HSC, "hsc-dr3": _HSC,
    "unwise-neo7": _W1W2, "unwise-neo11": _W1W2, "unwise-w3w4": _W3W4,
}  # fmt: skip
# Images of models and residuals, and other colours, of the same pixels.
_SUFFIXES = ("-grz", "-gri", "-model", "-resid")


def layer_of(name: str) -> Layer | None:
    """Return what is known of a layer of the cutout service; None of one that is not known."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return LAYERS.get(name)


def asked_bands(layer: str, bands: tuple[str, ...]) -> str:
    """Return bands as the cutout service is asked for them."""
    known = layer_of(layer)
    names = [(known and known.asked or {}).get(band, band) for band in bands]
    return ("" if all(len(name) == 1 for name in names) else ",").join(names)


def survey_of(own: OwnSurvey, layer: str | None = None) -> Survey:
    """Return what the images of a dataset are.

    Parameters
    ----------
    own
        The dataset's section `survey`.
    layer
        Of the cutout service where the dataset names none itself; None for files.
    """
    known = layer_of(own.layer or layer or "") or _DR10
    bands = own.bands or known.usual
    scales = tuple(known.scales.get(band, 1.0) for band in bands)
    stretch = {"band_scales": scales, "offset": known.offset, **own.stretch.model_dump()}
    return Survey(
        bands=bands,
        pixel_scale_arcsec=own.pixel_scale_arcsec or known.pixel_scale_arcsec,
        zero_point_mag=known.zero_point_mag if own.zero_point_mag is None else own.zero_point_mag,
        stretch=Stretch(**stretch),
    )


def survey_problems(own: OwnSurvey, layer: str | None) -> Iterator[Contradiction]:
    """Yield what does not go together in a dataset's section `survey`; as for `survey_of`."""
    name, known = own.layer or layer, layer_of(own.layer or layer or "")
    bands = survey_of(own, layer).bands
    if name and known is None and not (own.bands and own.pixel_scale_arcsec):
        yield (
            "layer",
            f"{name!r} is none of the layers that are known, {', '.join(LAYERS)}; correct it, or "
            "give survey.bands and survey.pixel_scale_arcsec with it",
        )
        return
    lost = [band for band in bands if known and band not in known.scales]
    if lost:
        yield "bands", f"{name!r} has no {', '.join(lost)}, but {', '.join(known.scales)}"
        return
    scales, native = own.stretch.band_scales, (known or _DR10).pixel_scale_arcsec
    if scales is not None and len(scales) != len(bands):
        yield "stretch.band_scales", f"{len(scales)} values for the bands {', '.join(bands)}"
    # The service interpolates: a flux stays one per native pixel. Of other files nothing is known.
    other = known is None and (own.pixel_scale_arcsec or native) != native
    if scales is None and known is None and (other or set(bands) - set(_DR10.scales)):
        yield (
            "stretch.band_scales",
            f"needed for {', '.join(bands)} at {own.pixel_scale_arcsec or native:g} arcsec: by "
            "what each band's flux is multiplied",
        )


def pixels_key(survey: Survey) -> list[Any]:
    """Return what pixels on disk depend on, nothing of the usual survey; colours are made later."""
    usual, own = ({**s.model_dump(), "stretch": None} for s in (Survey(), survey))
    return [] if own == usual else [own]


def handed_survey(
    own: Mapping[str, Any], layer: str | None = None, colours: bool = True
) -> dict[str, Any]:
    """Return what a rule hands on of a dataset's survey, nothing where it is the usual one.

    So that runs from before, and all others, keep their params.

    Parameters
    ----------
    own
        The dataset's section `survey`.
    layer
        As for `survey_of`.
    colours
        False leaves the stretch out: rules that fetch or read fluxes do not depend on it.
    """
    survey = survey_of(OwnSurvey.model_validate(own), layer)
    if not colours:
        survey = survey.model_copy(update={"stretch": Stretch()})
    return {} if survey == Survey() else {"survey": survey.model_dump(mode="json")}


def taken_survey(given: Mapping[str, Any]) -> tuple[dict[str, Any], Survey]:
    """Return a rule's other settings, and the survey that `handed_survey` put among them."""
    rest = dict(given)
    survey = rest.pop("survey", None)
    return rest, Survey() if survey is None else section(Survey, survey, "survey")
