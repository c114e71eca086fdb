"""A user's own images through the workflow: with labels to Table 1, without to a search."""

import json

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.session import Session
from PIL import Image
from workflow_runs import ROOT, snakemake

pytestmark = pytest.mark.workflow


def own_images(folder, n_images, labelled=True):
    """Write round and flat blobs as PNG; return the lines of their table."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96] - 47.5
    rows = ["id,file,label"]
    for number in range(n_images):
        label, stretch = ("round", 1.0) if number % 2 else ("flat", 3.0)
        grey = 200 * np.exp(-np.hypot(x / 12, y * stretch / 12)) + rng.normal(8, 2, (96, 96))
        image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        Image.fromarray(image).save(folder / f"{number}.png")
        rows.append(f"g{number},{number}.png,{label if labelled else ''}")
    return rows


def test_a_person_can_search_a_folder_without_labels(tmp_path):
    folder = tmp_path / "mine"
    rows = own_images(folder, 24, labelled=False)
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    config = {
        "run": "search",
        "datasets": {"mine": {"source": "folder", "data_dir": str(folder), "table": "labels.csv"}},
        "pretrain_datasets": ["mine"],
        "pretrain": {"optim": {"steps": 3}},
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(config))
    snakemake(
        tmp_path,
        "--configfile", str(ROOT / "config" / "test.yaml"), str(tmp_path / "mine.yaml"),
        "--", "results/search/features/mine/lvm.npy",
    )  # fmt: skip
    pool = Pool.open(tmp_path / "results/search/features/mine/lvm.npy")
    session = Session(pool, tmp_path / "labels.sqlite")
    session.label(["g0"], ["positive"])
    asked = session.suggest(4)
    assert len(set(asked)) == 4 and "g0" not in asked


def test_own_images_go_through_and_bad_ones_are_listed(tmp_path):
    folder = tmp_path / "mine"
    rows = own_images(folder, 40)
    rows.append("lost,nowhere.png,round")
    # Eight galaxies are the test set of the user's paper; an expert judged half of all anew.
    tested = {f"g{number}" for number in range(8)}
    rows = [
        f"{row},{'test' if row.split(',')[0] in tested else ''},{'round' if i % 2 else ''}"
        for i, row in enumerate(rows[1:])
    ]
    rows = ["id,file,label,split,expert", *rows]
    (tmp_path / "mine.yaml").write_text("folder: {second_label_column: expert}\n")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    snakemake(
        tmp_path,
        "--configfile", str(ROOT / "config" / "folder.yaml"), str(ROOT / "tests" / "folder.yaml"),
        str(tmp_path / "mine.yaml"),
        "--config", f"data_dir={folder}",
        "--", "table1",
    )  # fmt: skip
    rejected = pd.read_csv(tmp_path / "results/folder/data/galaxies/rejected.csv")
    assert list(rejected["id"]) == ["lost"]
    splits = pd.read_parquet(tmp_path / "results/folder/data/galaxies/splits.parquet")
    assert set(splits.loc[splits["split"] == "test", "id"]) == tested
    metrics = pd.read_csv(tmp_path / "results/folder/metrics/multitask.csv")
    assert set(metrics.loc[metrics["metric"] == "n_second", "value"]) == {4}
    table = pd.read_csv(tmp_path / "results/folder/tables/table1_classification.csv")
    assert table[["accuracy_second", "f1_second"]].notna().all(axis=None)
    assert {"hog_logistic", "multi_active", "resnet18"} <= set(table["model"])
    reasons = pd.read_csv(tmp_path / "results/folder/tables/claims.csv").set_index("claim")
    judged = reasons.loc["LVM above resnet18, trained on the same galaxies", "detail"]
    assert "multi_active - resnet18" in judged
