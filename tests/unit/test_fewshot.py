"""Few-shot learning: nested sets, one protocol, honest notes, and what is left after a kill."""

import math

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config import check_config, part_of
from galaxy_lvm.core.config.fewshot import FewShotSections
from galaxy_lvm.core.config.tasks import ReferenceSections
from galaxy_lvm.core.config.training import Lvm
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features.store import write_features
from galaxy_lvm.fewshot import protocol as fewshot
from galaxy_lvm.fewshot.claims import few_shot_claims
from galaxy_lvm.fewshot.figures import draw_confusions, draw_few_shot, draw_reliability
from galaxy_lvm.fewshot.protocol import train_few_shot
from galaxy_lvm.fewshot.scores import (
    efficiency_table,
    few_shot_html,
    few_shot_scores,
    few_shot_table,
    score_curves,
)
from galaxy_lvm.fewshot.subsets import draw_subset, usable_sizes
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.lvm.weights import save_lvm
from galaxy_lvm.multitask.reference import train_reference
from galaxy_lvm.report.results import long_rows, read_results
from galaxy_lvm.report.verdicts import FAILS, HOLDS, OVERLAP, how_to_read
from galaxy_lvm.survey.splits_table import Galaxies, Splits
from galaxy_lvm.training import network
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import model_specs, reference_specs
from galaxy_lvm.training.network_settings import protocol_of, reference_protocol

CLASSES = ("flat", "round")
PER_SPLIT = {"train": 12, "val": 5, "test": 20}


def galaxies(labels):
    n = len(labels)
    return Galaxies(np.arange(n), np.array([f"g{i}" for i in range(n)]), np.asarray(labels))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Round and flat blobs, their splits, informative features and an LVM."""
    folder = tmp_path_factory.mktemp("fewshot")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] - 15.5
    images, rows, vectors = [], [], []
    for split, count in PER_SPLIT.items():
        for number in range(2 * count):
            label = number % 2
            grey = 220 * np.exp(-np.hypot(x / 6, y / (2 + 4 * label)) * 1.5)
            grey = grey + rng.normal(8, 3, grey.shape)
            images.append(np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2))
            rows.append((len(rows), f"g{len(rows)}", split, CLASSES[label]))
            vectors.append(rng.normal(0, 1, 6) + 5 * label)
    rows.append((0, "without_label", "train", ""))
    with h5py.File(folder / "crops.h5", "w") as file:
        file["images"] = np.stack(images)
    table = pd.DataFrame(rows, columns=["index", "id", "split", "label"])
    table.to_parquet(folder / "splits.parquet")
    write_features(folder / "lvm.npy", np.array(vectors), table["id"][:-1], table["index"][:-1])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    save_lvm(folder / "lvm.safetensors", LVM(build_config(Lvm(preset="lvm_micro"))), {})
    return folder


def settings(**changes):
    values = {"sizes": (3, 6, 50), "batch_size": 4, "min_epochs": 0.0}
    optim = {"steps": 2, "precision": "float32", "weight_decay": 0.0}
    head = {"hidden_dim": 8, "steps": 20}
    return FewShotSections.model_validate(
        {
            "fewshot": {**values, "optim": optim, "head": head, **changes},
            "features": {"view_side_pix": 32, "n_orientations": 1},
        }
    )


def files_in(data, state):
    return NetworkFiles(data / "splits.parquet", data / "crops.h5", state, 1)


def train(data, folder, model, seeds=(1, 2), **changes):
    train_few_shot(
        model_specs([{"model": model}])[0],
        files_in(data, folder / "state"), data / "lvm.npy", data / "lvm.safetensors",
        settings(**changes), seeds, folder / "m.csv", folder / "p.parquet",
    )  # fmt: skip
    return read_results(folder / "m.csv"), pd.read_parquet(folder / "p.parquet")


def test_subsets_are_nested_balanced_and_follow_the_seed():
    pool = galaxies(np.repeat([0, 1, 2], [30, 20, 8]))
    small, large = draw_subset(pool, 5, 1), draw_subset(pool, 8, 1)
    assert set(small.ids) < set(large.ids)
    assert np.bincount(small.labels).tolist() == [5, 5, 5]
    assert set(draw_subset(pool, 5, 2).ids) != set(small.ids)
    assert np.bincount(draw_subset(pool, 10, 1).labels).tolist() == [10, 10, 8]


def test_sizes_that_a_class_cannot_fill_are_named():
    labels = np.repeat([0, 1], [30, 9])
    usable, skipped = usable_sizes(labels, CLASSES, [20, 5, 9])
    assert usable == [5, 9]
    assert skipped == {20: "round (9)"}
    with pytest.raises(DataError, match=r"even 10 training galaxies.*round \(9\)"):
        usable_sizes(labels, CLASSES, [10, 20])


def test_galaxies_without_a_label_take_no_part(data):
    table = Splits(data / "splits.parquet")
    splits, names = table.all_labelled(), table.class_names
    assert names == CLASSES
    assert "without_label" not in splits["train"].ids
    assert len(splits["test"]) == 2 * PER_SPLIT["test"]


@pytest.mark.parametrize("model", ["lvm_frozen", "hog_logistic", "lvm_finetuned", "resnet18"])
def test_every_kind_of_model_is_scored_on_the_same_test_galaxies(data, tmp_path, model):
    results, predictions = train(data, tmp_path, model, seeds=(1,))
    assert set(results["condition"]) == {"n=3", "n=6"}  # 50 are more than there are
    assert set(results["model"]) == {model}
    for size, part in predictions.groupby("n_per_class"):
        assert len(part) == 2 * PER_SPLIT["test"]
        shares = part[["p_flat", "p_round"]].to_numpy()
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-4)
        told = results[(results["condition"] == f"n={size}") & (results["metric"] == "accuracy")]
        right = (shares.argmax(axis=1) == part["label"]).mean()
        assert told["value"].item() == pytest.approx(right)
    if model in ("lvm_frozen", "hog_logistic"):  # informative features: must be learned
        assert results.loc[results["metric"] == "accuracy", "value"].min() > 0.8


def test_fine_tuning_is_never_worse_on_validation_than_where_it_starts(data, tmp_path):
    results, _ = train(data, tmp_path / "a", "lvm_finetuned", seeds=(1,))
    untrained, _ = train(
        data, tmp_path / "b", "lvm_finetuned", seeds=(1,), finetune_learning_rates=(1e-12,)
    )
    losses = [
        r[r["metric"] == "loss_val"].set_index("condition")["value"] for r in (results, untrained)
    ]
    assert (losses[0] <= losses[1] + 1e-6).all()
    assert losses[1].max() < math.log(2)  # the layer that it starts from has learned something


def test_a_killed_run_does_only_what_is_missing(data, tmp_path, monkeypatch):
    whole, _ = train(data, tmp_path / "whole", "lvm_scratch")
    real, done = network.NetworkTrainer.fit, []

    def fit(self, subset, *rest):
        if kill and len(done) == 2:
            raise KeyboardInterrupt
        done.append(len(subset))
        return real(self, subset, *rest)

    monkeypatch.setattr(fewshot.NetworkTrainer, "fit", fit)
    kill = True
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path, "lvm_scratch")
    assert not (tmp_path / "m.csv").exists()
    kill = False
    again, _ = train(data, tmp_path, "lvm_scratch")
    assert len(done) == 4  # two sizes, two seeds, none twice
    pd.testing.assert_frame_equal(whole, again)
    assert not list((tmp_path / "state").iterdir())


def test_a_part_that_finishes_leaves_the_unfinished_trainings_of_others(
    data, tmp_path, monkeypatch
):
    real, done = fewshot.HeadTrainer.fit, []

    def fit(self, subset, judges, seed, folder):
        if kill and len(done) == 3:
            raise KeyboardInterrupt
        done.append(seed)
        return real(self, subset, judges, seed, folder)

    monkeypatch.setattr(fewshot.HeadTrainer, "fit", fit)
    kill = True
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path, "lvm_frozen", seeds=(3, 4))
    kill, unfinished = False, len(done)
    train(data, tmp_path, "lvm_frozen", seeds=(1, 2))
    assert len(done) == unfinished + 4
    train(data, tmp_path, "lvm_frozen", seeds=(3, 4))
    assert sorted(done) == [1, 1, 2, 2, 3, 3, 4, 4]  # two sizes, four seeds, none twice
    assert not list((tmp_path / "state").iterdir())


def test_features_of_other_galaxies_are_refused(data, tmp_path):
    write_features(tmp_path / "lvm.npy", np.zeros((3, 6)), ["x", "y", "z"], [0, 1, 2])
    with pytest.raises(DataError, match="no feature vector for 24 of 24 galaxies"):
        train_few_shot(
            model_specs([{"model": "lvm_frozen"}])[0], files_in(data, tmp_path),
            tmp_path / "lvm.npy", None, settings(), [1], tmp_path / "m", tmp_path / "p",
        )  # fmt: skip


def test_steps_follow_one_rule():
    protocol = protocol_of(settings(batch_size=16, min_epochs=4.0, optim={"steps": 50}))
    assert [protocol.steps(n) for n in (40, 200, 400)] == [50, 50, 100]


def test_protocol_of_the_default_config_can_be_built():
    config = check_config({"run": "x", "datasets": {"galaxies": {"source": "mock"}}})
    sections = FewShotSections.model_validate(part_of(FewShotSections, config))
    protocol = protocol_of(sections)
    assert sections.fewshot.sizes == tuple(config["fewshot"]["sizes"])
    assert protocol.view_side_pix == config["features"]["view_side_pix"]
    assert len(model_specs(config["fewshot"]["models"])) == len(config["fewshot"]["models"])


def test_auc_is_the_mean_of_one_class_against_the_rest():
    labels = np.array([0, 0, 1, 1, 2, 2])
    assert few_shot_scores(labels, np.eye(3)[labels])["auc"] == 1
    flat = few_shot_scores(labels, np.full((6, 3), 1 / 3))
    assert flat["auc"] == pytest.approx(0.5)


def long_table():
    rows = []
    for model, gain in (("lvm_frozen", 0.2), ("resnet18", 0.0)):
        for size in (10, 100):
            for seed in (1, 2, 3):
                value = 0.3 + gain + 0.1 * math.log10(size) + 0.01 * seed
                scores = {"accuracy": value, "f1": value, "auc": value, "chosen_steps": 7.0}
                rows += long_rows("fewshot", "classification", model, f"n={size}", seed, scores)
    return pd.DataFrame(rows)


def test_table_and_figures_are_views_of_the_results():
    results, names = long_table(), {"lvm_frozen": "LVM", "resnet18": "ResNet18"}
    table = few_shot_table(results, list(names))
    row = table[(table["model"] == "resnet18") & (table["n_per_class"] == 100)].iloc[0]
    assert row["accuracy"] == pytest.approx(0.52)
    assert row["accuracy_low95"] < 0.52 < row["accuracy_high95"]
    assert row["n_seeds"] == 3
    assert score_curves(results, "lvm_frozen", "f1").shape == (2, 3)
    saved = efficiency_table(results, ["lvm_frozen"], ["resnet18"])
    assert set(saved["reference_n_per_class"]) == {10, 100}
    assert saved["at_least"].all()  # 0.62 with 10 labels against 0.52 with 100
    note = "500 per class: not shown, too few of round (9)"
    page = few_shot_html(table, saved, names, [note])
    assert "0.520" in page and note in page and "at least 10" in page
    figure = draw_few_shot(table, names, [note], chance=0.25)
    assert note in figure.legends[0].get_title().get_text()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(names.values())


def test_confusion_shows_the_smallest_and_the_largest_set():
    rng = np.random.default_rng(0)
    parts = []
    for model in ("a", "b", "c"):
        for size in (10, 30, 100):
            share = rng.random(40)
            columns = {"p_flat": share, "p_round": 1 - share, "label": rng.integers(0, 2, 40)}
            parts.append(pd.DataFrame({**columns, "model": model, "n_per_class": size, "seed": 1}))
    predictions, names = pd.concat(parts), {"a": "A", "b": "B", "c": "C"}
    titles = [ax.get_title() for ax in draw_confusions(predictions, names, CLASSES).axes]
    assert sum("10 per class" in t for t in titles) == 3
    assert sum("100 per class" in t for t in titles) == 3
    assert not any("30 per class" in t for t in titles)
    figure = draw_reliability(predictions, names, CLASSES)
    assert len(figure.axes[0].lines) == 3  # the diagonal and two sizes


# With AVX-512 24 steps end at chance, with other kernels they do not; 40 learn on both.
N_REFERENCE_STEPS = 40


def reference(data, folder, steps=N_REFERENCE_STEPS, checkpoint_seconds=600.0):
    optim = {
        "steps": steps,
        "precision": "float32",
        "weight_decay": 0.0,
        "checkpoint_seconds": checkpoint_seconds,
    }
    train_reference(
        reference_specs([{"model": "resnet18"}])[0], files_in(data, folder / "state"),
        protocol_of(settings(optim=optim, learning_rates=(1e-3, 1e-5))), 1,
        folder / "m.csv", folder / "p.parquet",
    )  # fmt: skip
    return read_results(folder / "m.csv"), pd.read_parquet(folder / "p.parquet")


def test_a_network_of_table_1_learns_from_all_galaxies(data, tmp_path):
    whole, galaxies_right = reference(data, tmp_path / "whole")
    accuracy = whole.loc[whole["metric"] == "accuracy", "value"].item()
    assert accuracy > 0.9
    assert galaxies_right["value"].mean() == pytest.approx(accuracy)
    assert len(galaxies_right) == 2 * PER_SPLIT["test"]
    assert not list((tmp_path / "whole" / "state").rglob("*.pt"))


def test_a_network_of_table_1_survives_a_kill(data, tmp_path, monkeypatch):
    steps = 6
    whole, _ = reference(data, tmp_path / "whole", steps)
    real, calls = network.random_views, []

    def views(*arguments):
        calls.append(len(calls))
        if len(calls) == steps + 3:  # in the training with the second rate
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(network, "random_views", views)
    with pytest.raises(KeyboardInterrupt):
        reference(data, tmp_path / "killed", steps, 1e-9)
    again, _ = reference(data, tmp_path / "killed", steps, 1e-9)
    assert len(calls) == 2 * steps + 1  # neither rate began anew
    pd.testing.assert_frame_equal(whole, again)


def test_networks_of_table_1_see_what_the_lvm_sees():
    config = check_config({"run": "x", "datasets": {"galaxies": {"source": "mock"}}})
    config["multitask"]["zooms"] = [1.0, 1.2]
    given = part_of(ReferenceSections, config)
    protocol = reference_protocol(ReferenceSections.model_validate(given))
    assert protocol.views.model_dump() == config["classification"]["views"]
    assert protocol.zooms == (1.0, 1.2)
    assert protocol.n_orientations == config["multitask"]["n_orientations"]
    assert protocol.steps(3200) == 14 * 3200 / 32


@pytest.mark.parametrize(
    "entry",
    [
        {"model": "lvm_finetuned"},
        {"model": "hog_logistic"},
        {"model": "lvm_frozen"},
        {"model": "resnet18", "name": "from_scratch"},
        {"model": "resnet19"},
    ],
)
def test_table_1_refuses_what_has_a_row_already(entry):
    with pytest.raises(ConfigError, match="reference.models"):
        reference_specs([entry])


def test_a_frozen_network_of_table_1_is_read_with_all_labels(data, tmp_path):
    entry = {"model": "timm:resnet10t", "frozen": True, "view_side_pix": 32, "name": "yardstick"}
    train_reference(
        reference_specs([entry])[0], files_in(data, tmp_path / "state"), protocol_of(settings()),
        1, tmp_path / "m.csv", tmp_path / "p.parquet",
    )  # fmt: skip
    found = read_results(tmp_path / "m.csv")
    assert set(found["model"]) == {"yardstick"}
    values = found.set_index("metric")["value"]
    assert values["accuracy"] > 0.8  # even at random its maps tell a round blob from a flat one
    assert values["chosen_logistic_c"] in protocol_of(settings()).logistic_c
    right = pd.read_parquet(tmp_path / "p.parquet")
    assert right["value"].mean() == pytest.approx(values["accuracy"])


def test_the_lvm_is_asked_beside_networks_from_elsewhere_too():
    scores = {"lvm_finetuned": 0.7, "resnet18": 0.6, "lite": 0.85}
    rows = [
        row
        for seed, luck in enumerate((-0.01, 0.0, 0.012))
        for model, value in scores.items()
        for row in long_rows(
            "fewshot", "classification", model, "n=10", seed,
            {"accuracy": value + luck + 0.004 * seed * (model == "lite")},
        )
    ]  # fmt: skip
    names = ({"resnet18": "ResNet18"}, {"lite": "Lite0", "absent": "not trained"})
    pool = {"smooth": 40, "spiral": 20}
    found = few_shot_claims(pd.DataFrame(rows), pd.DataFrame(), pool, *names)
    judged = found.set_index("claim")
    assert judged["verdict"].to_dict() == {
        "10 labels a class: lvm_finetuned above ResNet18": HOLDS,
        "10 labels a class: lvm_finetuned above Lite0 (our control)": FAILS,
    }
    # Ten of twenty are half of the class; of fifteen they are what two seeds share most of.
    assert OVERLAP not in how_to_read(found) and not found["detail"].str.contains(OVERLAP).any()
    pool = {"smooth": 40, "spiral": 15}
    found = few_shot_claims(pd.DataFrame(rows), pd.DataFrame(), pool, *names)
    assert found["detail"].str.contains("; training sets overlap: 10 of 15 spiral").all()
    assert "Training sets overlap: a size above half" in how_to_read(found)
    assert found["verdict"].tolist() == judged["verdict"].tolist()
