"""Where FITS frames lie: every way to write it down comes to the same place, or to a reason."""

import math

import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, Galactic, SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.sky_frame import frame_centre, sky_frame

SIDE, SCALE_ARCSEC = 152, 0.262
RA, DEC = 150.1, 2.2


def header_of(frame="icrs", offset_pix=(0.0, 0.0), matrix="CD", unit=None):
    """Return a header with RA, DEC in the middle of the frame, written in one of many ways."""
    there = SkyCoord(RA, DEC, unit="deg")
    names, where = {
        "icrs": (("RA---TAN", "DEC--TAN"), there.icrs),
        "fk5": (("RA---TAN", "DEC--TAN"), there.transform_to(FK5(equinox="J2000"))),
        "fk4": (("RA---TAN", "DEC--TAN"), there.transform_to(FK4(equinox="B1950"))),
        "galactic": (("GLON-TAN", "GLAT-TAN"), there.transform_to(Galactic())),
    }[frame]
    longitude, latitude = where.spherical.lon.deg, where.spherical.lat.deg
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = names
    wcs.wcs.crval = longitude, latitude
    wcs.wcs.crpix = (SIDE + 1) / 2, (SIDE + 1) / 2
    scale = SCALE_ARCSEC / 3600
    wcs.wcs.cd = [[-scale, 0], [0, scale]]
    if any(offset_pix):
        # The same place and the same pixels, told from a reference pixel far outside.
        x, y = (SIDE - 1) / 2 + offset_pix[0], (SIDE - 1) / 2 + offset_pix[1]
        wcs.wcs.crval = wcs.all_pix2world([[x, y]], 0)[0]
        wcs.wcs.crpix = x + 1, y + 1
        wcs.wcs.set()
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = names
    header["CRVAL1"], header["CRVAL2"] = map(float, wcs.wcs.crval)
    header["CRPIX1"], header["CRPIX2"] = map(float, wcs.wcs.crpix)
    if frame in ("fk4", "fk5"):
        header["RADESYS"] = frame.upper()
        header["EQUINOX"] = 1950.0 if frame == "fk4" else 2000.0
    factor = 3600.0 if unit == "arcsec" else 1.0
    if unit:
        header["CUNIT1"] = header["CUNIT2"] = unit
        header["CRVAL1"] *= factor
        header["CRVAL2"] *= factor
    if matrix == "CD":
        header["CD1_1"], header["CD2_2"] = -scale * factor, scale * factor
    elif matrix == "CDELT":
        header["CDELT1"], header["CDELT2"] = -scale * factor, scale * factor
    else:  # what WCS.to_header() writes of a CD matrix
        header["CDELT1"] = header["CDELT2"] = 1.0
        header["PC1_1"], header["PC2_2"] = -scale * factor, scale * factor
    return header


@pytest.mark.parametrize(
    "how",
    [
        {}, {"matrix": "CDELT"}, {"matrix": "PC"}, {"unit": "deg"}, {"unit": "arcsec"},
        {"unit": "arcsec", "matrix": "PC"}, {"unit": "arcsec", "matrix": "CDELT"},
        {"frame": "fk5"}, {"frame": "fk4"}, {"frame": "galactic"},
        {"frame": "galactic", "matrix": "PC"}, {"unit": "degrees"}, {"unit": "Deg"},
    ],
)  # fmt: skip
def test_every_way_to_write_it_is_the_same_place(how):
    frame = sky_frame(header_of(**how), (SIDE, SIDE))
    assert frame.scale_arcsec == pytest.approx(SCALE_ARCSEC, rel=1e-5)
    assert (frame.ra, frame.dec) == pytest.approx((RA, DEC), abs=1e-5)


@pytest.mark.parametrize("kind", ["SIN", "ZEA", "TPV", "TNX", "CAR", "TAN-SIP"])
def test_every_projection_is_astropys_business(kind):
    header = header_of()
    header["CTYPE1"], header["CTYPE2"] = f"RA---{kind}", f"DEC--{kind}"
    if kind == "CAR":  # its reference lies on the equator
        header["CRVAL2"], header["CRPIX2"] = 0.0, (SIDE + 1) / 2 - DEC / header["CD2_2"]
    if kind == "TAN-SIP":
        header["A_ORDER"] = header["B_ORDER"] = 2
        header["A_2_0"] = header["B_0_2"] = 1e-6
    frame = sky_frame(header, (SIDE, SIDE))
    assert frame.scale_arcsec == pytest.approx(SCALE_ARCSEC, rel=1e-3)
    assert (frame.ra, frame.dec) == pytest.approx((RA, DEC), abs=1e-4)


def test_types_in_small_letters_and_a_rotation():
    header = header_of(matrix="CDELT")
    header["CTYPE1"], header["CTYPE2"], header["CROTA2"] = "ra---tan", "dec--tan", 30.0
    frame = sky_frame(header, (SIDE, SIDE))
    assert (frame.ra, frame.dec) == pytest.approx((RA, DEC), abs=1e-5)


def test_no_scale_is_not_a_degree():
    header = header_of()
    del header["CD1_1"], header["CD2_2"]
    assert sky_frame(header, (SIDE, SIDE)) is None


def test_the_frames_centre_counts_not_the_reference_value():
    """Cutouts of one brick share CRVAL; each lies where its pixels are."""
    header = header_of(offset_pix=(1500.0, -900.0))
    assert abs(header["CRVAL1"] - RA) > 0.05
    frame = sky_frame(header, (SIDE, SIDE))
    assert (frame.ra, frame.dec) == pytest.approx((RA, DEC), abs=1e-5)


def test_swapped_axes():
    header = header_of()
    for key in ("CTYPE", "CRVAL"):
        header[f"{key}1"], header[f"{key}2"] = header[f"{key}2"], header[f"{key}1"]
    scale = SCALE_ARCSEC / 3600
    header["CD1_1"], header["CD2_2"] = scale, scale
    frame = sky_frame(header, (SIDE, SIDE))
    assert (frame.ra, frame.dec) == pytest.approx((RA, DEC), abs=1e-5)
    one_up = frame.at(np.array([[75.5, 75.5], [76.5, 75.5]]))
    assert one_up[1, 1] - one_up[0, 1] == pytest.approx(scale, rel=1e-3)  # x runs along dec


def test_a_round_trip_through_astropy_keeps_place_and_scale():
    header = WCS(header_of()).to_header()
    assert "CD1_1" not in header
    frame = sky_frame(header, (SIDE, SIDE))
    assert frame.scale_arcsec == pytest.approx(SCALE_ARCSEC, rel=1e-5)
    assert (frame.ra, frame.dec) == pytest.approx((RA, DEC), abs=1e-6)


def test_a_third_axis_says_nothing_of_the_sky():
    header = header_of()
    header["CTYPE3"], header["CDELT3"], header["CRVAL3"] = "BAND", 0.0, 0.0
    frame = sky_frame(header, (SIDE, SIDE))
    assert (frame.ra, frame.dec) == pytest.approx((RA, DEC), abs=1e-6)


def test_no_position_is_not_a_position():
    header = header_of()
    header["CRVAL1"] = fits.card.UNDEFINED
    frame = sky_frame(header, (SIDE, SIDE))
    assert frame.scale_arcsec == pytest.approx(SCALE_ARCSEC, rel=1e-5)
    assert math.isnan(frame.ra) and np.isnan(frame.at(np.zeros((2, 2)))).all()


def test_a_scale_without_axes_is_a_scale_and_no_scale_is_none():
    header = header_of()
    del header["CTYPE1"], header["CTYPE2"]
    frame = sky_frame(header, (SIDE, SIDE))
    assert frame.scale_arcsec == pytest.approx(SCALE_ARCSEC, rel=1e-5) and math.isnan(frame.ra)
    assert sky_frame(fits.Header(), (SIDE, SIDE)) is None


def broken(name):
    header = header_of()
    if name == "singular":
        header["CD1_1"] = header["CD1_2"] = header["CD2_1"] = header["CD2_2"]
    elif name == "half a SIP":
        header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
        header["A_ORDER"], header["A_2_0"] = 2, 1e-8
    elif name == "mixed projections":
        header["CTYPE2"] = "DEC--SIN"
    elif name == "unknown projection":
        header["CTYPE1"], header["CTYPE2"] = "RA---XYZ", "DEC--XYZ"
    elif name == "unknown unit":
        header["CUNIT1"] = header["CUNIT2"] = "furlong"
    elif name == "text for a number":
        header["CD1_1"] = "-7.27E-05"
    elif name == "sexagesimal":
        header["CRVAL1"] = "10:00:24"
    else:
        other = {
            "dec 95": ("CRVAL2", 95.0), "reference pixel as text": ("CRPIX1", "76.5"),
            "oblong": ("CD2_2", 0.5 / 3600), "unknown frame": ("RADESYS", "ABC"),
            "matrix undefined": ("CD1_1", fits.card.UNDEFINED), "pole as text": ("LONPOLE", "180"),
            "lookup table": ("CPDIS1", "LOOKUP"), "frame of the Sun": ("CTYPE1", "HPLN-TAN"),
        }  # fmt: skip
        key, value = other[name]
        header[key] = value
        if name == "frame of the Sun":
            header["CTYPE2"] = "HPLT-TAN"
    return header


@pytest.mark.parametrize(
    "name",
    [
        "singular", "half a SIP", "mixed projections", "unknown projection", "unknown unit",
        "text for a number", "dec 95", "reference pixel as text", "oblong", "frame of the Sun",
        "unknown frame", "matrix undefined", "pole as text", "lookup table",
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_words(name):
    with pytest.raises(DataError, match="place on the sky"):
        sky_frame(broken(name), (SIDE, SIDE))


def test_a_reference_value_that_is_no_number_is_no_position():
    try:
        frame = sky_frame(broken("sexagesimal"), (SIDE, SIDE))
    except DataError:
        return
    assert math.isnan(frame.ra)


MORE = [{}, {"RADESYS": "ICRS"}, {"RADESYS": "FK5"}, {"EQUINOX": 1950.0}, {"LONPOLE": 90.0},
        {"CUNIT1": "deg", "CUNIT2": "deg"}, {"CRVAL1": 359.99999}, {"CRVAL1": -3.5},
        {"CD1_2": 2e-5, "CD2_1": 2e-5}, {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"},
        {"CRVAL2": 90.0}, {"BANDS": "grz"}, {"CRPIX1": 70.0},
        {"PV2_1": 0.1}, {"WCSAXES": 2}, {"CD2_2": 7.2e-5, "CD1_1": -7.4e-5}]  # fmt: skip


@pytest.mark.parametrize("more", MORE, ids=str)
def test_a_plain_frame_lies_where_its_wcs_says(more):
    """Whatever the header says more, both ways to ask it agree."""
    header = header_of()
    header.update(more)
    quick, whole = frame_centre(header, (SIDE, SIDE)), sky_frame(header, (SIDE, SIDE))
    assert quick.scale_arcsec == pytest.approx(whole.scale_arcsec, rel=1e-9)
    places = SkyCoord([quick.ra, whole.ra], [quick.dec, whole.dec], unit="deg")
    assert places[0].separation(places[1]).arcsec < 1e-6


@pytest.mark.parametrize("frame", ["icrs", "fk5", "fk4", "galactic"])
@pytest.mark.parametrize("matrix", ["CD", "CDELT", "PC"])
@pytest.mark.parametrize("offset_pix", [(0.0, 0.0), (900.0, -400.0)])
def test_other_frames_are_left_to_the_wcs(frame, matrix, offset_pix):
    header = header_of(frame, offset_pix, matrix)
    quick, whole = frame_centre(header, (SIDE, SIDE)), sky_frame(header, (SIDE, SIDE))
    assert (quick.ra, quick.dec) == pytest.approx((whole.ra, whole.dec), abs=1e-9)
    # Only the plain one needs no WCS: that is what makes it quick.
    assert (quick.wcs is None) == ((frame, matrix, offset_pix) == ("icrs", "CD", (0.0, 0.0)))


@pytest.mark.parametrize(
    "wrong",
    [{"CRVAL2": 95.0}, {"CRVAL1": "east"}, {"CD1_1": 0.0, "CD2_1": 0.0}, {"CD2_2": 1e-3},
     {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN"},
     {"CD1_1": 7e-5, "CD1_2": 7e-5, "CD2_1": 7e-5, "CD2_2": 7e-5}],
    ids=str,
)  # fmt: skip
def test_a_strange_header_is_refused_either_way(wrong):
    header = header_of()
    header.update(wrong)
    said = []
    for ask in (frame_centre, sky_frame):
        try:
            said.append(ask(header, (SIDE, SIDE)))
        except DataError as error:
            said.append(str(error))
    assert repr(said[0]) == repr(said[1])
    assert not (hasattr(said[0], "ra") and math.isfinite(said[0].ra))
