"""Labels that leave the page and come back: tables, training sets, labels made elsewhere."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.user_tables import read_user_table
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.survey.store import CutoutStore
from galaxy_lvm.ui.exchange import EXPORT_COLUMNS, exported, label_table, write_training_set
from galaxy_lvm.ui.images import Images
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.labels_made_elsewhere import read_labels, words_of
from galaxy_lvm.ui.workplace import open_run
from made_run import make_run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return open_run(str(make_run(tmp_path_factory.mktemp("results"), n_galaxies=16)), "spiral")


@pytest.fixture
def labelling(place, tmp_path):
    made = Labelling(place, tmp_path / "labels.sqlite")
    yield made
    made.close()


def names(labelling, *rows):
    return labelling.pool.ids_of(np.array(rows))


def read(labelling, tmp_path, content, words=None, name="given.csv"):
    path = tmp_path / name
    path.write_text(content) if isinstance(content, str) else path.write_bytes(content)
    meaning = words_of(target="spiral") if words is None else words
    return read_labels(path, labelling.pool, labelling.place.catalogue, meaning, "positive", "me")


@pytest.mark.parametrize("suffix", ["csv", "fits", "parquet"])
@pytest.mark.parametrize("person", ["Zoë", "Łukasz \\ x41"])
def test_what_is_exported_is_read_back_with_all_annotators(labelling, tmp_path, suffix, person):
    one, two = names(labelling, 0, 1)
    labelling.label(person, one, "positive")
    labelling.label("bob", one, "negative")
    labelling.label("bob", two, "unsure")
    content = exported(label_table(labelling), suffix)
    path = tmp_path / f"out.{suffix}"
    path.write_bytes(content)
    table = read_user_table(path)
    assert [c for c in table.columns if c.strip() == c] == list(EXPORT_COLUMNS)
    assert float(table["ra"].iloc[0]) == pytest.approx(labelling.place.catalogue["ra"].iloc[0])
    given = read(labelling, tmp_path, content, name=f"in.{suffix}")
    assert given.rows == [
        (one, "positive", person), (one, "negative", "bob"), (two, "unsure", "bob"),
    ]  # fmt: skip
    with_all = Labelling(labelling.place, tmp_path / "other.sqlite")
    assert with_all.take_over(given.rows, given.times) == (3, 0)
    assert with_all.take_over(given.rows, given.times) == (0, 3)
    columns = ["id", "value", "annotator", "time"]
    kept = with_all.current()[columns].sort_values(columns, ignore_index=True)
    was = labelling.current()[columns].sort_values(columns, ignore_index=True)
    pd.testing.assert_frame_equal(kept, was)
    with_all.close()


def test_the_folder_source_reads_the_training_set(labelling, tmp_path):
    ids = names(labelling, 0, 1, 2)
    for name, value in zip(ids, ("positive", "negative", "unsure"), strict=True):
        labelling.label("me", name, value)
    images = Images(labelling.place)
    made = write_training_set(labelling, images, tmp_path / "with space")
    images.close()
    assert made["n_images"] == 3 and f"'data_dir={made['folder']}'" in made["command"]
    table = f"{made['folder']}/labels.csv"
    rejected = import_images(made["folder"], table, tmp_path / "again.h5", Folder())
    assert [row for row in rejected if row["row"]] == []
    with CutoutStore(tmp_path / "again.h5") as again, CutoutStore(labelling.place.cutouts) as first:
        known = again.catalogue().set_index("id")
        assert known["label"].to_dict() == dict(zip(ids, ("spiral", "not_spiral", ""), strict=True))
        row = list(known.index).index(ids[1])
        where = labelling.place.catalogue["cutout_index"].iloc[1]
        np.testing.assert_array_equal(again.images[row], first.images[where])
        assert known["ra"][ids[1]] == pytest.approx(labelling.place.catalogue["ra"].iloc[1])


def test_without_labels_no_training_set_is_written(labelling, tmp_path):
    with pytest.raises(DataError, match="no galaxy has a label yet"):
        write_training_set(labelling, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_classifications_as_zooniverse_exports_them(labelling, tmp_path):
    one, two = names(labelling, 3, 4)
    rows = [
        ("volunteer 1", {"71": {"retired": None, "#file": f"{one}.png"}}, "Spiral"),
        ("volunteer 2", {"71": {"retired": None, "#file": f"{one}.png"}}, "Smooth"),
        ("volunteer 1", {"72": {"id": two}}, "Smooth"),
        ("volunteer 3", {"73": {"id": "elsewhere"}}, "Spiral"),
        ("volunteer 3", {"72": {"id": two}}, ["a", "b"]),
    ]
    table = pd.DataFrame({
        "user_name": [who for who, _, _ in rows],
        "annotations": [json.dumps([{"task": "T0", "value": answer}]) for _, _, answer in rows],
        "subject_data": [json.dumps(subject) for _, subject, _ in rows],
    })  # fmt: skip
    given = read(labelling, tmp_path, table.to_csv(index=False), words_of("", "smooth", "spiral"))
    assert given.rows == [
        (one, "positive", "volunteer 1"), (one, "negative", "volunteer 2"),
        (two, "negative", "volunteer 1"),
    ]  # fmt: skip
    assert [text.split(":")[0] for text in given.problems] == ["line 5", "line 6"]
    assert "not one word" in given.problems[1] and "id of a galaxy" in given.problems[0]


def test_times_of_labels_made_elsewhere_stay(labelling, tmp_path):
    one, two = names(labelling, 8, 9)
    rows = [f"{one},yes,ann,2023-05-01 12:34:56 UTC", f"{two},no,ann,2023-05-01T14:00:00+02:00",
            f"{one},yes,bob,", f"{two},yes,bob,May 1st"]  # fmt: skip
    given = read(labelling, tmp_path, "id,label,user_name,created_at\n" + "\n".join(rows) + "\n")
    assert given.problems == ["line 5: time 'May 1st' is none; write it as 2026-01-31T12:00:00Z"]
    before = labelling.store.clock().isoformat()
    assert labelling.take_over(given.rows, given.times) == (3, 0)
    kept = labelling.current().set_index(["id", "annotator"])["time"]
    assert kept[one, "ann"] == "2023-05-01T12:34:56.000000+00:00"
    assert kept[two, "ann"] == "2023-05-01T12:00:00.000000+00:00"
    assert kept[one, "bob"] > before


def test_positions_mean_the_galaxy_that_lies_there(labelling, tmp_path):
    known = labelling.place.catalogue
    ra, dec = known["ra"].to_numpy(), known["dec"].to_numpy()
    rows = [f"{ra[2]},{dec[2] + 1 / 3600:.8f}", f"{ra[3]},{dec[3] + 5 / 3600:.8f}", "12,", "400,1"]
    given = read(labelling, tmp_path, "ra,dec\n" + "\n".join(rows) + "\n")
    assert given.rows == [(names(labelling, 2)[0], "positive", "me")]
    assert len(given.problems) == 3 and "within 2 arcsec" in given.problems[0]
    assert "line 5" in given.problems[2] and "not between 0 and 360" in given.problems[2]


def test_rows_that_cannot_be_used_are_named_and_the_others_kept(labelling, tmp_path):
    one = names(labelling, 5)[0]
    rows = [f"{one},no,ann", "ghost,yes,ann", f"{one},perhaps not,ann", f"{one},yes,", ",yes,ann",
            f"{one},yes,settled by ann", f"{one},Not_Spiral,bob"]  # fmt: skip
    given = read(labelling, tmp_path, "id,label,annotator\n" + "\n".join(rows) + "\n")
    assert given.rows == [(one, "negative", "ann"), (one, "negative", "bob")]
    assert [p.split(":")[0] for p in given.problems] == [f"line {n}" for n in (3, 4, 5, 6, 7)]
    assert given.n_rows == 7


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n", "neither a column id nor positions"),
        ("id\n", "no rows"),
        ("<html></html>", "web page"),
    ],
)
def test_tables_that_are_none_are_refused(labelling, tmp_path, content, words):
    with pytest.raises(DataError, match=words):
        read(labelling, tmp_path, content)


def test_a_word_has_one_meaning():
    with pytest.raises(DataError, match="'arc' is said to mean"):
        words_of("arc, ring", "Arc")
    assert words_of("ring")["ring"] == "positive"


def test_an_upload_names_the_users_file(labelling, tmp_path):
    from galaxy_lvm.ui.app import create_app
    from test_page_server import TOKEN, Access, Browser

    labelling.start()
    browser = Browser(create_app(labelling, Access("127.0.0.1", 8765, TOKEN, b"k" * 32)))
    send = {"X-CSRF-Token": browser.csrf, "Origin": browser.host}

    def upload(content, name="../../mine.csv"):
        data = {"table": (io.BytesIO(content), name), "value": "positive"}
        return browser.client.post(
            "/api/table", data=data, headers=send, base_url=browser.host
        )  # fmt: skip

    refused = upload(b"a,b\n1,2\n")
    assert refused.status_code == 422 and refused.json["error"].startswith("mine.csv: neither")
    one = names(labelling, 6)[0]
    answer = upload(f"id\n{one}\nghost\n".encode()).json
    assert (answer["n_rows"], answer["n_new"], answer["n_refused"]) == (2, 1, 1)
    assert upload(b"").status_code == 422
