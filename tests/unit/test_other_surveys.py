"""Images of other surveys by config: bands, pixels, zero point, colours, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.visualization import make_lupton_rgb
from crop_cutouts import main as crop_cutouts
from cutout_server import as_fits, flux_at, quick_service, served, table_of
from download_cutouts import main as download
from galaxy_lvm.core.config import check_config, section
from galaxy_lvm.core.config.sky_survey import (
    LAYERS,
    OwnSurvey,
    Stretch,
    Survey,
    asked_bands,
    handed_survey,
    survey_of,
    taken_survey,
)
from galaxy_lvm.core.config.survey import Crop, Folder
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features.images import Reading, folder_images
from galaxy_lvm.survey.bands import band_planes
from galaxy_lvm.survey.colour import grz_to_rgb, to_rgb
from galaxy_lvm.survey.contact_sheet import contact_sheet
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.survey.remote import ServiceError
from galaxy_lvm.survey.shards import write_index
from galaxy_lvm.survey.store import CutoutStore, CutoutWriter

survey = pytest.fixture(served)
UNWISE = survey_of(OwnSurvey(layer="unwise-neo7"))


def config_of(source="legacysurvey", service=None, **own):
    dataset = {"source": source, "data_dir": "x", "survey": own}
    return check_config(
        {"run": "x", "datasets": {"galaxies": dataset}, "legacysurvey": service or {}}
    )


# ------------------------------------------------------------------------------------- config


def test_the_usual_survey_is_what_it_was_and_changes_no_params():
    assert Survey().bands == ("g", "r", "z") and Survey().pixel_scale_arcsec == 0.262
    assert Survey().stretch == Stretch(kind="viewer", band_scales=(6.0, 3.4, 2.2), offset=0.03)
    for layer in (None, "ls-dr9", "ls-dr10", "ls-dr9-north"):
        assert handed_survey({"stretch": {}}, layer) == {}
    rest, taken = taken_survey({"margin": 1.2})
    assert rest == {"margin": 1.2} and taken == Survey()


def test_colours_are_no_matter_of_what_is_fetched_or_read():
    own = {"layer": "sdss", "stretch": {"kind": "sqrt"}}
    handed = handed_survey(own, colours=False)
    assert handed == handed_survey({"layer": "sdss", "stretch": {}}, colours=False) != {}
    assert handed != handed_survey(own)
    assert handed_survey({"stretch": {"kind": "sqrt"}}, colours=False) == {}


def test_a_layer_settles_what_its_images_are_and_keys_of_ones_own_come_first():
    sdss = survey_of(OwnSurvey(layer="sdss"))
    assert sdss.bands == ("g", "r", "i") and sdss.pixel_scale_arcsec == 0.396
    assert sdss.stretch.band_scales == (2.5, 1.5, 1.0) and sdss.stretch.offset == 0.02
    own = survey_of(OwnSurvey(bands=("r", "i", "z"), stretch={"kind": "lupton"}), "ls-dr10")
    assert own.stretch.band_scales == (3.4, 3.0, 2.2) and own.stretch.kind == "lupton"
    assert asked_bands("unwise-neo7", UNWISE.bands) == "12" and asked_bands("sdss", "gri") == "gri"
    handed = handed_survey({"layer": "hsc-dr2", "stretch": {}})
    assert taken_survey({"a": 1, **handed}) == ({"a": 1}, survey_of(OwnSurvey(layer="hsc-dr2")))


@pytest.mark.parametrize(
    ("source", "own", "message"),
    [
        ("legacysurvey", {"layer": "ls-dr99"}, "survey.layer: 'ls-dr99' is none .* unwise-neo7"),
        ("legacysurvey", {"bands": ["g", "i"]}, "survey.bands: 'ls-dr9' has no i, but g, r, z"),
        ("legacysurvey", {"layer": "sdss", "bands": ["g", "z"]}, "'sdss' has no z, but g, r, i"),
        ("legacysurvey", {"bands": ["g"]}, "survey.bands"),
        ("legacysurvey", {"bands": ["g", "g"]}, "survey.bands"),
        ("legacysurvey", {"stretch": {"band_scales": [1, 2]}}, "2 values for the bands g, r, z"),
        ("folder", {"layer": "sdss"}, "survey.layer: files have no layer"),
        ("folder", {"bands": ["VIS", "Y", "H"]}, "band_scales: needed for VIS, Y, H at 0.262"),
        ("folder", {"pixel_scale_arcsec": 0.1}, "band_scales: needed for g, r, z at 0.1"),
        ("folder", {"pixel_scale_arcsec": 2.75}, "2.75 is above folder.max_pixel_scale_arcsec"),
        ("mock", {"bands": ["g", "r"]}, "images of source 'mock' are g, r, z"),
    ],
)
def test_a_survey_that_cannot_be_is_refused_before_anything_runs(source, own, message):
    with pytest.raises(ConfigError, match=message):
        config_of(source, **own)


def test_a_layer_that_is_not_known_needs_its_bands_and_pixels():
    own = {"layer": "ls-dr11", "bands": ["g", "r", "z"], "pixel_scale_arcsec": 0.262}
    assert config_of(**own)["datasets"]["galaxies"]["survey"]["layer"] == "ls-dr11"
    for layer in LAYERS:
        config_of(layer=layer)
        config_of(service={"layer": layer})


# ------------------------------------------------------------------------------------ colours


def test_of_two_bands_green_is_the_mean_and_the_intensity_theirs():
    images = np.random.default_rng(0).normal(1, 20, (2, 2, 9, 8)).astype(np.float32)
    stretch = Stretch(band_scales=(0.02, 0.01))
    first, last = (np.maximum(images[:, i] * s + 0.03, 0) for i, s in enumerate((0.02, 0.01)))
    mean = np.maximum(images[:, 0] * 0.02 / 2 + images[:, 1] * 0.01 / 2 + 0.03, 0)
    planes = np.stack([last, mean, first], axis=-1).astype(float)
    level = np.maximum(planes.mean(axis=-1, keepdims=True), 1e-6)
    expected = 255 * np.clip(planes * np.arcsinh(20 * level) / np.sqrt(20) / level, 0, 1)
    assert np.abs(to_rgb(images, stretch) - expected).max() < 0.51


def test_the_other_mappings_are_astropys():
    images = np.random.default_rng(1).uniform(-0.05, 0.4, (1, 3, 12, 12)).astype(np.float32)
    np.testing.assert_array_equal(to_rgb(images, Stretch()), grz_to_rgb(images))
    planes = np.maximum(images[0] * np.array([6.0, 3.4, 2.2])[:, None, None] + 0.03, 0)
    lupton = make_lupton_rgb(planes[2], planes[1], planes[0], minimum=0, stretch=1, Q=20)
    found = to_rgb(images, Stretch(kind="lupton"))[0]
    assert np.abs(found.astype(int) - lupton).max() <= 1
    curves = {"linear": lambda x: x, "sqrt": np.sqrt,
              "asinh": lambda x: np.arcsinh(20 * x) / np.arcsinh(20)}  # fmt: skip
    for kind, curve in curves.items():
        expected = 255 * curve(np.clip(planes, 0, 1))[::-1].transpose(1, 2, 0)
        assert np.abs(to_rgb(images, Stretch(kind=kind))[0] - expected).max() < 0.51


def test_as_many_scales_as_bands_are_needed():
    with pytest.raises(DataError, match=r"\(N, 3, H, W\) arrays, not \(1, 2, 4, 4\)"):
        to_rgb(np.zeros((1, 2, 4, 4), np.float32), Stretch())


# -------------------------------------------------------------------------------- FITS headers


@pytest.mark.parametrize(
    ("cards", "planes"),
    [
        ({"BANDS": "12"}, [0, 1]),
        ({"BANDS": "21", "BAND0": "2", "BAND1": "1"}, [1, 0]),
        ({"BANDS": "W1,W2"}, [0, 1]),
        ({"BANDS": "w2, w1"}, [1, 0]),
        ({"FILTER1": "W2", "FILTER2": "W1"}, [1, 0]),
        ({"BANDS": "3,1,2"}, [1, 2]),
        ({}, [0, 1]),
    ],
)
def test_bands_of_unwise_are_found_by_any_of_their_names(cards, planes):
    n_planes = 3 if "3" in cards.get("BANDS", "") else 2
    assert band_planes(fits.Header(cards), n_planes, None, ("W1", "W2")) == planes


def test_a_band_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r"3 plane\(s\), bands 'grz'; W1 and W2 are needed.*W1,W2"):
        band_planes(fits.Header({"BANDS": "grz"}), 3, None, ("W1", "W2"))
    with pytest.raises(DataError, match=r"bands 'grz'; g, i and z are needed .*bands=giz"):
        band_planes(fits.Header({"BANDS": "grz"}), 3, None, ("g", "i", "z"))
    assert band_planes(fits.Header(), 3, "H,Y,VIS", ("VIS", "Y", "H")) == [2, 1, 0]


# --------------------------------------------------------------------------- service to crops


def fetched(survey, folder, chosen, layer, places=((5.0, 1.0), (9.0, 2.0)), side=32):
    rows = [f"g{ra:g},{ra},{dec}" for ra, dec in places]
    settings = quick_service(survey.url, layer=layer)
    cutouts, cache = folder / "c.h5", folder / "cache"
    table = table_of(folder, rows, "id,ra,dec")
    download(table, cutouts, folder / "r.csv", cache, settings, side, chosen)
    return cutouts, pd.read_csv(folder / "r.csv")


def test_w1_and_w2_of_unwise_become_crops(survey, tmp_path):
    cutouts, rejected = fetched(survey, tmp_path, UNWISE, "unwise-neo7")
    assert survey.asked[0] | {"ra": "", "dec": ""} == {
        "ra": "", "dec": "", "layer": "unwise-neo7", "pixscale": "2.75", "bands": "12",
        "size": "32"}  # fmt: skip
    crops = tmp_path / "crops.h5"
    settings = section(Crop, {**Crop().model_dump(), "side_pix": 32})
    crop_cutouts(cutouts, crops, tmp_path / "rc.csv", settings, UNWISE.stretch)
    with CutoutStore(cutouts) as store, CropStore(crops) as made:
        assert store.bands == ("W1", "W2") and store.pixel_scale_arcsec == 2.75
        np.testing.assert_array_equal(store.images[:], [flux_at(5, 1, 32, 2), flux_at(9, 2, 32, 2)])
        assert made.stretch == UNWISE.stretch and made.take([0]).shape == (1, 32, 32, 3)
        assert contact_sheet(store, 2, 0, made.stretch).axes
    assert rejected.empty
    assert len(list(tmp_path.rglob("unwise-neo7_32pix_W1_W2_2.75arcsec/*/*.fits"))) == 2


def test_fluxes_of_another_zero_point_become_nanomaggies(survey, tmp_path):
    hsc = survey_of(OwnSurvey(layer="hsc-dr2"))
    cutouts, _ = fetched(survey, tmp_path, hsc, "hsc-dr2")
    with CutoutStore(cutouts) as store:
        # Zero points of 27 and 22.5 mag: 4.5 mag, a factor of 63.1.
        expected = flux_at(5, 1, 32) / 63.0957
        np.testing.assert_allclose(store.images[0], expected, rtol=1e-5)
    assert survey.asked[0]["pixscale"] == "0.168"


def test_a_layer_with_other_bands_stops_the_download_with_both(survey, tmp_path):
    survey.bands = "grz"  # the service takes its usual bands where it does not know those asked for
    places = [(float(ra), 1.0) for ra in range(25)]
    with pytest.raises(ServiceError, match="bands 'grz'; W1 and W2 are needed.*legacysurvey.layer"):
        fetched(survey, tmp_path, UNWISE, "unwise-neo7", places)


# ----------------------------------------------------------------------------------- own files


def test_a_euclid_like_folder_is_imported_in_its_own_bands_and_pixels(tmp_path):
    own = survey_of(OwnSurvey(bands=("VIS", "Y", "H"), pixel_scale_arcsec=0.1, zero_point_mag=23.9,
                              stretch={"band_scales": (50.0, 20.0, 10.0)}))  # fmt: skip
    cube = np.random.default_rng(0).uniform(0.1, 1, (3, 152, 152)).astype(np.float32)
    header = fits.Header({"BAND1": "VIS", "BAND2": "H", "BAND3": "Y", "CTYPE1": "RA---TAN",
                          "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 2.0, "CRPIX1": 76.5,
                          "CRPIX2": 76.5, "CD1_1": -0.1 / 3600, "CD2_2": 0.1 / 3600})  # fmt: skip
    fits.writeto(tmp_path / "a.fits", cube, header)
    header["BAND3"] = "J"
    fits.writeto(tmp_path / "b.fits", cube, header)
    (tmp_path / "t.csv").write_text("id,file,label\na,a.fits,x\nb,b.fits,x\n")
    lost = import_images(tmp_path, tmp_path / "t.csv", tmp_path / "c.h5", Folder(), survey=own)
    with CutoutStore(tmp_path / "c.h5") as store:
        assert store.bands == ("VIS", "Y", "H") and store.pixel_scale_arcsec == 0.1
        expected = cube[[0, 2, 1]] * 10 ** (-0.4 * 1.4)
        np.testing.assert_allclose(store.images[0], expected, rtol=1e-5)
    assert len(lost) == 1 and "bands 'VIS,H,J'; VIS, Y and H are needed" in lost[0]["reason"]


def test_files_of_two_bands_are_read_and_cut_without_a_table(tmp_path):
    cube = 40 * flux_at(1.0, 2.0, 152, 2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.fits").write_bytes(as_fits(cube, 1.0, 2.0, "12", 2.75))
    reading = Reading(Folder(max_pixel_scale_arcsec=3.0), survey=UNWISE)
    (chunk,) = folder_images(tmp_path / "mine", reading).chunks()
    assert chunk.images.shape == (1, 128, 128, 3) and not chunk.skipped
    np.testing.assert_array_equal(folder_images(tmp_path / "mine", reading).frame("a.fits"), cube)
    with pytest.raises(DataError, match="g, r and z are needed"):
        folder_images(tmp_path / "mine", Reading()).frame("a.fits")


def test_shards_of_different_bands_or_pixels_are_no_dataset(tmp_path):
    for name, own in (("a", Survey()), ("b", survey_of(OwnSurvey(layer="sdss"))), ("c", Survey())):
        with CutoutWriter(tmp_path / f"{name}.h5", False, 16, 16, survey=own) as writer:
            writer.append(np.ones((1, 3, 16, 16)), {"id": [name]})
    write_index(tmp_path / "i.h5", [tmp_path / "a.h5", tmp_path / "c.h5"], ["0", "1"], "again")
    with pytest.raises(
        DataError, match=r"b.h5: images of .*g,r,i at 0.396 .*a.h5 has .*g,r,z at 0.262"
    ):
        write_index(tmp_path / "i.h5", [tmp_path / "a.h5", tmp_path / "b.h5"], ["0", "1"], "again")
