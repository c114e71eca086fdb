"""The notebook's widget: what the browser says is kept or refused, by the real session."""

import base64
import re
import sqlite3
import sys

import cv2
import numpy as np
import pytest
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.user_tables import read_user_table
from galaxy_lvm.ui import notebook
from galaxy_lvm.ui.notebook import label_run
from galaxy_lvm.ui.workplace import open_run
from made_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("results"), n_galaxies=30)


@pytest.fixture
def widget(run, tmp_path):
    made = label_run(str(run), "spiral", store=tmp_path / "labels.sqlite", annotator="ann",
                     per_round=4)  # fmt: skip
    yield made
    made.close()


def say(widget, kind, **more):
    """Send what the widget's JavaScript sends."""
    widget._handle_custom_msg({"kind": kind, **more}, [])


def begin(widget, n=3):
    """Give examples and be asked."""
    assert widget.examples(n) == n
    assert widget.labelling.model.wait(120)
    say(widget, "next", rest="")
    return [galaxy["id"] for galaxy in widget.state["galaxies"]]


def stored(widget):
    with sqlite3.connect(widget.labelling.store.path) as db:
        return db.execute("SELECT id, value, round FROM labels WHERE round > 0").fetchall()


def test_a_label_that_the_widget_shows_is_on_disk(widget):
    ids = begin(widget)
    assert len(ids) == 4 and widget.waiting == "" and set(widget.pictures) == set(ids)
    for _ in range(2):
        say(widget, "label", id=ids[0], value="negative")
    assert stored(widget) == [(ids[0], "negative", 1)]
    assert [g["value"] for g in widget.state["galaxies"]] == ["negative", "", "", ""]
    say(widget, "undo", number=widget.state["last"])
    assert [g["value"] for g in widget.state["galaxies"]] == [""] * 4


def test_a_round_goes_on_when_all_have_a_label_or_it_is_meant(widget):
    ids = begin(widget)
    say(widget, "label", id=ids[0], value="positive")
    say(widget, "next", rest="")
    assert "3 of this round have no label" in widget.alarm
    say(widget, "next", rest="negative")
    assert widget.alarm == "" and widget.state["round"] == 2
    assert [value for _, value, _ in stored(widget)] == ["positive"] + ["negative"] * 3
    assert not set(widget.pictures) & set(ids)


def test_pictures_are_the_crops_and_the_big_one_the_cutout(widget, run):
    name = begin(widget)[0]
    row = widget.state["galaxies"][0]["row"]
    picture = decoded(widget.pictures[name])
    np.testing.assert_array_equal(picture, widget._images.crop(row))
    say(widget, "look", row=row)
    assert widget.looked["row"] == row and decoded(widget.looked["picture"]).shape == (152, 152, 3)


def decoded(address):
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_an_image_that_cannot_be_read_is_a_tile_and_the_round_goes_on(widget, monkeypatch):
    def broken(row):
        raise DataError("damaged")

    monkeypatch.setattr(widget._images, "png", broken)
    ids = begin(widget)
    assert widget.pictures == dict.fromkeys(ids, "") and widget.alarm == ""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"kind": "label", "id": "nobody", "value": "positive"}, "not in the pool"),
        ({"kind": "label", "id": "nobody"}, "do not fit.*value"),
        ({"kind": "dance"}, "do not fit.*dance"),
        ({"kind": "choose", "rule": "best", "alpha": 0.5, "n": 4}, "no rule 'best'"),
        ({"kind": "look", "row": 999}, "no galaxy number 999"),
    ],
)
def test_what_cannot_be_done_is_shown_each_time(widget, said, words):
    told = []
    widget.observe(lambda change: told.append(change["new"]), "alarm")
    for _ in range(2):
        widget._handle_custom_msg(said, [])
    assert [bool(re.search(words, text)) for text in told if text] == [True, True]
    assert widget.labelling.current().empty


def test_without_a_positive_it_says_so_and_rules_are_kept(widget, tmp_path):
    say(widget, "next", rest="")
    assert widget.waiting == "prompts"
    say(widget, "choose", rule="random", alpha=0.3, n=2)
    assert widget.state["choice"] == {"rule": "random", "alpha": 0.3, "n": 2}
    widget.labelling.model.wait(120)
    say(widget, "next", rest="")
    assert widget.waiting == "" and len(widget.pictures) == 2


@pytest.mark.parametrize("suffix", ["csv", "fits", "parquet"])
def test_what_is_exported_are_all_labels(widget, tmp_path, suffix):
    ids = widget.labelling.pool.ids_of(np.array([3, 4]))
    assert widget.label(ids, "negative") == 2 and widget.label(ids, "negative") == 0
    table = widget.export(tmp_path / f"out.{suffix}")
    again = read_user_table(tmp_path / f"out.{suffix}")
    assert list(table["id"]) == list(again["id"]) == ids
    assert set(again["label"]) == {"negative"} and set(again["annotator"]) == {"ann"}
    with pytest.raises(DataError, match="exported as csv, fits, parquet"):
        widget.export(tmp_path / "out.xlsx")
    assert widget.training_set(tmp_path)["n_images"] == 2


def test_page_and_widget_go_on_with_the_same_labels(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = label_run(str(run), "spiral", annotator="ann")
    first.examples(2)
    first.close()
    again = label_run(str(run), "spiral", annotator="bob")
    assert again.state["n_positive"] == 2
    assert again.labelling.store.path == f"labels/{run.name}/spiral.sqlite"
    again.close()


def test_targets_of_a_config_are_known_to_the_widget(run, tmp_path):
    config = tmp_path / "made.yaml"
    where = "[{column: label, equals: spiral}]"
    config.write_text(f"base: test\nrun: made\nhitl: {{targets: {{arms: {{where: {where}}}}}}}\n")
    made = label_run(str(run), "arms", store=tmp_path / "a.sqlite", configfiles=[str(config)])
    assert made.about["target"] == "arms" and made.labelling.place.truth.any()
    made.close()


def test_without_anywidget_it_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "galaxy_lvm.ui.widget", raising=False)
    with pytest.raises(ConfigError, match="the widget needs anywidget: `pip install"):
        notebook.label_place(open_run(str(run), "spiral"), tmp_path / "a.sqlite", None, None)
    with pytest.raises(ConfigError, match="the widget needs anywidget: `pip install"):
        notebook.label_folder(tmp_path / "images", "arcs", output=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
