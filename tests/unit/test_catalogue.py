"""A catalogue has every galaxy once, says what the model says, and survives a kill."""

from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from galaxy_lvm.core.config.catalogue import CatalogueModel
from galaxy_lvm.core.config.extensions import Parameter
from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.core.config.training import Lvm
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.store import write_features
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.lvm.weights import save_weights
from galaxy_lvm.multitask import catalogue_parts
from galaxy_lvm.multitask.calibration import tempered
from galaxy_lvm.multitask.catalogue import LearnedFrom, Recipe, TrainedClassifier
from galaxy_lvm.multitask.catalogue_figures import (
    LEAST_CERTAIN,
    choose_gallery,
    draw_calibration,
    draw_gallery,
)
from galaxy_lvm.multitask.catalogue_parts import CatalogueFiles
from galaxy_lvm.multitask.train import build_model
from galaxy_lvm.survey.store import CutoutWriter
from make_catalogue import main as make_catalogue

N, SIDE, ODD = 75, 32, 70
CLASSES = ("elliptical", "spiral")
NAMES = [f"g{i:03d}" for i in range(N)]
# The last ten have no label; of these two, and one with a label, the splits know nothing.
LABELS = [CLASSES[i % 2] if i < 65 else "" for i in range(N)]
SPLIT = ["train"] * 40 + ["val"] * 12 + ["test"] * 12 + ["train"] * 8
IN_SPLITS = [*range(64), *range(65, 73)]
STRANGE = CatalogueModel(n_orientations=1, chunk_galaxies=20, n_neighbours=3, unlike_share=0.1)


def write_dataset(folder, rng):
    """Write cutouts, crops, splits and features of galaxies whose grey level tells their class."""
    images = (
        rng.normal(0, 12, (N, SIDE, SIDE, 3))
        + np.where(np.arange(N) % 2, 170, 80)[:, None, None, None]
    )
    images = np.clip(images, 0, 255).astype(np.uint8)
    size = rng.uniform(8, 30, N)
    with CutoutWriter(folder / "cutouts.h5", rgb=True, height_pix=SIDE, width_pix=SIDE) as writer:
        # One cutout more than crops: the second could not be used.
        rows = [0, *range(N)]
        columns = {"id": ["g000", "lost", *NAMES[1:]], "ra": np.arange(N + 1.0), "size": size[rows]}
        writer.append(images[rows], columns | {"dec": -np.arange(N + 1.0)})
    with h5py.File(folder / "crops.h5", "w") as file:
        file["images"], file["cutout_index"] = images, [0, *range(2, N + 1)]
        file["box"] = np.stack([np.zeros(N), np.zeros(N), 3 * size, size], axis=1).astype(np.int32)
        for name, values in (("id", NAMES), ("label", LABELS)):
            file.create_dataset(name, data=values, dtype=h5py.string_dtype())
    splits = pd.DataFrame({"index": IN_SPLITS, "id": [NAMES[i] for i in IN_SPLITS], "split": SPLIT})
    splits["label"] = [LABELS[i] for i in IN_SPLITS]
    splits.to_parquet(folder / "splits.parquet", index=False)
    values = rng.normal(0, 1, (N, 6))
    values[ODD] += 30
    write_features(folder / "lvm.npy", values, NAMES, range(N))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A dataset, an untrained multitask model, and the arguments that make its catalogue."""
    torch.manual_seed(3)
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("catalogue")
    write_dataset(folder, np.random.default_rng(1))
    settings = MultitaskRun(
        strategy="multi_uniform", seed=1, classification={"view_side_pix": SIDE, "hidden_dim": 8},
        multitask={"optim": {"precision": "float32"}},
    )  # fmt: skip
    lvm = LVM(build_config(Lvm(preset="lvm_micro")))
    card = {"settings": settings.model_dump(), "classes": CLASSES, "architecture": vars(lvm.config)}
    save_weights(folder / "m.safetensors", build_model(lvm, 2, settings), card)
    names = ("crops.h5", "cutouts.h5", "splits.parquet", "lvm.npy")
    own = LearnedFrom(*(str(folder / name) for name in names))
    parameters = [Parameter(column="size", scale="log10"), Parameter(column="absent")]
    recipe = Recipe(STRANGE, [1.0], parameters, 1000, 1)
    return SimpleNamespace(folder=folder, weights=str(folder / "m.safetensors"), own=own,
                           recipe=recipe)  # fmt: skip


def make(run, out, **changes):
    out.mkdir(exist_ok=True)
    files = CatalogueFiles(*(out / f"c.{form}" for form in ("parquet", "csv", "fits")))
    given = {
        "crops": run.own.crops, "cutouts": run.own.cutouts, "features": run.own.features,
        "weights": run.weights, "learned_from": run.own, "recipe": run.recipe,
    }  # fmt: skip
    make_catalogue(
        **(given | changes), files=files, metrics=out / "m.csv", predictions=out / "p.parquet",
        state_root=out / "state", recipe_version=1,
    )  # fmt: skip
    return files


@pytest.fixture(scope="module")
def made(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    return out, make(run, out), pd.read_parquet(out / "c.parquet")


def test_every_galaxy_is_there_once_with_its_place_and_what_is_known(made):
    table = made[2]
    assert table["id"].tolist() == NAMES  # also those without a label, and those in no split
    assert table["label"].tolist() == LABELS
    assert table["ra"].tolist() == [0, *range(2, N + 1)]
    assert table["dec"].tolist() == [0, *range(-2, -N - 1, -1)]
    assert table.loc[IN_SPLITS, "split"].tolist() == SPLIT
    assert (table["split"] == "").sum() == N - len(IN_SPLITS)
    assert table["feature_row"].tolist() == list(range(N))


def test_probabilities_are_the_models_at_the_temperature_of_the_validation_set(made, run):
    out, _, table = made
    metrics = pd.read_csv(out / "m.csv").set_index(["condition", "metric"])["value"]
    temperature = metrics["calibrated", "temperature"]
    with h5py.File(run.own.crops) as file:
        raw = TrainedClassifier(run.weights, 1, [1.0])(file["images"][:])
    shares = table[[f"p_{name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(shares, tempered(raw, temperature), atol=1e-5)
    assert table["predicted"].tolist() == [CLASSES[k] for k in raw.argmax(axis=1)]
    np.testing.assert_allclose(table["probability"], shares.max(axis=1))
    assert metrics["raw", "accuracy"] == metrics["calibrated", "accuracy"]
    tested = pd.read_parquet(out / "p.parquet")
    assert tested.groupby("probabilities").size().to_dict() == {"raw": 12, "calibrated": 12}
    assert set(tested["id"]) == {NAMES[i] for i, s in zip(IN_SPLITS, SPLIT, strict=True)
                                 if s == "test"}  # fmt: skip


def test_a_galaxy_far_from_the_training_set_is_flagged(made):
    out, _, table = made
    metrics = pd.read_csv(out / "m.csv", keep_default_na=False)
    value = metrics.set_index(["condition", "metric"])["value"]
    assert table.loc[ODD, "unlike"] and table.loc[ODD, "distance"] > 5 * value["unlike", "above"]
    assert table["unlike"].sum() == value["", "n_unlike"] < 20
    assert value["unlike", "share_val"] <= 0.1
    # Labelled training galaxies do not count as their own neighbours.
    assert table["distance"].min() > 0.1


def test_parameters_are_estimated_in_their_own_unit_where_they_can_be(made, run, caplog):
    table = made[2]
    assert "absent_estimate" not in table
    with h5py.File(run.own.cutouts) as file:
        truth = np.delete(file["size"][:], 1)
    # The box of a galaxy is three times its size.
    assert np.corrcoef(table["size_estimate"], truth)[0, 1] > 0.95
    assert abs(np.median(table["size_estimate"] / truth) - 1) < 0.1


def test_all_forms_are_alike(made):
    _, files, table = made
    from_csv = pd.read_csv(files.csv, dtype={"id": str}, keep_default_na=False)
    assert from_csv["id"].tolist() == NAMES and list(from_csv) == list(table)
    from_fits = Table.read(files.fits)
    assert from_fits.colnames == list(table)
    np.testing.assert_array_equal(from_fits["p_spiral"], table["p_spiral"])
    assert fits.getdata(files.fits)["label"].tolist() == LABELS  # Table shows "" as masked
    assert from_fits.meta["FEATURES"].endswith("lvm.npy")


def test_a_catalogue_killed_behind_a_part_equals_one_that_was_not(made, run, tmp_path, monkeypatch):
    write, written = catalogue_parts._arrow, []

    def dies(columns):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(columns["id"][0])
        return write(columns)

    monkeypatch.setattr(catalogue_parts, "_arrow", dies)
    with pytest.raises(KeyboardInterrupt):
        make(run, tmp_path / "out")
    assert not list((tmp_path / "out").glob("c.*"))
    monkeypatch.setattr(catalogue_parts, "_arrow", lambda c: written.append(c["id"][0]) or write(c))
    files = make(run, tmp_path / "out")
    assert written == ["g000", "g020", "g040", "g060"]  # what was there was not done again
    assert not list((tmp_path / "out" / "state").iterdir())
    pd.testing.assert_frame_equal(pd.read_parquet(files.parquet), made[2])
    assert files.csv.read_bytes() == made[1].csv.read_bytes()


def test_the_size_of_a_part_changes_nothing(made, run, tmp_path):
    recipe = replace(run.recipe, settings=STRANGE.model_copy(update={"chunk_galaxies": 1000}))
    whole = pd.read_parquet(make(run, tmp_path / "out", recipe=recipe).parquet)
    pd.testing.assert_frame_equal(whole, made[2], rtol=1e-4)


def test_galaxies_of_another_dataset_have_labels_of_their_own_and_no_split(run, made, tmp_path):
    for name in ("crops.h5", "cutouts.h5"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    with h5py.File(tmp_path / "cutouts.h5", "a") as file:
        del file["ra"], file["dec"]
    changes = {n: str(tmp_path / f"{n}.h5") for n in ("crops", "cutouts")}
    table = pd.read_parquet(make(run, tmp_path / "out", **changes).parquet)
    assert set(table["split"]) == {""} and table["label"].tolist() == LABELS
    assert table[["ra", "dec"]].isna().all(axis=None)  # not known, and said so
    # Not known as training galaxies, they are nearest to themselves.
    assert (table["distance"] <= made[2]["distance"] + 1e-4).all()


def test_features_and_classes_of_others_are_refused(run, tmp_path):
    rng = np.random.default_rng(0)
    write_features(tmp_path / "few.npy", rng.normal(size=(9, 6)), NAMES[:9], range(9))
    with pytest.raises(DataError, match=r"crops.h5 has 75 galaxies, .*few.npy 9 vectors"):
        make(run, tmp_path / "out", features=str(tmp_path / "few.npy"))
    write_features(tmp_path / "other.npy", rng.normal(size=(N, 6)), NAMES, range(N)[::-1])
    with pytest.raises(DataError, match=r"other.npy: its rows are not those of"):
        make(run, tmp_path / "out", features=str(tmp_path / "other.npy"))
    splits = pd.read_parquet(run.own.splits).replace({"label": {"spiral": "ring"}})
    splits.to_parquet(tmp_path / "splits.parquet")
    others = replace(run.own, splits=str(tmp_path / "splits.parquet"))
    with pytest.raises(DataError, match=r"tells \['elliptical', 'spiral'\] apart, .*'ring'"):
        make(run, tmp_path / "out", learned_from=others)


def test_the_gallery_shows_the_most_certain_of_each_class_and_the_least_certain(made, run):
    _, files, table = made
    gallery = choose_gallery(files.parquet, 3)
    assert gallery.names == [*table["predicted"].value_counts().index, LEAST_CERTAIN]
    for name, rows in zip(gallery.names[:-1], gallery.rows, strict=False):
        own = table[table["predicted"] == name]["probability"]
        assert rows.tolist() == own.sort_values(ascending=False, kind="stable").index[:3].tolist()
    least = table["probability"].sort_values(kind="stable").index[:3]
    assert gallery.rows[-1].tolist() == least.tolist()
    with h5py.File(run.own.crops) as file:
        images = file["images"][:][np.concatenate(gallery.rows)]
    figure = draw_gallery(gallery, files.parquet, images, 3)
    shown = {text.get_text() for text in figure.axes[0].texts}
    assert f"{table['probability'].min():.2f}" in shown and LEAST_CERTAIN in shown


def test_reliability_is_drawn_before_and_after(made):
    figure = draw_calibration(pd.read_parquet(made[0] / "p.parquet"))
    assert len(figure.axes) == 2
    assert all("calibration\nerror" in axis.texts[0].get_text() for axis in figure.axes)
