"""Encoders that come from elsewhere (`lvm.weights`), and those that are given away (`release`)."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from galaxy_lvm.core import encoder_files
from galaxy_lvm.core.config import resolve
from galaxy_lvm.core.config.release import Release
from galaxy_lvm.core.config.training import LvmShape
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features.encoder import load_encoder
from galaxy_lvm.lvm.weights import load_lvm, read_card
from galaxy_lvm.multitask.training_figures import draw_objectives
from galaxy_lvm.report.results import long_rows, write_results
from release_encoder import main as release_encoder
from small_images import galaxy, write_encoder
from take_weights import main as take_weights

ROOT = Path(__file__).parents[2]
HALF = 2e-3  # relative difference of vectors from weights in half precision


@pytest.fixture
def weights(tmp_path):
    write_encoder(tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def config(**lvm):
    return {"base": None, "run": "r", "datasets": {"galaxies": {"source": "mock"}}, "lvm": lvm}


def test_the_shape_is_the_cards(weights):
    found = resolve(config(weights=str(weights)))["lvm"]
    assert (found["embed_dim"], found["depths"], found["pooling"]) == (16, [1, 1, 1], "stages")
    again = resolve({**config(), "lvm": found})["lvm"]
    assert again == found  # as every job reads it once more
    assert resolve(config())["lvm"]["embed_dim"] is None


def test_views_are_checked_against_the_shape_of_the_card(weights):
    views = {"pretrain": {"view_side_pix": 48}}  # a multiple of 16, the coarsest of three stages
    assert resolve({**config(weights=str(weights)), **views})
    with pytest.raises(ConfigError, match="48 is no multiple of 32"):
        resolve({**config(), **views})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embed_dim": 24}, r"lvm\.embed_dim: 24 was given, and the weights .* have 16"),
        ({"depths": [2, 1, 1]}, r"lvm\.depths: \[2, 1, 1\] was given"),
        ({"pooling": "mean"}, r"lvm\.pooling: mean was given, and the weights .* have stages"),
    ],
)
def test_keys_that_contradict_the_card_are_refused(weights, changes, message):
    with pytest.raises(ConfigError, match=message):
        resolve(config(weights=str(weights), **changes))


def test_weights_that_are_not_there_stop_the_run_before_it_starts(weights, monkeypatch):
    with pytest.raises(ConfigError, match=r"lvm\.weights: gone\.safetensors: no such weights"):
        resolve(config(weights="gone.safetensors"))
    monkeypatch.setattr(encoder_files, "_PLACES", (weights.parent / "none",))
    with pytest.raises(ConfigError, match=r"lvm\.weights: .*no released weights in this version"):
        resolve(config(weights="released"))
    card = weights.with_suffix(".json")
    about = json.loads(card.read_text())
    del about["architecture"]["window"]
    card.write_text(json.dumps(about))
    with pytest.raises(ConfigError, match=r"w\.json lacks window under 'architecture'"):
        resolve(config(weights=str(weights)))
    card.unlink()
    with pytest.raises(ConfigError, match=r"lvm\.weights: .*w\.json: missing"):
        resolve(config(weights=str(weights)))


def test_taken_weights_are_a_whole_lvm_with_the_same_encoder(weights, tmp_path):
    taken = tmp_path / "run" / "lvm.safetensors"
    take_weights(weights, taken, LvmShape(preset="lvm_micro", skip_connections=False))
    source, lvm = load_lvm(weights), load_lvm(taken)
    pairs = zip(source.parameters(), lvm.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    card = read_card(taken)
    assert card["taken_from"] == str(weights)
    assert card["precision"] == "float32" and "parts" not in card
    with pytest.raises(DataError, match=r"embed_dim is 16, in the config lvm\.embed_dim is 24"):
        take_weights(weights, taken, LvmShape(preset="lvm_micro", embed_dim=24))


def written_scores(folder):
    rows = []
    for seed, value in ((1, 0.7), (2, 0.8)):
        rows += long_rows("fewshot", "classification", "lvm_frozen", "10", seed, {"f1": value})
        rows += long_rows("fewshot", "classification", "resnet18", "10", seed, {"f1": 0.5})
    write_results(folder / "fewshot.csv", rows)
    rows = long_rows("objectives", "classification", "masked_noskips", "", 1, {"accuracy": 0.6})
    write_results(folder / "objectives.csv", rows)
    return [str(folder / name) for name in ("objectives.csv", "fewshot.csv")]


def release(weights, tmp_path, scores=(), **changes):
    out = tmp_path / "release" / "released.safetensors"
    about = Release(data="made up", licence="none", **changes)
    views = {"view_side_pix": 32, "n_orientations": 4}
    release_encoder(
        weights, list(scores), out, "masked_noskips", about, views, {"margin": 1.3}, "r", "abc123"
    )
    return out


def test_a_released_encoder_gives_the_features_of_the_run(tmp_path):
    card = {"pretrain": {"objective": "masked", "optim": {"steps": 7}}, "seconds": 3.5, "seed": 4}
    weights = tmp_path / "lvm.safetensors"
    write_encoder(weights, whole=True, card=card)
    out = release(weights, tmp_path, written_scores(tmp_path))
    assert out.stat().st_size < 0.6 * weights.stat().st_size
    # In float32 on every machine: bfloat16, where a CPU computes in it, is coarser than HALF.
    encoder = load_encoder(out, precision="float32")
    assert encoder.settings.view_side_pix == 32 and encoder.reading.crop.margin == 1.3
    images = np.stack([galaxy(seed) for seed in range(3)])
    same = {"view_side_pix": 32, "precision": "float32", "reading": encoder.reading}
    expected = load_encoder(weights, **same).embed(images)
    found = encoder.embed(images)
    difference = np.linalg.norm(found.features - expected.features, axis=1)
    assert (difference / np.linalg.norm(expected.features, axis=1)).max() < HALF


def test_the_card_says_what_a_user_has_to_know(tmp_path):
    card = {"pretrain": {"objective": "masked", "optim": {"steps": 7}}, "seconds": 3.5, "seed": 4}
    write_encoder(tmp_path / "lvm.safetensors", whole=True, card=card)
    out = release(tmp_path / "lvm.safetensors", tmp_path, written_scores(tmp_path))
    card = read_card(out)
    assert card["objective"] == "masked" and card["cost"] == {"steps": 7, "seconds": 3.5}
    assert card["data"] == "made up" and card["config_hash"] == "abc123" and card["git_commit"]
    scores = {(row["experiment"], row["model"]): row for row in card["scores"]}
    assert set(scores) == {("objectives", "masked_noskips"), ("fewshot", "lvm_frozen")}
    few = scores["fewshot", "lvm_frozen"]
    assert few["mean"] == pytest.approx(0.75) and few["low95"] < 0.7 < 0.8 < few["high95"]
    assert scores["objectives", "masked_noskips"]["low95"] is None
    assert read_card(release(tmp_path / "lvm.safetensors", tmp_path))["scores"] == []


def test_an_encoder_that_is_too_large_is_refused(weights, tmp_path):
    with pytest.raises(DataError, match=r"0\.2 MB in half precision, more than release\.max_meg"):
        release(weights, tmp_path, max_megabytes=0.1)


def test_a_run_on_given_weights_pretrains_nothing(weights, tmp_path):
    own = {"base": str(ROOT / "config" / "test.yaml"), "lvm": {"weights": str(weights)}}
    own |= {"pretrain": {"compare": []}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "--configfile", str(tmp_path / "own.yaml")]
    command += ["--dag", "--", "table1", "objectives", "release"]
    plan = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    jobs = Counter(re.findall(r'^\s*\d+\[label = "(\w+)', plan, re.M))
    assert jobs["take_weights"] == 1 and jobs["train_multitask"] > 1
    assert not {"pretrain_lvm", "gather_pool"} & set(jobs)


def test_objectives_are_drawn_without_any_history():
    scores = pd.DataFrame({"f1": 0.5, "f1_low95": 0.4, "f1_high95": 0.6}, index=["given", "random"])
    texts = [
        text.get_text() for text in draw_objectives(scores, {}, "given").axes[0].get_yticklabels()
    ]
    assert texts == ["Weights given\n(in use)", "Untrained encoder"]
