"""`galaxy-lvm similar`, `outliers`, `classify` and `detect`: what they find in a folder."""

import json
import shutil
from dataclasses import asdict

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from galaxy_lvm.cli.main import main
from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.features.images import Reading, folder_images
from galaxy_lvm.features.label_classes import classes_from_labels
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.lenses.detect import detector_of_run
from galaxy_lvm.lenses.detector import DetectorConfig, LensDetector, save_detector
from galaxy_lvm.lvm.model import LVM, PRESETS
from galaxy_lvm.lvm.weights import save_weights
from galaxy_lvm.multitask.calibration import fit_temperature, log_loss, tempered
from galaxy_lvm.multitask.train import build_model
from galaxy_lvm.survey.rejected import read_rejected
from small_images import galaxy, write_encoder

ROUND, THIN = 1.0, 0.15


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with twelve galaxies (six round, six thin), a bad file, an encoder and a run."""
    here = tmp_path_factory.mktemp("place")
    (here / "images").mkdir()
    for i in range(12):
        picture = galaxy(i, axis_ratio=ROUND if i < 6 else THIN)
        cv2.imwrite(str(here / "images" / f"g{i:02d}.png"), picture[..., ::-1])
    (here / "images" / "bad.png").write_bytes(b"no picture")
    lvm = write_encoder(here / "micro.safetensors")
    write_run(here / "results" / "mine", lvm)
    return here


def write_run(run, lvm):
    """Write the models of a finished run: two trainings of one strategy, and two detectors."""
    for seed in (1, 2):
        settings = MultitaskRun(strategy="multi_active", seed=seed)
        torch.manual_seed(seed)
        model = build_model(LVM(PRESETS["lvm_micro"]), 2, settings)
        card = {"architecture": asdict(lvm.config), "classes": ["round", "thin"]}
        card["settings"] = settings.model_dump()
        path = run / "models" / "multitask" / f"multi_active_{seed - 1}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_weights(path, model, card)
    config = DetectorConfig("lvm", (12.0, 20.0), asdict(lvm.config), fpn_dim=16, head_dim=16)
    (run / "models" / "lenses").mkdir()
    for n_train in (5, 10):
        path = run / "models" / "lenses" / f"lvm_{n_train}_0.safetensors"
        save_detector(path, LensDetector(config), {"n_train": n_train, "seed": 1})


@pytest.fixture(autouse=True)
def there(place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)


def call(command, tmp_path, *arguments, encoder=True):
    given = ["--encoder", "micro.safetensors"] if encoder else []
    given += ["--output", str(tmp_path / "out"), "--cores", "1"]
    return CliRunner().invoke(main, [command, "images", *map(str, arguments), *given])


def tables(tmp_path, command):
    """Return the parquet table, once the CSV is seen to hold the same."""
    kept = load_table(tmp_path / "out" / f"{command}.parquet")
    numbers = tuple(kept.select_dtypes("number").columns)
    as_text = load_table(tmp_path / "out" / f"{command}.csv", numbers=numbers)
    pd.testing.assert_frame_equal(kept, as_text, check_dtype=False)
    return kept


def last_line(found):
    assert found.exit_code == 0, found.output
    return found.output.strip().splitlines()[-1]


def test_similar_images_are_the_nearest_ones_without_the_query(tmp_path):
    line = last_line(call("similar", tmp_path, "--query", "g03.png", "--number", 3))
    assert line.startswith("12 images read, 1 skipped") and "3 neighbours of 1 image" in line
    table = tables(tmp_path, "similar")
    assert list(table["rank"]) == [1, 2, 3] and "g03.png" not in set(table["id"])
    store = FeatureStore.open(tmp_path / "out" / "features.npy")
    values = (store.values - store.values.mean(axis=0)) / store.values.std(axis=0)
    values = values / np.linalg.norm(values, axis=1, keepdims=True)
    nearest = np.argsort(-values @ values[3])[1:4]
    assert list(table["id"]) == [store.ids[row] for row in nearest]
    assert (tmp_path / "out" / "gallery.png").exists()


def test_a_query_from_elsewhere_finds_its_copy_first(tmp_path, place):
    content = (place / "images" / "g07.png").read_bytes()
    (tmp_path / "copy.png").write_bytes(content)
    queries = ("--query", tmp_path / "copy.png", "--query", place / "images" / "g07.png")
    assert call("similar", tmp_path, *queries, "--number", 2).exit_code == 0
    table = tables(tmp_path, "similar").set_index("query")
    first = table[table["rank"] == 1]
    assert first.loc[str(tmp_path / "copy.png"), "id"] == "g07.png"
    assert first.loc[str(tmp_path / "copy.png"), "distance"] == pytest.approx(0, abs=1e-4)
    # The same file by its path is an image of the folder, and not its own neighbour.
    assert first.loc["g07.png", "id"] != "g07.png"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("g3.png", r"g3.png: neither the id of an image nor a file"),
        ("bad.png", r"bad.png: cannot be searched for: cannot be decoded"),
        ("empty.jpg", r"empty.jpg: cannot be searched for: is empty (0 bytes)"),
        ("html.jpg", r"html.jpg: cannot be searched for: cannot be decoded (its content is no"),
        ("micro.json", r"micro.json: a query has to be a JPEG or PNG file"),
    ],
)
def test_queries_that_are_none_are_refused(tmp_path, place, query, message):
    (place / "empty.jpg").touch()
    (place / "html.jpg").write_text("<html>not found</html>")
    found = call("similar", tmp_path, "--query", query)
    assert found.exit_code == 1 and message in found.output
    assert ("g03.png" in found.output) == (query == "g3.png")  # the nearest ids
    assert not (tmp_path / "out" / "skipped.csv").exists()  # before any image was read


def test_more_neighbours_than_images_are_all_others(tmp_path):
    assert "11 neighbours" in last_line(
        call("similar", tmp_path, "--query", "g00.png", "--number", 50)
    )


def test_an_odd_image_is_the_most_unusual_one(tmp_path, place):
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[::2] = (250, 20, 250)
    odd = place / "images" / "odd.png"
    cv2.imwrite(str(odd), stripes)
    try:
        line = last_line(call("outliers", tmp_path))
    finally:
        odd.unlink()
    assert "ranked by unusualness, first odd.png" in line
    table = tables(tmp_path, "outliers")
    assert list(table["place"]) == list(range(1, 14)) and table["id"].iloc[0] == "odd.png"
    assert table["file"].iloc[0] == "images/odd.png"


def test_too_few_images_have_no_outliers(tmp_path, place):
    for i in range(3):
        (tmp_path / f"g{i}.png").write_bytes((place / "images" / f"g0{i}.png").read_bytes())
    given = ["--encoder", "micro.safetensors", "--output", str(tmp_path / "out")]
    found = CliRunner().invoke(main, ["outliers", str(tmp_path), *given])
    assert found.exit_code == 1 and "3 images could be read; what is unusual" in found.output


def write_labels(tmp_path, n=4, header="id,file,label", extra=()):
    rows = [f"a{i},g{i:02d}.png,round" for i in range(n)]
    rows += [f"b{i},g{i:02d}.png,thin" for i in range(6, 6 + n)]
    (tmp_path / "labels.csv").write_text("\n".join([header, *rows, *extra]) + "\n")
    return tmp_path / "labels.csv"


def test_labels_of_some_classify_the_rest(tmp_path):
    labels = write_labels(tmp_path, extra=["z,gone.png,thin", "y,g11.png,"])
    line = last_line(call("classify", tmp_path, "--labels", labels))
    assert "on 8 labelled images (4-fold cross-validation)" in line
    assert "1 rows of" in line and "are of no image" in line
    table = tables(tmp_path, "classify").set_index("id")
    assert len(table) == 12
    # The table's own id and file, to join by; "" for images that it does not name.
    assert table.loc["g07.png", "table_id"] == "b7" and table.loc["g11.png", "table_id"] == "y"
    assert (
        table.loc["g07.png", "table_file"] == "g07.png" and table.loc["g04.png", "table_id"] == ""
    )
    assert (table["label"] != "").sum() == 8
    np.testing.assert_allclose(table["p_round"] + table["p_thin"], 1)
    assert (table["probability"] == table[["p_round", "p_thin"]].max(axis=1)).all()
    unseen = table[table["label"] == ""]
    right = unseen["class"] == ["round" if name < "g06" else "thin" for name in unseen.index]
    assert right.all()
    skipped = read_rejected(tmp_path / "out" / "skipped.csv")
    assert list(skipped["stage"]) == ["read", "label"] and "gone.png" in set(skipped["file"])


def test_a_call_that_fails_leaves_no_results_of_another(tmp_path):
    labels = write_labels(tmp_path)
    assert call("classify", tmp_path, "--labels", labels).exit_code == 0
    before = (tmp_path / "out" / "classify.csv").read_bytes()
    # What was asked for is not there: nothing was begun, and nothing is lost.
    assert call("classify", tmp_path, "--labels", "none.csv").exit_code == 1
    assert (tmp_path / "out" / "classify.csv").read_bytes() == before
    labels.write_text("id,file,label\na,g00.png,round\nb,g01.png,round\n")
    assert call("classify", tmp_path, "--labels", labels).exit_code == 1
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert not left & {"classify.csv", "classify.parquet", "gallery.pdf", "gallery.png"}


def test_the_stated_score_is_of_images_that_the_fit_had_not_seen():
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b"] * 30 + [""] * 5, dtype=object)
    found = classes_from_labels(rng.normal(size=(65, 200)), labels)
    # Noise: in 200 dimensions a fit to all would be right for every one of its own.
    assert found.accuracy < 0.75 and found.n_labelled == 60 and found.n_folds == 5
    assert found.probabilities.shape == (65, 2)


def test_copies_are_left_out_together_and_the_penalty_is_chosen_without_the_asked():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(60, 100)), 2, axis=0)
    labels = np.repeat(rng.permutation(["a", "b"] * 30), 2).astype(object)
    groups = np.repeat(np.arange(60), 2)
    # Labels that say nothing: whoever knows the copy is right.
    assert classes_from_labels(values, labels).accuracy > 0.75
    found = classes_from_labels(values, labels, groups)
    assert 0.3 < found.accuracy < 0.7
    assert found.probabilities[::2] == pytest.approx(found.probabilities[1::2])
    with pytest.raises(DataError, match=r"'c' has one labelled image \(and copies of it\)"):
        classes_from_labels(values[:6], np.array([*"aabbcc"], object), np.array([0, 1, 2, 3, 4, 4]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "a", ""], "labels of 1 class among 2 labelled images"),
        (["", "", ""], "labels of 0 classes among 0"),
        (["a", "a", "b"], "class 'b' has one labelled image; label a second one"),
    ],
)
def test_labels_that_make_no_classes_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        classes_from_labels(np.eye(3), np.array(labels, dtype=object))


def test_bad_tables_of_labels_are_refused_with_the_file(tmp_path):
    found = call("classify", tmp_path, "--labels", write_labels(tmp_path, header="name,file,label"))
    assert found.exit_code == 1 and "labels.csv: no column 'id'" in found.output
    named = call("classify", tmp_path, "--labels", tmp_path / "labels.csv", "--id-column", "name")
    assert named.exit_code == 0
    labels = write_labels(tmp_path, extra=["again,g00.png,thin"])
    found = call("classify", tmp_path, "--labels", labels)
    assert "row 10: g00.png is 'thin' here and 'round' in a row before" in found.output
    labels = write_labels(tmp_path)
    labels.write_text(labels.read_text().replace(",g", ",elsewhere/g"))
    found = call("classify", tmp_path, "--labels", labels)
    assert found.exit_code == 1 and "no image below images has a label in it" in found.output
    assert "its first row has the file 'elsewhere/g00.png'" in found.output
    assert "no such table" in call("classify", tmp_path, "--labels", "none.csv").output


def test_a_run_classifies_by_the_mean_of_its_trainings(tmp_path):
    line = last_line(call("classify", tmp_path, "--run", "mine", encoder=False))
    table = tables(tmp_path, "classify")
    counts = table["class"].value_counts()
    said = f"{counts.get('round', 0)} round, {counts.get('thin', 0)} thin by multi_active of mine"
    assert said in line and len(table) == 12
    np.testing.assert_allclose(table["p_round"] + table["p_thin"], 1, atol=1e-5)
    assert table["p_round"].nunique() > 6
    assert len(FeatureStore.open(tmp_path / "out" / "features.npy")) == 12


def test_probabilities_of_a_run_are_calibrated_on_its_validation_galaxies(tmp_path, place):
    plain = last_line(call("classify", tmp_path, "--run", "mine", encoder=False))
    assert "probabilities not calibrated" in plain
    given = tables(tmp_path, "classify")
    run = place / "results" / "told"
    shutil.copytree(place / "results" / "mine" / "models", run / "models")
    source = folder_images(place / "images", Reading())
    crops = np.concatenate([chunk.images for chunk in source.chunks()])
    names = [f"g{i:02d}" for i in range(12)]
    # Labels by chance: such networks cannot be trusted, and probabilities move towards each other.
    labels = ["round", "thin"] * 6
    table = {"index": range(12), "id": names, "split": "val", "label": labels}
    (run / "data" / "galaxies").mkdir(parents=True)
    pd.DataFrame(table).to_parquet(run / "data" / "galaxies" / "splits.parquet")
    with h5py.File(run / "data" / "galaxies" / "crops.h5", "w") as file:
        file["images"], file["id"] = crops, names
    line = last_line(call("classify", tmp_path, "--run", "told", encoder=False))
    assert "probabilities calibrated on 12 validation galaxies" in line
    found = tables(tmp_path, "classify")
    assert (found["class"] == given["class"]).all()
    shares = [table[["p_round", "p_thin"]].to_numpy() for table in (given, found)]
    numbers = np.array([0, 1] * 6)
    temperature = fit_temperature(numbers, shares[0])
    np.testing.assert_allclose(shares[1], tempered(shares[0], temperature), atol=2e-3)
    assert log_loss(numbers, shares[1]) <= log_loss(numbers, shares[0]) + 1e-6


def test_what_classes_are_asked_for_has_to_be_said(tmp_path):
    assert "give either --run NAME or --labels TABLE" in call("classify", tmp_path).output
    found = call("classify", tmp_path, "--run", "mine", "--strategy", "pre_train")
    assert "no training 'pre_train'" in found.output and "it has multi_active" in found.output
    found = call("classify", tmp_path, "--run", "yours")
    assert found.exit_code == 1 and "yours: neither 'released'" in found.output


def test_lenses_are_searched_with_the_largest_detector_of_a_run(tmp_path, place):
    run = place / "results" / "mine"
    assert detector_of_run(run).stem == "lvm_10_0"
    with pytest.raises(DataError, match="no lens detector on 'resnet50'.*it has lvm"):
        detector_of_run(run, "resnet50")
    options = ("--run", "mine", "--pixel-scale", 0.262, "--score-threshold", 0)
    line = last_line(call("detect", tmp_path, *options, encoder=False))
    assert line.startswith("12 images searched, 1 skipped (listed in")
    table = tables(tmp_path, "detect")
    assert f"{len(table)} detection" in line
    assert set(table["file"]) <= {f"g{i:02d}.png" for i in range(12)}
    assert list(read_rejected(tmp_path / "out" / "skipped.csv")["file"]) == ["bad.png"]
    found = call("detect", tmp_path, *options[:4], encoder=False)
    assert found.exit_code == 1 and "no score threshold" in found.output
    found = call("detect", tmp_path, *options[:2], "--score-threshold", 0, encoder=False)
    assert found.exit_code == 1 and "--pixel-scale" in found.output


def test_a_detector_is_no_encoder(tmp_path, place):
    path = place / "results" / "mine" / "models" / "lenses" / "lvm_10_0.safetensors"
    given = ["--encoder", str(path), "--output", str(tmp_path / "out")]
    found = CliRunner().invoke(main, ["embed", "images", *given])
    assert found.exit_code == 1 and "a detector of lenses" in found.output
    path = place / "results" / "mine" / "models" / "multitask" / "multi_active_0.safetensors"
    given[1] = str(path)
    found = CliRunner().invoke(main, ["embed", "images", *given])
    assert found.exit_code == 1 and "weights of another architecture" in found.output
    assert json.loads(path.with_suffix(".json").read_text())["classes"] == ["round", "thin"]
