"""Tables that users bring: every form read with its values unchanged, or refused with words."""

import bz2
import gzip
import io
import random
import zipfile

import numpy as np
import pandas as pd
import pytest
from astropy.table import MaskedColumn, Table
from crop_cutouts import main as crop_cutouts
from galaxy_lvm.core.config.survey import Crop, Folder, Splits
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.core.user_tables import LINE, read_user_table
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.folder import check_rows, read_table
from galaxy_lvm.survey.position_columns import position_columns
from galaxy_lvm.survey.positions import read_positions
from galaxy_lvm.survey.sky_columns import degrees_of
from galaxy_lvm.survey.store import CutoutWriter
from make_splits import main as make_splits

CSV = "id,file,label,ra,dec\n0042,g0.png,é,150.25,-2.5\nb,g1.png,None,151.5,3\n"
IDS, LABELS = ["0042", "b"], ["é", "None"]
LONG = "1237649770260463687"


def written(folder, text, name="t.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def astropy_table(**more):
    columns = {"id": IDS, "file": ["g0.png", "g1.png"], "label": ["x", "None"]}
    return Table({**columns, "ra": [150.25, 151.5], "dec": [-2.5, 3.0], **more})


FORMS = {
    "plain": CSV.encode(),
    "marked": CSV.encode("utf-8-sig"),
    "utf-16": CSV.encode("utf-16"),
    "utf-16 without a mark": CSV.encode("utf-16-le"),
    "carriage returns": CSV.replace("\n", "\r").encode(),
    "both": CSV.replace("\n", "\r\n").encode(),
    "semicolons": CSV.replace(",", ";").encode(),
    "tabs": CSV.replace(",", "\t").encode(),
    "bars": CSV.replace(",", "|").encode(),
    "blanks": CSV.replace(",", ", ").encode(),
    "quotes": CSV.replace("g0.png", ' "g0.png"').encode(),
    "declared": ("sep=;\n" + CSV.replace(",", ";")).encode(),
    "comment": ('# made by "TOPCAT, it\'s "\n' + CSV).encode(),
    "header in a comment": ("#" + CSV).encode(),
    "gzip": gzip.compress(CSV.encode()),
    "bzip2": bz2.compress(CSV.encode()),
    "no last line end": CSV.rstrip().encode(),
    "spare columns": CSV.replace("\n", ",,\n").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_texts_in_any_dress_are_the_same_table(tmp_path, form):
    path = written(tmp_path, FORMS[form])
    table = read_table(path, Folder())
    assert table["id"].tolist() == IDS and table["label"].tolist() == LABELS
    assert table["file"].tolist() == ["g0.png", "g1.png"]
    assert table[["ra", "dec"]].to_numpy().tolist() == [[150.25, -2.5], [151.5, 3.0]]
    positions, rejections = read_positions(path)
    assert positions["id"].tolist() == IDS and not rejections
    assert positions["dec"].tolist() == [-2.5, 3.0]


@pytest.mark.parametrize("form", ["fits", "votable", "ecsv", "comma.ecsv", "parquet"])
def test_tables_of_astronomy_are_read(tmp_path, form):
    objid = MaskedColumn([int(LONG), 0], mask=[False, True])
    table, path = astropy_table(objid=objid), tmp_path / f"t.{form}"
    if form == "comma.ecsv":
        table.write(path, format="ascii.ecsv", delimiter=",")
    elif form == "parquet":
        table.to_pandas().to_parquet(path)
    else:
        table.write(path, format={"ecsv": "ascii.ecsv"}.get(form, form))
    read = read_table(path, Folder())
    assert read["id"].tolist() == IDS and read["label"].tolist() == ["x", "None"]
    assert read[["ra", "dec"]].to_numpy().tolist() == [[150.25, -2.5], [151.5, 3.0]]
    assert read["objid"].tolist() == [LONG, ""]
    lines = path.read_text().splitlines() if "ecsv" in form else []
    first = next((n for n, line in enumerate(lines, 1) if line.startswith("0042")), 2)
    assert read["row"].tolist() == [first, first + 1]


def test_units_of_a_table_are_honoured(tmp_path):
    table = astropy_table()
    table["ra"] = table["ra"] / 15
    table["ra"].unit, table["dec"].unit = "hourangle", "deg"
    for name, form in (("t.ecsv", "ascii.ecsv"), ("t.vot", "votable")):
        table.write(tmp_path / name, format=form)
        assert read_table(tmp_path / name, Folder())["ra"].tolist() == pytest.approx(
            [150.25, 151.5]
        )


def several_tables():
    from astropy.io import fits

    table = fits.BinTableHDU(astropy_table())
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table, table]).writeto(buffer)
    return buffer.getvalue()


def workbook():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return buffer.getvalue()


def picture_as_fits():
    from astropy.io import fits

    buffer = io.BytesIO()
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(buffer)
    return buffer.getvalue()


HEAD = "id,file,label\n"
REFUSED = {
    "workbook": (workbook(), "Excel .*save the table as CSV"),
    "old workbook": (b"\xd0\xcf\x11\xe0rest", "old Excel workbook"),
    "two tables": (several_tables(), "holds 2 tables"),
    "an image": (picture_as_fits(), "holds 0 tables"),
    "web page": (b"<!DOCTYPE html><html></html>", "web page"),
    "json": (b'[{"id": 1}]', "JSON"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "latin-1": (CSV.encode("latin-1"), "line 2 is no UTF-8.*CSV UTF-8"),
    "cut gzip": (gzip.compress(CSV.encode())[:-9], "cannot be read"),
    "cut utf-16": (CSV.encode("utf-16")[:-1], "no UTF-8"),
    "zeros": (CSV.encode() + b"\0\0", "line 4 holds a NUL"),
    "empty": (b"", "it is empty"),
    "comments alone": (b"# one\n# two\n", "it is empty"),
    "header alone": (HEAD.encode(), "a header but no rows"),
    "twice": (b"id,file,label,label\na,b,c,d\n", "several columns are called 'label'"),
    "twice but for a blank": (b"id,file,label,label \na,b,c,d\n", "columns are called 'label'"),
    "long row": (b"id,file,label\na,b,c,d\n", "line 2 has 4 values"),
    "open quote": (HEAD.encode() + b'a,"b,c\nd,e,f\n', "line 2 cannot be read.*quote"),
    "IPAC": (b"|id|file|label|\n|char|char|char|\n a b c\n", "IPAC .*save the table as CSV"),
    "blanks between": (b"id   file   label\na    b   c\n", "separated by blanks"),
    "damaged parquet": (b"PAR1" + b"x" * 40, "not a readable table"),
    "damaged VOTable": (b"<?xml version='1.0'?><VOTABLE><RES", "not a readable table"),
    "damaged ECSV": (b"# %ECSV 1.0\n# ---\n# datatype: [x\nid\n1\n", "not a readable table"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_says_which_form_to_save(tmp_path, name):
    content, message = REFUSED[name]
    path = written(tmp_path, content)
    for read in (lambda: read_table(path, Folder()), lambda: read_positions(path)):
        with pytest.raises(DataError, match=f"t.csv: .*{message}"):
            read()


def test_digits_that_are_names_stay_as_they_are(tmp_path):
    """zooniverse/Galaxy-Zoo#59 and others: one gap made floats of 64-bit ids, 42 of 0042."""
    rows = [f"{LONG},a.png,1,{LONG},0042,7,0.5", "1e5,b.png,2,,0043,,nan", "3,c.png,0,5,,9,-.5"]
    text = "id,file,label,objid,plate,n,p\n" + "\n".join(rows) + "\n"
    table = read_table(written(tmp_path, text), Folder())
    assert table["id"].tolist() == [LONG, "1e5", "3"]
    assert table["label"].tolist() == ["1", "2", "0"]
    assert table["objid"].tolist() == [LONG, "", "5"]
    assert table["plate"].tolist() == ["0042", "0043", ""]
    assert table["n"].tolist()[::2] == [7, 9] and np.isnan(table["n"][1])
    assert table["p"].tolist()[::2] == [0.5, -0.5] and np.isnan(table["p"][1])


def test_ids_that_lost_their_digits_are_refused(tmp_path):
    table = pd.DataFrame({"id": [float(LONG), 2.0], "file": "a.png", "label": "x"})
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="'id' holds floating-point numbers"):
        read_table(tmp_path / "t.parquet", Folder())


@pytest.mark.parametrize(
    ("ra", "dec"),
    [("RA", "Dec"), ("raj2000", "dej2000"), ("_RAJ2000", "_DEJ2000"), ("RA_ICRS", "DE_ICRS"),
     ("ra_deg", "dec_deg"), ("RAdeg", "DEdeg"), ("ALPHA_J2000", "DELTA_J2000"), ("ra", "decl"),
     ("R.A.", "Decl."), ("RA [deg]", "DEC [deg]"), ("Right Ascension", "Declination"),
     ("s_ra", "s_dec"), ("RAJ2000", "DECJ2000")],
)  # fmt: skip
def test_positions_are_found_by_their_usual_names(tmp_path, ra, dec):
    path = written(tmp_path, f'id,file,label,"{ra}","{dec}"\na,g.png,x,150.1,-2.2\n')
    assert read_table(path, Folder())[["ra", "dec"]].to_numpy().tolist() == [[150.1, -2.2]]
    assert read_positions(path)[0][["ra", "dec"]].to_numpy().tolist() == [[150.1, -2.2]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["RA", "y"], "'RA' is the right ascension, but no column.*declination; call it 'dec'"),
        (["x", "DEJ2000"], "'DEJ2000' is the declination"),
        (["RA", "RAJ2000", "dec"], "'RA', 'RAJ2000' could all be 'ra'"),
        (["RAh", "RAm", "RAs", "DEd"], "join them"),
    ],
)
def test_positions_that_are_not_clear_are_refused(columns, message):
    with pytest.raises(DataError, match=message):
        position_columns(columns, "t.csv")


def test_columns_beside_positions_are_no_positions():
    assert position_columns(["ra_error", "decade", "extra", "alpha", "l", "b"], "t.csv") == {}
    assert position_columns(["ra", "RAJ2000", "dec"], "t.csv") == {"ra": "ra", "dec": "dec"}


@pytest.mark.parametrize(
    ("ra", "dec", "degrees"),
    [
        ("10:23:45.6", "-00:30:36", (155.94, -0.51)),
        ("10h23m45.6s", "-0d30m36s", (155.94, -0.51)),
        ("10 23 45.6", "+02 30 36", (155.94, 2.51)),
        ("155d56m24s", "2d30m36s", (155.94, 2.51)),
        ("155°56′24″", "−02°30′36″", (155.94, -2.51)),
        ("1e2", "-.5", (100.0, -0.5)),
    ],
)
def test_positions_are_read_in_degrees_or_sexagesimal(ra, dec, degrees):
    found, problems = degrees_of(pd.DataFrame({"ra": [ra], "dec": [dec]}))
    assert problems == [""] and found.to_numpy()[0] == pytest.approx(degrees)


@pytest.mark.parametrize(
    ("ra", "dec", "problem"),
    [
        ("150,1", "2,2", "decimal comma; write 150.1"),
        ("370", "2", "not between 0 and 360"),
        ("-10", "2", "not between 0 and 360"),
        ("10", "-95", "not between -90 and 90"),
        ("25:00:00", "2:00:00", "is no number"),
        ("10:61:00", "2:00:00", "is no number"),
        ("10", "", "dec is missing"),
        ("inf", "2", "is no number"),
        ("10:00:00", "2", "different ways"),
        ("J1023+02", "2", "is no number"),
    ],
)
def test_bad_positions_are_rejected_with_their_row(tmp_path, ra, dec, problem):
    rows = ["a,a.png,x,10,2", f'b,b.png,x,"{ra}","{dec}"', "c,c.png,x,,"]
    text = "id,file,label,ra,dec\n" + "\n".join(rows) + "\n"
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    usable, rejections = check_rows(read_table(written(tmp_path, text), Folder()), tmp_path)
    assert usable["id"].tolist() == ["a", "c"]  # no position at all is no mistake here
    (line,) = [r for r in rejections if r["id"] == "b"]
    assert problem in line["reason"] and line["row"] == "3"


def test_one_column_may_be_id_and_file(tmp_path):
    path = written(tmp_path, 'filename,label,note\ng0.png,anomaly,"a, b"\ng1.png,normal,c\n')
    table = read_table(path, Folder(id_column="filename", file_column="filename"))
    assert table["id"].tolist() == table["file"].tolist() == ["g0.png", "g1.png"]
    assert table["label"].tolist() == ["anomaly", "normal"] and table["note"][0] == "a, b"
    table = read_table(path, Folder(id_column="label", file_column="filename"))
    assert table["id"].tolist() == table["label"].tolist() == ["anomaly", "normal"]


def test_rows_bear_the_line_that_they_begin_at(tmp_path):
    text = (
        '# a comment\nid,file,label,note\na,g.png,x,"one\n\n# two"\n\n# b,g.png,y,z\nc,h.png,y,z\n'
    )
    table = read_table(written(tmp_path, text), Folder())
    assert table["row"].tolist() == [3, 8] and table["note"].tolist() == ["one\n\n# two", "z"]


def test_a_row_with_values_elsewhere_is_not_dropped(tmp_path):
    path = written(tmp_path, "id,file,label,ra,dec\na,a.png,x,1,2\n,,,3,4\n")
    (tmp_path / "a.png").touch()
    usable, rejections = check_rows(read_table(path, Folder()), tmp_path)
    assert usable["id"].tolist() == ["a"]
    assert [(r["row"], r["reason"][:15]) for r in rejections] == [("3", "the id is empty")]


def damaged(rng, rows):
    """A table in a random dress, and damaged in one way or not at all."""
    separator = rng.choice([",", ";", "\t", "|"])
    quoted = rng.random() < 0.5
    text = ""
    for values in (["id", "file", "label", "ra", "dec"], *rows):
        text += separator.join(f'"{v}"' if quoted else v for v in values)
        text += rng.choice(["\n", "\r\n"])
    content = text.encode(rng.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-16-be"]))
    place = rng.randrange(len(content))
    return rng.choice(
        [
            content,
            content[:place],
            content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :],
            content[:place] + b'"' + content[place:],
            content[:place] + separator.encode() + content[place:],
            gzip.compress(content)[: rng.randrange(20, 200)],
        ]
    ), content


def test_damaged_tables_give_words_or_rows_as_written(tmp_path):
    """No traceback, and what comes out of an undamaged table is what went in."""
    rng, n_read, n_same = random.Random(5), 0, 0
    for number in range(400):
        rows = [
            [f"{rng.randrange(1000):04}", f"g{k}.png", rng.choice(["é", "NA", "1", "a b"]),
             f"{rng.uniform(0, 360):.4f}", f"{rng.uniform(-90, 90):.4f}"]
            for k in range(rng.randrange(1, 6))
        ]  # fmt: skip
        content, whole = damaged(rng, rows)
        path = written(tmp_path, content, f"{number}.csv")
        try:
            table = read_table(path, Folder())
        except DataError as error:
            assert f"{number}.csv" in str(error)
            continue
        n_read += 1
        if content == whole:
            n_same += 1
            assert table[["id", "file", "label"]].to_numpy().tolist() == [r[:3] for r in rows]
            assert table["ra"].tolist() == [float(r[3]) for r in rows]
        else:
            assert len(table) <= len(rows) + 2
    assert n_read > 100 and n_same > 30


def test_a_row_without_values_behind_is_counted(tmp_path, caplog):
    read_user_table(written(tmp_path, "id,file,label\na,b\nc,d,e\n"))
    assert "1 rows have fewer values than the header (first: line 2)" in caplog.text
    table = read_user_table(written(tmp_path, "id,file,label\n#a,b,c\nc,d,e\n"))
    assert table[LINE].tolist() == [3]


def test_the_index_of_a_parquet_table_is_a_column(tmp_path):
    table = pd.DataFrame({"id": IDS, "file": "g.png", "label": "x"}).set_index("id")
    table.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", Folder())["id"].tolist() == IDS


def test_numbers_with_decimal_commas_are_not_taken_for_texts_in_silence(tmp_path, caplog):
    path = written(tmp_path, "id;file;label;mag\na;g.png;x;17,5\nb;g.png;x;18,25\n")
    assert read_table(path, Folder())["mag"].tolist() == ["17,5", "18,25"]
    assert "column 'mag' stays text: its numbers have decimal commas" in caplog.text


def test_labels_and_positions_of_any_store_are_read_as_written(tmp_path):
    """Labels as floats with a gap became classes `1.0` and `nan`; RA, DEC of a store were lost."""
    images = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3)).astype(np.uint8)
    columns = {"id": np.arange(8.0), "label": [0.0] * 4 + [1.0] * 3 + [np.nan]}
    columns |= {"RA": np.maximum(np.arange(8.0), 1), "DEC": np.zeros(8)}
    with CutoutWriter(tmp_path / "c.h5", True, 64, 64) as writer:
        writer.append(images, columns)
    names = ("c.h5", "crops.h5", "r.csv", "s.parquet", "all.csv")
    store, cropped, rejected, splits, everything = (str(tmp_path / name) for name in names)
    crop_cutouts(store, cropped, rejected, Crop())
    with CropStore(cropped) as crops:
        assert crops.column("label").tolist() == [*"0000111", ""]
        assert crops.ids.tolist() == [str(i) for i in range(8)]
    make_splits(store, cropped, [], splits, everything, Splits(min_per_class=3), 1, False)
    table = load_table(splits)
    assert table["group"].nunique() == 7 and table["label"].tolist()[6:] == ["1", ""]


def test_a_fits_table_among_the_images_is_no_image(tmp_path):
    astropy_table().write(tmp_path / "t.fits")
    for name in ("g0.png", "g1.png", "spare.fits"):
        (tmp_path / name).touch()
    path = tmp_path / "t.fits"
    _, rejections = check_rows(read_table(path, Folder()), tmp_path, path)
    assert [line["file"] for line in rejections] == ["spare.fits"]


def test_a_damaged_fits_table_is_not_read_as_another(tmp_path):
    from astropy.io import fits

    hdu = fits.BinTableHDU(
        Table({"id": ["a"] * 500, "file": ["g.png"] * 500, "label": ["x"] * 500})
    )
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer, checksum=True)
    whole = buffer.getvalue()
    assert len(read_table(written(tmp_path, whole, "t.fits"), Folder())) == 500
    place = whole.rindex(b"g.png")
    changed = whole[:place] + b"h" + whole[place + 1 :]
    for content in (changed, whole[:place]):
        with pytest.raises(DataError, match="t.fits: not a readable table"):
            read_table(written(tmp_path, content, "t.fits"), Folder())
