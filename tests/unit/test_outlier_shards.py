"""Scores by shard are those of the whole; the list over all files is that of one table."""

import h5py
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.extensions import Outliers
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.features import outlier_ranks
from galaxy_lvm.features.outlier_ranks import most_unusual
from galaxy_lvm.features.outliers import METHODS, unusual_galaxies
from galaxy_lvm.features.store import write_features
from galaxy_lvm.lvm.model import LVM, LVMConfig
from galaxy_lvm.lvm.weights import save_lvm
from galaxy_lvm.survey.shards import write_index
from plot_unusual import main as plot_unusual
from score_shard import main as score_shard

SIZES, NAMES = (40, 3, 57), ("000", "001", "002")
N = sum(SIZES)
FAR = 50  # of the last shard
SETTINGS = Outliers(n_neighbours=3, n_trees=20, n_components=8, n_reference=60)


def write_crops(path, first, n):
    images = np.random.default_rng(first).integers(0, 255, (n, 16, 16, 3), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(1, *images.shape[1:]))
        text = {"dtype": h5py.string_dtype("utf-8")}
        file.create_dataset("id", data=[f"g{i}" for i in range(first, first + n)], **text)
        file.create_dataset("label", data=["spiral"] * n, **text)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Return a folder with features and crops, in one file and in three; one galaxy is far off."""
    folder = tmp_path_factory.mktemp("pool")
    lvm = LVM(LVMConfig(embed_dim=16, depths=(1, 1, 1), head_dim=8))
    save_lvm(folder / "lvm.safetensors", lvm, {})
    values = np.random.default_rng(0).normal(size=(N, lvm.config.feature_dim))
    values[FAR] += 9
    write_features(folder / "lvm.npy", values, [f"g{i}" for i in range(N)], range(N))
    write_crops(folder / "whole.h5", 0, N)
    edges = np.cumsum([0, *SIZES]).tolist()
    crops = [folder / f"{name}_crops.h5" for name in NAMES]
    for path, first, n in zip(crops, edges, SIZES, strict=False):
        write_crops(path, first, n)
    write_index(folder / "crops.h5", crops, NAMES, "", cutouts_before=edges[:-1])
    return folder


def scored(pool, out, crops, shard):
    score_shard(
        str(pool / "lvm.npy"), str(pool / crops), str(pool / "lvm.safetensors"), str(out), shard,
        SETTINGS, seed=1,
    )  # fmt: skip
    return str(out)


def test_scores_by_shard_are_those_of_the_whole(pool, tmp_path, monkeypatch):
    whole = scored(pool, tmp_path / "whole.parquet", "whole.h5", None)
    monkeypatch.setattr(outlier_ranks, "_BLOCK_ROWS", 16)
    parts = [scored(pool, tmp_path / f"{name}.parquet", "crops.h5", name) for name in NAMES]
    one, many = pd.read_parquet(whole), pd.concat(map(pd.read_parquet, parts), ignore_index=True)
    pd.testing.assert_frame_equal(many, one, check_exact=False, rtol=1e-3, atol=1e-4)
    assert one["id"].tolist() == [f"g{i}" for i in range(N)] and set(one["label"]) == {"spiral"}
    # All trees of a forest soon part whatever is far from the rest: its scores end at a ceiling.
    assert (one[list(METHODS[1:])].idxmax() == FAR).all()
    for paths in ([whole], parts):
        plot_unusual(paths, str(pool / "crops.h5"), 5, tmp_path / "f.pdf", tmp_path / "t.csv")
        table = pd.read_csv(tmp_path / "t.csv")
        assert f"g{FAR}" in table["id"].tolist() and table["place"].tolist() == [1, 2, 3, 4, 5]
        assert (table["id"] == "g" + table["index"].astype(str)).all()


@pytest.mark.parametrize(("agree", "ties"), [(1.0, False), (0.0, False), (0.5, True)])
@pytest.mark.parametrize("n", [1, 7, 400])
def test_the_list_over_files_is_that_of_one_table(tmp_path, monkeypatch, agree, ties, n):
    """Also where the methods contradict each other, and the best of the mean are best in none."""
    monkeypatch.setattr(outlier_ranks, "_LEAST_CANDIDATES", 3)
    monkeypatch.setattr(outlier_ranks, "_READ_ROWS", 50)
    rng = np.random.default_rng(n)
    common = rng.normal(size=300)
    table = pd.DataFrame({"id": [f"g{i:03d}" for i in rng.permutation(300)], "index": range(300)})
    for name in METHODS:
        values = agree * common + (1 - agree) * rng.normal(size=300)
        table[name] = values.round(1) if ties else values
    table["knn"] = table["knn"].astype(np.float32)
    paths, edges = [], [0, 120, 121, 300]
    for first, last in zip(edges, edges[1:], strict=False):
        paths.append(tmp_path / f"{first}.parquet")
        save_table(paths[-1], table.iloc[first:last])
    expected = unusual_galaxies(table, n)
    found = most_unusual(paths, n)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_a_shard_that_is_damaged_or_missing_is_named(pool, tmp_path):
    path = scored(pool, tmp_path / "whole.parquet", "whole.h5", None)
    with pytest.raises(DataError, match=r"gone\.parquet: missing .*run score_shard"):
        most_unusual([path, tmp_path / "gone.parquet"], 3)
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:900])
    with pytest.raises(DataError, match=r"cut\.parquet: missing or damaged"):
        most_unusual([path, tmp_path / "cut.parquet"], 3)


def test_features_of_other_crops_are_refused(pool, tmp_path):
    write_crops(tmp_path / "other.h5", 1, N)
    with pytest.raises(DataError, match=r"lvm\.npy: vectors 0 to 100 are of other galaxies"):
        scored(pool, tmp_path / "s.parquet", tmp_path / "other.h5", None)
    assert not (tmp_path / "s.parquet").exists()
