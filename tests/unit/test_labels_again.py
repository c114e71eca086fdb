"""Labels of a folder of images taken up again, by the page and the widget alike."""

import dataclasses
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from galaxy_lvm.cli.main import main
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.output import LOG, RECORD
from galaxy_lvm.hitl import store_file
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.session import Session
from galaxy_lvm.hitl.store import LabelStore
from galaxy_lvm.ui import start
from galaxy_lvm.ui.browse import gallery
from galaxy_lvm.ui.exchange import label_table
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.notebook import label_folder
from galaxy_lvm.ui.workplace import Workplace
from small_images import galaxy, write_encoder, write_galaxies


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "micro.safetensors"
    write_encoder(path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_galaxies(tmp_path / "images", 5)
    return tmp_path / "images"


@pytest.fixture
def page(weights, monkeypatch):
    """`galaxy-lvm label`, with a person instead of a server; returns what the command said."""

    def run(person=lambda labelling: None, *more, encoder=weights):
        def serve(labelling, access, browser):
            try:
                person(labelling)
            finally:
                labelling.close()

        monkeypatch.setattr(start, "serve", serve)
        options = ["label", "images", "--target", "ring", "--encoder", encoder, "--cores", 1, *more]
        return CliRunner().invoke(main, [str(option) for option in options])

    return run


@pytest.fixture
def widget(weights):
    """`label_folder`, with what a person does in the notebook; returns the labels afterwards."""

    def run(person=lambda widget: None, encoder=weights, target="ring", **more):
        made = label_folder("images", target, encoder, annotator="ann", **more)
        try:
            person(made)
            return dict(made.labels()[["id", "label"]].to_numpy())
        finally:
            made.close()

    return run


@pytest.fixture
def place(tmp_path):
    """Six galaxies without images."""
    pool = Pool([f"g{i}" for i in range(6)], np.eye(6, 8, dtype=np.float32))
    known = pd.DataFrame({"id": pool.ids_of(np.arange(6)), "label": ""})
    return Workplace("arcs", pool, tmp_path / "none.h5", np.arange(6), None, known)


def add(folder, name, seed=60):
    cv2.imwrite(str(folder / name), galaxy(seed, 96)[..., ::-1])


def test_the_widget_takes_up_a_folder_that_grew_and_the_page_after_it(widget, page, folder):
    assert widget(lambda w: w.label(["g0.png"])) == {"g0.png": "positive"}
    add(folder, "h.png")
    expected = {"g0.png": "positive", "h.png": "negative"}
    assert widget(lambda w: w.label(["h.png"], "negative")) == expected
    add(folder, "i.png", 61)
    seen = []
    said = page(lambda one: seen.append((len(one.pool), sorted(one.labels()["id"]))))
    assert said.exit_code == 0 and seen == [(7, ["g0.png", "h.png"])], said.output
    add(folder, "j.png", 62)
    assert widget() == expected


def test_a_folder_of_a_widget_that_kept_no_record_is_taken_up_and_no_other(widget, page, folder):
    widget(lambda w: w.label(["g0.png"]))
    out = folder.parent / "galaxy-lvm-label"
    for name in (RECORD, LOG):
        (out / name).unlink()
    seen = []
    said = page(lambda one: seen.extend(one.labels()["id"]))
    assert said.exit_code == 0 and seen == ["g0.png"], said.output
    for path in [out / RECORD, *(out / "pools").glob("*/side_pix.txt")]:
        path.unlink()
    with pytest.raises(DataError, match="was not written by galaxy-lvm"):
        widget()
    assert "was not written by galaxy-lvm" in page().output


def test_other_weights_under_the_widget_have_to_be_meant_and_can_be(widget, folder, tmp_path):
    widget(lambda w: w.label(["g0.png"]))
    other = tmp_path / "other.safetensors"
    write_encoder(other, card={"features": {"n_orientations": 2}})
    with pytest.raises(DataError, match=r"started with other features.*new_features=True"):
        widget(encoder=other)
    assert widget(encoder=other, new_features=True) == {"g0.png": "positive"}
    assert widget(encoder=other) == {"g0.png": "positive"}


def test_a_store_that_may_not_be_written_is_shown_whatever_was_added(place, tmp_path, monkeypatch):
    path = tmp_path / "labels.sqlite"
    with Session(place.pool, path) as session:
        session.label(["g0", "g5"], ["positive", "negative"])
    before = path.read_bytes()
    monkeypatch.setattr(store_file, "may_write", lambda file: False)
    for ids in (["g0", "g1"], [f"g{i}" for i in range(7)]):
        there = Pool(ids, np.eye(len(ids), 8))
        page = Labelling(dataclasses.replace(place, pool=there), path, new_features=True)
        for who in ("ann", "bob"):
            assert page.state(who)["n_labelled"] == len({"g0", "g5"} & set(ids))
        page.close()
    assert path.read_bytes() == before


def test_both_say_where_labels_lie_unsafely(widget, page, folder, monkeypatch):
    words = "the file system is shared with other machines"
    monkeypatch.setattr(start, "refuse_without_locks", lambda folder: words)
    with pytest.warns(UserWarning, match=words):
        widget()
    assert words in page().stderr
    monkeypatch.setattr(start, "refuse_without_locks", lambda folder: "")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        widget()


def test_a_labelled_image_that_is_gone_is_left_out_and_kept(widget, page, folder, tmp_path, caplog):
    """By the page, by the widget and on the way back: the file's label waits for it."""
    given = {"g0.png": "positive", "g1.png": "positive", "g2.png": "negative"}

    def give(w):
        for name, value in given.items():
            w.label([name], value)

    widget(give)
    moved = (folder / "g0.png").rename(tmp_path / "moved.png")

    def look(one):
        one.start()
        assert one.model.wait(120) and one.model.problem == ""
        state = one.state("ann")
        assert (len(one.pool), state["n_labelled"], state["n_positive"]) == (4, 2, 1)
        assert state["model"]["n_labels"] == 2 and sorted(one.labels()["id"]) == [
            "g1.png",
            "g2.png",
        ]
        table = label_table(one).set_index("id")
        assert table["label"].to_dict() == given
        assert np.isnan(table["score"]["g0.png"]) and np.isfinite(table["score"]["g1.png"])
        shown = gallery(one, "ann", value="", by="", text="", page=0)["galaxies"]
        assert [galaxy["id"] for galaxy in shown] == ["g2.png", "g1.png"]
        assert one.next_round("ann") == "" and one.state("ann")["galaxies"]
        one.next_round("ann", "skip")

    said = page(look)
    assert said.exit_code == 0, said.output
    assert caplog.text.count("1 of 3 labelled galaxies are not in the pool of 4") == 1
    assert "g0.png" in caplog.text
    written = []
    assert widget(lambda w: written.append(w.training_set(tmp_path))) == given
    assert (written[0]["n_images"], written[0]["n_left_out"]) == (2, 1)
    assert "g0.png" in (Path(written[0]["folder"]) / "left_out.csv").read_text()
    moved.rename(folder / "g0.png")
    assert widget(lambda w: written.append(w.state["n_labelled"])) == given
    assert written[1:] == [3]


def test_two_searches_whose_names_make_one_file_do_not_mix(widget, folder):
    widget(lambda w: w.label(["g0.png"]), target="edge on")
    for other in ("edge/on", "edge_on"):
        with pytest.raises(DataError, match=rf"(?s)edge_on\.sqlite.*'edge on'.*'{other}'.*store"):
            widget(target=other)
    elsewhere = folder.parent / "elsewhere.sqlite"
    assert widget(target="edge/on", store=elsewhere) == {}
    assert widget(target="edge on") == {"g0.png": "positive"}


def test_a_store_that_names_no_search_belongs_to_the_first_that_opens(place, tmp_path):
    """Stores of before kept no name; one that is refused for another reason gets none."""
    path = tmp_path / "labels.sqlite"
    with Session(place.pool, path) as session:
        session.label(["g0"], ["positive"])
    others = dataclasses.replace(place, name="bars", pool=Pool(["a", "b"], np.eye(2, 8)))
    with pytest.raises(DataError, match="labelled galaxies are not in the pool"):
        Labelling(others, path)
    with LabelStore(path, read_only=True) as store:
        assert store.target() is None
    Labelling(place, path).close()
    n_events = []
    for _ in range(2):
        named = Labelling(place, path)
        n_events.append(len(named.store.events()))
        assert named.store.target() == "arcs"
        named.close()
    assert n_events[0] == n_events[1]
    with pytest.raises(DataError, match="of a search for 'arcs', not for 'bars'"):
        Labelling(dataclasses.replace(place, name="bars"), path, new_features=True)


def test_stores_of_one_name_with_other_endings_do_not_share_what_made_their_vectors(
    widget, folder, tmp_path
):
    other = tmp_path / "other.safetensors"
    write_encoder(other, card={"features": {"n_orientations": 2}})
    widget(lambda w: w.label(["g0.png"]), store=tmp_path / "labels.one")
    widget(lambda w: w.label(["g0.png"]), store=tmp_path / "labels.two", encoder=other)
    with pytest.raises(DataError, match="started with other features"):
        widget(store=tmp_path / "labels.one", encoder=other)


def test_the_widget_reads_the_kind_of_files_that_is_asked_for_as_the_page(widget, folder):
    (folder / "a.fits").touch()
    with pytest.raises(DataError, match="Take one kind: 'image' or 'fits'"):
        widget()
    assert widget(lambda w: w.label(["g0.png"]), kind="image", cores=1) == {"g0.png": "positive"}


def test_rounds_of_galaxies_that_came_meanwhile_are_not_shown(place, tmp_path):
    """A page is open while a notebook goes on with the same file and more galaxies."""
    page = Labelling(place, tmp_path / "labels.sqlite", new_features=True)
    assert page.state("ann")["galaxies"] == []
    more = Pool([f"g{i}" for i in range(9)], np.eye(9, 8, dtype=np.float32))
    with Session(more, page.store, page.settings, "ann", new_features=True) as session:
        asked = session.suggest(9, rule="random")
        session.label(["g7"], ["positive"])
    assert {"g6", "g7", "g8"} < set(asked)
    state = page.state("ann")
    assert [galaxy["id"] for galaxy in state["galaxies"]] == [n for n in asked if n < "g6"]
    assert state["n_labelled"] == 0 and len(label_table(page)) == 1
    with pytest.raises(DataError, match="not in the pool of 6"):
        page.state("bob")
    assert page.store.features() == more.fingerprint  # whoever comes takes nothing back
    page.close()
