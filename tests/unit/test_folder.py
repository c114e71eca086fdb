"""A user's images: what is read, how it is brought to one frame, and what is refused why."""

import gzip
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.folder import import_images, read_table
from galaxy_lvm.survey.readers import read_fluxes
from galaxy_lvm.survey.store import CutoutStore
from import_folder import main as import_folder
from PIL import Image

SHARED = Path(
    os.environ.get("GALAXY_LVM_SHARED", Path(__file__).parents[2].parent / "shared" / "data")
)
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no real images: set GALAXY_LVM_SHARED to their folder"
)


def picture(side=64, seed=0):
    """A blurred random colour image, so that compression keeps it."""
    noise = np.random.default_rng(seed).integers(0, 255, (side, side, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


def write_fits(path, cube, scale_arcsec=0.262, **cards):
    header = fits.Header()
    if scale_arcsec:
        header["CD1_1"], header["CD2_2"] = -scale_arcsec / 3600, scale_arcsec / 3600
        header["CD1_2"] = header["CD2_1"] = 0.0
        header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
        header["CRVAL1"], header["CRVAL2"] = 150.0, 2.0
        # The position is that of the frame's centre.
        header["CRPIX1"], header["CRPIX2"] = (np.array(np.shape(cube))[:-3:-1] + 1) / 2
    header.update(cards)
    fits.writeto(path, np.asarray(cube, np.float32), header, overwrite=True)


def blob(side=152, sigma_pix=10.0, total=100.0):
    """A round galaxy whose flux is `total` in every band, on a faint pedestal of noise."""
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    image = np.exp(-(rows**2 + columns**2) / (2 * sigma_pix**2))
    return (total * image / image.sum() + 1e-9)[None].repeat(3, 0)


def table_of(folder, rows, columns="id,file,label"):
    path = folder / "labels.csv"
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


def run(folder, rows, columns="id,file,label", cores=1, **settings):
    """Import and return the store's images, its catalogue and the rejections."""
    cutouts, rejected = folder / "out" / "c.h5", folder / "out" / "r.csv"
    table = table_of(folder, rows, columns)
    import_folder(folder, table, cutouts, rejected, Folder(**settings), cores)
    with CutoutStore(cutouts) as store:
        return store.images[:], store.catalogue(), pd.read_csv(rejected, keep_default_na=False)


@pytest.fixture
def folder(tmp_path):
    """Two good pictures, a.png and b.jpg."""
    Image.fromarray(picture(64, 1)).save(tmp_path / "a.png")
    Image.fromarray(picture(64, 2)).save(tmp_path / "b.jpg", quality=95, progressive=True)
    return tmp_path


GOOD = ["1,a.png,spiral", "2,b.jpg,other"]


def test_pictures_arrive_unchanged_with_all_columns(folder):
    rows = ["1,a.png,spiral,10.5,-3,0.7,x", "2,b.jpg,,11,-4,,y"]
    images, table, rejected = run(folder, rows, "id,file,label,ra,dec,p_bar,note", cores=2)
    np.testing.assert_array_equal(images[0], picture(64, 1))
    assert np.abs(images[1].astype(int) - picture(64, 2)).mean() < 4
    assert list(table["id"]) == ["1", "2"]  # text although they look like numbers
    assert list(table["label"]) == ["spiral", ""]
    assert list(table["row"]) == [2, 3]
    assert list(table["ra"]) == [10.5, 11.0]
    assert np.isnan(table["p_bar"][1]) and table["p_bar"][0] == 0.7
    assert list(table["note"]) == ["x", "y"]
    assert list(table["width_pix"]) == [64, 64]
    assert rejected.empty and list(rejected) == ["stage", "id", "file", "row", "reason"]


def test_sizes_are_brought_to_the_median_of_the_shorter_sides(folder):
    wide = np.zeros((64, 128, 3), np.uint8)
    wide[:, 32:96] = picture(64, 3)
    Image.fromarray(wide).save(folder / "wide.png")
    Image.fromarray(cv2.resize(picture(64, 4), (200, 200))).save(folder / "large.png")
    images, table, _ = run(folder, [*GOOD, "3,wide.png,other", "4,large.png,other"])
    assert images.shape == (4, 64, 64, 3)
    np.testing.assert_array_equal(images[2], picture(64, 3))  # cut, not squeezed
    assert np.abs(images[3].astype(int) - picture(64, 4)).mean() < 6  # shrunk, not cut
    assert list(table["width_pix"]) == [64, 64, 128, 200]
    assert run(folder, GOOD, image_side_pix=48)[0].shape == (2, 48, 48, 3)


def test_odd_encodings_are_read_or_refused_with_a_reason(folder):
    picture_ = Image.fromarray(picture(64, 5))
    picture_.convert("RGBA").save(folder / "alpha.png")
    cv2.imwrite(str(folder / "deep.png"), picture(64, 5)[..., ::-1].astype(np.uint16) * 257)
    picture_.convert("L").save(folder / "grey.jpg")
    picture_.convert("CMYK").save(folder / "cmyk.jpg")
    cv2.imwrite(str(folder / "grey16.png"), np.full((64, 64), 900, np.uint16))
    (folder / "text.jpg").write_text("not an image")
    data = (folder / "b.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])
    (folder / "empty.png").touch()
    Image.fromarray(picture(8)).save(folder / "tiny.png")
    (folder / "table.tiff").touch()
    names = ["alpha.png", "deep.png", "grey.jpg", "cmyk.jpg", "grey16.png", "text.jpg", "cut.jpg"]
    names += ["empty.png", "tiny.png", "table.tiff", "absent.png"]
    images, table, rejected = run(folder, GOOD + [f"{n},{n},other" for n in names])
    assert list(table["id"])[2:] == ["alpha.png", "deep.png"]
    np.testing.assert_array_equal(images[2], picture(64, 5))
    np.testing.assert_array_equal(images[3], picture(64, 5))
    reasons = rejected.set_index("file")["reason"]
    for name, part in {
        "grey.jpg": "one channel",
        "grey16.png": "one channel",
        "cmyk.jpg": "CMYK",
        "text.jpg": "cannot be decoded",
        "cut.jpg": "cannot be decoded",
        "empty.png": "is empty (0 bytes)",
        "tiny.png": "8 x 8 pixels",
        "table.tiff": "not read; use JPEG, PNG or FITS",
        "absent.png": "no such file",
    }.items():
        assert part in reasons[name], name
    assert len(rejected) == 9
    assert not rejected["reason"].str.contains("object at").any()
    lines = rejected.set_index("file")["row"].astype(int)
    assert lines["grey.jpg"] == 6 and lines["absent.png"] == 14


def test_rows_and_files_that_do_not_match_are_listed(folder):
    Image.fromarray(picture()).save(folder / "spare.png")
    rows = ["1,a.png,spiral", "", "1,b.jpg,other", "1,b.jpg,other", ",a.png,x", "7,,x", "2,b.jpg,o"]
    _, table, rejected = run(folder, rows)
    assert list(table["id"]) == ["1", "2"]
    found = [
        (str(r.row), r.id, r.reason.split(",")[0].split(";")[0]) for r in rejected.itertuples()
    ]
    assert ("4", "1", "id used before") in found
    assert ("5", "1", "id used before") in found
    assert ("6", "", "the id is empty") in found
    assert ("7", "7", "the row names no file") in found
    spare = rejected[rejected["file"] == "spare.png"].iloc[0]
    assert spare["reason"] == "no row in the table names this file" and spare["row"] == ""
    assert len(rejected) == 5


def test_spare_delimiters_shift_nothing_and_spare_values_are_refused(folder):
    _, table, _ = run(folder, ["1,a.png,spiral,", "2,b.jpg,other,, "])
    assert table[["id", "label", "row"]].to_numpy().tolist() == [
        ["1", "spiral", 2],
        ["2", "other", 3],
    ]
    for rows, line in (
        (["1,a.png,spiral,0.5", "2,b.jpg,x"], 2),
        (["1,a.png,x", "2,b.jpg,x,,9"], 3),
    ):
        with pytest.raises(DataError, match=rf"labels.csv: line {line} has . values, .* 3 columns"):
            run(folder, rows)
    assert len(run(folder, ['1,a.png,"round, smooth"', "2,b.jpg"])[1]) == 2


def test_a_compressed_table_is_read(folder):
    with gzip.open(folder / "t.csv.gz", "wt") as file:
        file.write("id,file,label\n1,a.png,spiral,\n")
    assert read_table(folder / "t.csv.gz", Folder())["label"].tolist() == ["spiral"]


def test_other_column_names_and_separators(folder):
    path = folder / "t.tsv"
    path.write_bytes("\ufeffname\tpath\tkind\tid\n g1 \ta.png\tspiral\t99\n".encode())
    settings = Folder(id_column="name", file_column="path", label_column="kind")
    import_images(folder, path, folder / "c.h5", settings)
    with CutoutStore(folder / "c.h5") as store:
        table = store.catalogue()
    assert table.loc[0, ["id", "label"]].tolist() == ["g1", "spiral"]
    assert table.loc[0, "table_id"] == 99


def test_a_column_called_row_is_kept_beside_the_line_number(folder):
    _, table, _ = run(folder, ["1,a.png,spiral,7"], "id,file,label,row")
    assert table.loc[0, "table_row"] == 7 and table.loc[0, "row"] == 2
    with pytest.raises(DataError, match="'table_row' is a name that is needed here"):
        run(folder, ["1,a.png,spiral,7,8"], "id,file,label,row,table_row")


def test_columns_whose_names_meet_in_the_store_are_both_kept(folder):
    _, table, _ = run(folder, ["1,a.png,spiral,7,8"], "id,file,label,a_b,a/b")
    assert table.loc[0, ["a_b", "a_b_"]].tolist() == [7, 8]


def test_without_a_label_column_all_are_unlabelled(folder):
    _, table, _ = run(folder, ["1,a.png", "2,b.jpg"], "id,file", label_column="")
    assert list(table["label"]) == ["", ""]


def test_a_second_label_is_text_beside_its_own_column(folder):
    rows = ["1,a.png,spiral,0042", "2,b.jpg,other,"]
    _, table, _ = run(folder, rows, "id,file,label,clean", second_label_column="clean")
    assert list(table["label"]) == ["spiral", "other"]
    assert list(table["second_label"]) == list(table["clean"]) == ["0042", ""]
    with pytest.raises(DataError, match=r"no column 'clean'.*second_label_column"):
        run(folder, GOOD, second_label_column="clean")


def test_a_column_called_second_label_is_none_unless_it_was_named(folder):
    rows = ["1,a.png,spiral,x"]
    _, table, _ = run(folder, rows, "id,file,label,second_label")
    assert "second_label" not in table and list(table["table_second_label"]) == ["x"]
    columns = "id,file,label,second_label"
    _, table, _ = run(folder, rows, columns, second_label_column="second_label")
    assert list(table["second_label"]) == ["x"]


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([], "id,file,label", "no rows"),
        (GOOD, "id,file,type", "no column 'label'.*'type'.*label_column"),
        (["1,x.png,a", "2,y.png,b"], "id,file,label", "no row can be used.*row 2.*no such file"),
        (["1,grey.png,a"], "id,file,label", "none of the images can be used.*one channel"),
        (["1,a.png,x", "2,m.fits,y"], "id,file,label", "1 FITS and 1 JPEG or PNG"),
    ],
)
def test_unusable_tables_stop_with_what_to_do(folder, rows, columns, message):
    Image.fromarray(picture()).convert("L").save(folder / "grey.png")
    write_fits(folder / "m.fits", blob())
    with pytest.raises(DataError, match=message):
        run(folder, rows, columns)
    assert not (folder / "out" / "c.h5").exists()


def test_missing_or_broken_table_and_folder(folder):
    with pytest.raises(DataError, match="no such table"):
        import_images(folder, folder / "none.csv", folder / "c.h5")
    with pytest.raises(DataError, match="no such folder"):
        import_images(folder / "none", folder / "none.csv", folder / "c.h5")
    (folder / "empty.csv").touch()
    with pytest.raises(DataError, match="not a readable CSV"):
        import_images(folder, folder / "empty.csv", folder / "c.h5")


def test_fits_at_the_native_scale_is_cut_without_change(tmp_path):
    cube = np.random.default_rng(0).normal(1, 0.1, (3, 200, 180)).astype(np.float32)
    write_fits(tmp_path / "a.fits", cube)
    images, table, _ = run(tmp_path, ["1,a.fits,other"])
    np.testing.assert_array_equal(images[0], cube[:, 24:176, 14:166])
    assert table.loc[0, ["ra", "dec"]].tolist() == pytest.approx([150.0, 2.0])


@pytest.mark.parametrize("scale", [0.131, 0.2, 0.4, 0.524])
def test_resampled_fits_keeps_flux_and_size(tmp_path, scale):
    zoom = scale / 0.262
    side = round(170 / zoom)
    path = tmp_path / "a.fits"
    # As the cutout service does it: surface brightness per native pixel, whatever the sampling.
    write_fits(path, blob(side, 10 / zoom) / zoom**2, scale)
    image = read_fluxes(path).pixels
    np.testing.assert_allclose(image.sum(axis=(1, 2)), 100, rtol=0.01)
    rows = np.arange(152) - 75.5
    profile = image[0].sum(axis=1)
    assert np.sqrt((profile * rows**2).sum() / profile.sum()) == pytest.approx(10, rel=0.03)
    assert (profile * rows).sum() / profile.sum() == pytest.approx(0, abs=0.3)
    # Flux per pixel of the file itself.
    write_fits(path, blob(side, 10 / zoom), scale)
    image = read_fluxes(path, flux_unit="per_own_pixel").pixels
    np.testing.assert_allclose(image.sum(axis=(1, 2)), 100, rtol=0.01)


def test_bands_are_found_by_name(tmp_path):
    cube = np.stack([np.full((152, 152), value) for value in (1.0, 2.0, 3.0, 4.0)])
    write_fits(tmp_path / "a.fits", cube, BANDS="griz")
    assert read_fluxes(tmp_path / "a.fits").pixels[:, 5, 5].tolist() == [1.0, 2.0, 4.0]
    write_fits(tmp_path / "a.fits", cube[:3], BAND0="z", BAND1="r", BAND2="g")
    assert read_fluxes(tmp_path / "a.fits").pixels[:, 5, 5].tolist() == [3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("cube", "cards", "message"),
    [
        (np.ones((3, 152, 152)), {"BANDS": "gri"}, "bands 'gri'; g, r and z are needed"),
        (np.ones((2, 152, 152)), {}, "2 plane"),
        (np.ones((152, 152)), {}, "plane for every band"),
        (np.ones((3, 152, 152)), {"scale_arcsec": 1.0}, "1 arcsec per pixel, coarser"),
        (np.ones((3, 152, 152)), {"scale_arcsec": None}, "set pixel_scale_arcsec"),
        (np.ones((3, 40, 40)), {}, "covers 10.5 arcsec"),
    ],
)
def test_unsuitable_fits_is_refused(tmp_path, cube, cards, message):
    write_fits(tmp_path / "a.fits", cube, **cards)
    with pytest.raises(DataError, match=message):
        read_fluxes(tmp_path / "a.fits")


def test_bad_pixels_stay_marked_and_do_not_spread(tmp_path):
    cube = blob(340, 20.0, 400.0) + 1.0
    cube[1, 100:104, 150:154] = np.nan
    cube[2, 200:204, 150:154] = 0.0
    write_fits(tmp_path / "a.fits", cube, 0.131)
    image = read_fluxes(tmp_path / "a.fits").pixels
    assert np.isfinite(image[0]).all()
    assert np.isnan(image[1]).sum() in range(1, 10)
    assert np.isnan(image[2]).sum() in range(1, 10)
    assert np.nanmin(image) > 0.99  # neither zeros nor NaN were mixed into the rest


def test_too_many_bad_pixels_and_truncation_are_rejections(tmp_path):
    cube = blob() + 1.0
    write_fits(tmp_path / "good.fits", cube)
    cube[1, :40] = np.nan
    write_fits(tmp_path / "bad.fits", cube)
    data = (tmp_path / "good.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.fits").write_text("no")
    rows = [f"{n},{n}.fits,other" for n in ("good", "bad", "cut", "text")]
    images, _, rejected = run(tmp_path, rows)
    assert len(images) == 1
    reasons = dict(zip(rejected["id"], rejected["reason"], strict=True))
    assert "r 26%" in reasons["bad"]
    assert "damaged or cut short" in reasons["cut"]
    assert "damaged" in reasons["text"]
    assert len(run(tmp_path, rows, max_bad_fraction=0.5)[0]) == 2


@needs_shared
def test_real_fits_files_are_read_or_refused(tmp_path):
    names = sorted(path.name for path in (SHARED / "fits").glob("*.fits"))
    table = table_of(tmp_path, [f"{n},{n}," for n in names])
    rejected = import_images(SHARED / "fits", table, tmp_path / "c.h5")
    reasons = {r["id"]: r["reason"] for r in rejected}
    assert set(reasons) == {"bad_pixels.fits", "coarse_1arcsec.fits", "truncated.fits"}
    assert "lacks too many pixels" in reasons["bad_pixels.fits"]
    assert "coarser" in reasons["coarse_1arcsec.fits"]
    assert "cut short" in reasons["truncated.fits"]


@needs_shared
def test_the_service_interpolates_surface_brightness():
    """One galaxy at two pixel scales: the flux in the same area agrees without any factor."""
    fine, native = (
        read_fluxes(SHARED / "fits" / name).pixels
        for name in ("fine_424px.fits", "native_225px.fits")
    )
    np.testing.assert_allclose(fine.sum(axis=(1, 2)), native.sum(axis=(1, 2)), rtol=0.01)


@needs_shared
def test_real_pictures_of_both_sizes_import(tmp_path):
    labels = pd.read_csv(SHARED / "galaxies" / "labels.csv").groupby("label").head(5)
    labels.to_csv(tmp_path / "t.csv", index=False)
    rejected = import_images(SHARED / "galaxies", tmp_path / "t.csv", tmp_path / "c.h5", cores=2)
    with CutoutStore(tmp_path / "c.h5") as store:
        assert len(store) == 20
        assert set(store.catalogue()["label"]) == {"elliptical", "edge_on", "spiral", "other"}
    assert all(r["reason"] == "no row in the table names this file" for r in rejected)
