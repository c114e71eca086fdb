"""FITS cubes: the right extension, the bands in their order, whole, or refused with the key."""

import io

import numpy as np
import pytest
from astropy.io import fits
from galaxy_lvm.core.config.lens_search import ImageReading
from galaxy_lvm.core.config.survey import FileReading, Folder
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses.images import read_sky_image
from galaxy_lvm.survey.answers import read_cube as read_answer
from galaxy_lvm.survey.cubes import MEASURED_ZERO, read_cube
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.survey.readers import read_fluxes
from galaxy_lvm.survey.store import CutoutStore

SIDE, SCALE_DEG = 80, 0.262 / 3600
PLACE = 150.0, 2.0


def fluxes(seed=0):
    """A galaxy (3, SIDE, SIDE), twice as bright from band to band, in noise around 0."""
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    noise = 0.02 * np.random.default_rng(seed).standard_normal((3, SIDE, SIDE))
    galaxy = np.array([1.0, 2.0, 4.0])[:, None, None] * np.exp(-np.hypot(x, y) / 6)
    return (galaxy + noise).astype(np.float32)


def header(**cards):
    base = fits.Header()
    base["CTYPE1"], base["CTYPE2"] = "RA---TAN", "DEC--TAN"
    base["CRVAL1"], base["CRVAL2"] = PLACE
    base["CRPIX1"] = base["CRPIX2"] = (SIDE + 1) / 2
    base["CD1_1"], base["CD2_2"] = -SCALE_DEG, SCALE_DEG
    base.update(cards)
    return base


def write(path, pixels, **cards):
    fits.writeto(path, pixels, header(**cards), overwrite=True)
    return path


@pytest.mark.parametrize(
    ("order", "cards"),
    [
        ("grz", {}), ("grz", {"BANDS": "grz"}), ("zrg", {"BANDS": "zrg"}),
        ("grz", {"BANDS": "GRZ"}), ("zrg", {"BANDS": "Z,R,G"}), ("rgz", {"BANDS": "r g z"}),
        ("zrg", {"BANDS": "z, r, g"}), ("zrg", {"BANDS": "['z', 'r', 'g']"}),
        ("zrg", {"BANDS": "z/r/g"}), ("zrg", {"BANDS": "z-r-g"}),
        ("zrg", {"BANDS": "DES z;DES r;DES g"}), ("zrg", {"BAND": "z|r|g"}),
        ("zrg", {"BANDS": "HSC-Z,HSC-R,HSC-G"}), ("zrg", {"BANDS": "zSDSS,rSDSS,gSDSS"}),
        ("zrg", {"FILTER": "zrg"}), ("zrg", {"FILTERS": "Z R G"}),
        ("zrg", {"FILTER1": "z", "FILTER2": "r", "FILTER3": "g"}),
        ("zrg", {"FILTER0": "Z", "FILTER1": "R", "FILTER2": "G"}),
        ("zrg", {"BAND1": "z", "BAND2": "r", "BAND3": "g"}),
        ("zrg", {"BAND0": "z", "BAND1": "r", "BAND2": "g", "BANDS": "zrg"}),
        ("zrg", {"FILTER1": "z DECam SDSS c0004 9260.0 1520.0", "FILTER2": "r DECam SDSS c0002",
                 "FILTER3": "g DECam SDSS c0001"}),
        ("zrg", {"FILTER1": "SDSS_z", "FILTER2": "ps1.r", "FILTER3": "g'"}),
        ("grz", {"FILTER": "r"}), ("grz", {"FILTER1": "CLEAR", "FILTER2": "OPEN"}),
        ("grz", {"CTYPE3": "BAND"}), ("zrg", {"CTYPE3": "RGB", "BANDS": "zrg"}),
    ],
)  # fmt: skip
def test_bands_are_found_by_every_spelling(tmp_path, order, cards):
    planes = fluxes()[["grz".index(band) for band in order]]
    cube, _ = read_cube(write(tmp_path / "a.fits", planes, **cards))
    np.testing.assert_array_equal(cube, fluxes())


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"CTYPE3": "RGB"}, "CTYPE3 = 'RGB'.*set fits_bands"),
        ({"CTYPE3": "STOKES"}, "CTYPE3 = 'STOKES'"),
        ({"CTYPE3": "WAVE"}, "CTYPE3 = 'WAVE'"),
        ({"COLORSPC": "RGB"}, "colours of a camera"),
        ({"BANDS": "RGB"}, "bands 'rgb'; g, r and z are needed"),
        ({"FILTER1": "Red", "FILTER2": "Green", "FILTER3": "Blue"}, "bands 'Red,Green,Blue'"),
        ({"BANDS": "g,r"}, "bands 'g,r'"),
        ({"BANDS": "grr"}, "bands 'grr'"),
        ({"BAND0": "g", "BAND1": "r"}, "bands 'g"),
        ({"BANDS": "grz", "FILTER1": "z", "FILTER2": "r", "FILTER3": "g"},
         "contradicts itself: BANDS says 'grz', FILTER1 to FILTER3 'zrg'"),
        ({"BUNIT": "adu"}, "values in 'adu' .BUNIT.*set fits_extension"),
        ({"BUNIT": "Jy"}, "values in 'Jy'"),
        ({"BUNIT": "1/nanomaggy^2"}, "no fluxes by name and unit.*set fits_extension"),
        ({"BUNIT": "nanomaggy^-2"}, "no fluxes by name and unit"),
        ({"EXTNAME": "INVVAR"}, "no fluxes by name and unit, but 0 INVVAR"),
    ],
)  # fmt: skip
def test_what_is_no_g_r_z_is_refused_with_the_key(tmp_path, cards, message):
    path = write(tmp_path / "a.fits", fluxes(), **cards)
    with pytest.raises(DataError, match=message):
        read_cube(path)
    with pytest.raises(DataError, match=message):
        read_sky_image(path, ImageReading())


def test_the_config_overrules_the_header(tmp_path):
    path = write(tmp_path / "a.fits", fluxes()[::-1], CTYPE3="RGB", BUNIT="nanomaggies")
    cube, _ = read_cube(path, FileReading(fits_bands="zrg"))
    np.testing.assert_array_equal(cube, fluxes())
    with pytest.raises(DataError, match="4 plane|bands 'zrgy'"):
        read_cube(path, FileReading(fits_bands="zrgy"))
    path = write(tmp_path / "b.fits", fluxes(), BUNIT="adu", EXTNAME="WEIGHT")
    for chosen in (0, "weight", "0"):
        cube, _ = read_cube(path, FileReading(fits_extension=chosen))
        np.testing.assert_array_equal(cube, fluxes())


@pytest.mark.parametrize(
    "counts", [1000 + 3000 * np.clip(fluxes(), 0, None), 1 / 0.01**2 + fluxes()]
)
def test_counts_and_inverse_variances_are_told_by_their_values(tmp_path, counts):
    path = write(tmp_path / "a.fits", counts.astype(np.float32))
    with pytest.raises(DataError, match="brighter than 100 in every pixel.*fits_extension"):
        read_cube(path)
    path = write(tmp_path / "a.fits", counts.astype(np.uint16))
    with pytest.raises(DataError, match="brighter than 100 in every pixel|whole numbers"):
        read_cube(path)
    path = write(tmp_path / "a.fits", (fluxes() > 0.1).astype(np.uint8))
    with pytest.raises(DataError, match="a mask by all signs; set fits_extension"):
        read_cube(path)


def several(path, *named):
    """Write images (name or None, pixels, cards) one behind the other."""
    hdus = [fits.PrimaryHDU()] if named[0][0] is not None else []
    for name, pixels, *cards in named:
        kind = fits.ImageHDU if hdus else fits.PrimaryHDU
        hdus.append(kind(pixels, header(**(cards[0] if cards else {}))))
        if name:
            hdus[-1].header["EXTNAME"] = name
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def test_the_fluxes_are_chosen_by_name_and_unit(tmp_path):
    path, inverse = tmp_path / "a.fits", np.full((3, SIDE, SIDE), 3.0, np.float32)
    nanomaggies, power = {"BUNIT": "nanomaggy"}, {"BUNIT": "nanomaggy^-2"}
    for named in (
        [("INVVAR", inverse), ("IMAGE", fluxes())],
        [("IVAR_GRZ", inverse), ("SCI", fluxes())],
        [(None, inverse, power), ("COADD", fluxes())],
        [(None, inverse), ("SCI", fluxes())],
        [(None, fluxes()), ("WHT", inverse)],
        [("MASK", inverse.astype(np.int16)), ("DQ", inverse), ("galaxy", fluxes())],
        [(None, inverse), (None, fluxes(), nanomaggies)],
    ):
        np.testing.assert_array_equal(read_cube(several(path, *named))[0], fluxes())
    several(path, (None, inverse), (None, fluxes()))
    with pytest.raises(DataError, match="2 images that may be.*0 PRIMARY.*1 .*set fits_extension"):
        read_cube(path)
    np.testing.assert_array_equal(read_cube(path, FileReading(fits_extension=1))[0], fluxes())
    several(path, ("first", inverse), ("second", fluxes()))
    reading = FileReading(fits_extension="Second")
    np.testing.assert_array_equal(read_cube(path, reading)[0], fluxes())
    with pytest.raises(DataError, match="no .bands, H, W. image 'third' .fits_extension.*1 first"):
        read_cube(path, FileReading(fits_extension="third"))


def test_an_extension_inherits_the_first_header_where_it_says_so(tmp_path):
    first, image = fits.PrimaryHDU(header=header(BANDS="zrg")), fits.ImageHDU(fluxes()[::-1])
    path = tmp_path / "a.fits"
    fits.HDUList([first, image]).writeto(path)
    with pytest.raises(DataError, match="no pixel scale in its header"):
        read_fluxes(path)
    image.header["INHERIT"] = True
    fits.HDUList([first, image]).writeto(path, overwrite=True)
    found = read_fluxes(path)
    np.testing.assert_array_equal(found.pixels[:, 36:116, 36:116], fluxes())
    assert found.columns["ra"] == pytest.approx(150.0)


def test_measured_zeros_of_integers_are_no_holes(tmp_path):
    steps = np.rint(fluxes() / 0.02).astype(np.int16)
    steps[:, :4, :4] = -32768
    hdu = fits.PrimaryHDU(steps, header())
    hdu.header["BSCALE"], hdu.header["BLANK"] = 0.02, -32768
    hdu.writeto(tmp_path / "a.fits", output_verify="ignore")
    blank = np.zeros(steps.shape, bool)
    blank[:, :4, :4] = True
    assert ((steps == 0) & ~blank).mean() > 0.1
    cube, _ = read_cube(tmp_path / "a.fits")
    assert np.array_equal(np.isnan(cube), blank) and not (cube == 0).any()
    np.testing.assert_allclose(cube[~blank], steps[~blank] * 0.02, rtol=1e-6, atol=MEASURED_ZERO)
    assert np.isnan(read_fluxes(tmp_path / "a.fits").pixels).mean() < 0.01
    image = read_sky_image(tmp_path / "a.fits", ImageReading())
    assert image.missing.sum() == 16
    write(tmp_path / "b.fits", np.where(blank, np.float32(0), fluxes()))
    assert read_sky_image(tmp_path / "b.fits", ImageReading()).missing.sum() == 16


@pytest.mark.parametrize("key", ["BSCALE", "BZERO", "BLANK"])
@pytest.mark.parametrize("value", ["T", "'0.02'", "0,02", ""])
def test_a_scale_that_is_no_number_is_refused(tmp_path, key, value):
    hdu = fits.PrimaryHDU(np.rint(fluxes() / 0.02).astype(np.int16), header())
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 0.02, 0.5, -32768
    path = tmp_path / "a.fits"
    hdu.writeto(path, output_verify="ignore")
    raw = path.read_bytes()
    at = raw.index(key.ljust(8).encode() + b"=")
    path.write_bytes(raw[:at] + f"{key:8s}= {value:>20s}".ljust(80).encode() + raw[at + 80 :])
    with pytest.raises(DataError, match=f"{key}.*no number|damaged"):
        read_cube(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_checksums_are_asked(tmp_path, compressed):
    path = tmp_path / "a.fits"
    hdu = fits.PrimaryHDU(fluxes(), header())
    if compressed:
        hdu = fits.CompImageHDU(fluxes(), header(), compression_type="RICE_1")
        hdu = fits.HDUList([fits.PrimaryHDU(), hdu])
    hdu.writeto(path, checksum=True)
    good, kept = path.read_bytes(), read_cube(path)[0]
    assert compressed or np.array_equal(kept, fluxes())
    raw = bytearray(good)
    raw[-6000] ^= 4
    path.write_bytes(raw)
    with pytest.raises(DataError, match="checksum that its pixels do not agree|damaged"):
        read_cube(path)
    path.write_bytes(
        good.replace(b"CRVAL1  =                150.0", b"CRVAL1  =                152.0")
    )
    with pytest.raises(DataError, match="checksum that its header does not agree.*fits_checksums"):
        read_cube(path)
    # What astropy leaves behind where edited files are written without new sums.
    assert np.array_equal(read_cube(path, FileReading(fits_checksums=False))[0], kept)


def test_the_download_reads_bands_and_damage_as_the_import_does():
    def answer(pixels, **cards):
        file = io.BytesIO()
        fits.PrimaryHDU(pixels, header(**cards)).writeto(file, checksum=True)
        return file.getvalue()

    np.testing.assert_array_equal(read_answer(answer(fluxes(), BANDS="GRZ"), SIDE, PLACE), fluxes())
    content = answer(fluxes()[::-1], BANDS="z,r,g")
    np.testing.assert_array_equal(read_answer(content, SIDE, PLACE), fluxes())
    raw = bytearray(content)
    raw[20_000] ^= 1
    with pytest.raises(DataError, match="damaged FITS file"):
        read_answer(bytes(raw), SIDE, PLACE)


def test_the_import_hands_its_settings_on(tmp_path):
    several(tmp_path / "a.fits", ("one", fluxes(1)), ("two", fluxes()[::-1]))
    (tmp_path / "t.csv").write_text("id,file,label\na,a.fits,x\n")
    settings = Folder(fits_extension="two", fits_bands="zrg")
    with pytest.raises(DataError, match="set fits_extension"):
        import_images(tmp_path, tmp_path / "t.csv", tmp_path / "c.h5")
    import_images(tmp_path, tmp_path / "t.csv", tmp_path / "c.h5", settings)
    with CutoutStore(tmp_path / "c.h5") as store:
        inner = store.images[0][:, 36:116, 36:116]
    np.testing.assert_array_equal(inner, fluxes())
