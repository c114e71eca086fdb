"""Features by shard are those of the whole dataset; a shard that does not fit is named."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from extract_features import main as extract_features
from extract_shard import main as extract_shard
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.config.training import Lvm
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features import gather
from galaxy_lvm.features.store import FeatureStore, write_features
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.lvm.weights import save_lvm
from galaxy_lvm.survey.shards import write_index
from gather_features import main as gather_features

ROOT = Path(__file__).parents[2]
SIZES = (5, 1, 8)


def write_crops(path, images, ids):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(1, *images.shape[1:]))
        file.create_dataset("id", data=ids, dtype=h5py.string_dtype("utf-8"))


@pytest.fixture
def dataset(tmp_path):
    """Return the crops of a dataset in one file, their index and the crops of its shards."""
    images = np.random.default_rng(0).integers(0, 255, (sum(SIZES), 32, 32, 3), dtype=np.uint8)
    ids = [f"00{i}" for i in range(len(images))]
    write_crops(tmp_path / "whole.h5", images, ids)
    shards, first = [], 0
    for number, size in enumerate(SIZES):
        shards.append(tmp_path / f"{number}_crops.h5")
        part = slice(first, first + size)
        write_crops(shards[-1], images[part], ids[part])
        first += size
    names, before = [str(number) for number in range(len(SIZES))], np.cumsum([0, *SIZES[:-1]])
    write_index(tmp_path / "crops.h5", shards, names, "", cutouts_before=before)
    return tmp_path / "whole.h5", tmp_path / "crops.h5", shards


@pytest.fixture
def vectors(tmp_path, dataset):
    """Return made-up features of every shard."""
    found, first = [], 0
    for number, size in enumerate(SIZES):
        found.append(tmp_path / f"{number}.npy")
        ids = [f"00{i}" for i in range(first, first + size)]
        write_features(found[-1], np.full((size, 4), number + 0.5), ids, range(size))
        first += size
    return found


def test_features_by_shard_are_those_of_the_whole(tmp_path, dataset, monkeypatch):
    whole, index, shards = dataset
    torch.manual_seed(0)
    save_lvm(tmp_path / "lvm.safetensors", LVM(build_config(Lvm(preset="lvm_micro"))), {})
    settings = Features(view_side_pix=32, batch_size=1, block_crops=4, shard_crops=3,
                        precision="float32", n_orientations=2)  # fmt: skip
    job = {"model": {"model": "lvm_frozen"}, "lvm": str(tmp_path / "lvm.safetensors")}
    job |= {"settings": settings, "state_root": str(tmp_path / "state"), "recipe_version": 1}
    extract_features(crops=str(whole), features=str(tmp_path / "whole.npy"), **job)
    found = [tmp_path / f"{shard.stem}.npy" for shard in shards]
    for shard, path in zip(shards, found, strict=True):
        extract_shard(crops=str(shard), features=str(path), **job)
    monkeypatch.setattr(gather, "_BLOCK", 3)
    gather_features(index, found, tmp_path / "lvm.npy")
    one, many = (FeatureStore.open(tmp_path / name) for name in ("whole.npy", "lvm.npy"))
    np.testing.assert_allclose(many.values, one.values, rtol=1e-5, atol=1e-6)
    assert np.ptp(one.values, axis=0).max() > 1e-3  # the galaxies differ
    assert many.ids.tolist() == one.ids.tolist()
    np.testing.assert_array_equal(many.index, one.index)


def test_all_shards_that_do_not_fit_are_named(tmp_path, dataset, vectors):
    _, index, _ = dataset
    vectors[0].write_bytes(vectors[0].read_bytes()[:60])
    write_features(vectors[2], np.zeros((8, 4)), [f"x{i}" for i in range(8)], range(8))
    said = r"of 3 shards: .*0\.npy: damaged.*2\.npy: its 8 vectors are not of the shard's 8 crops"
    with pytest.raises(DataError, match=said):
        gather_features(index, vectors, tmp_path / "lvm.npy")
    assert not (tmp_path / "lvm.npy").exists() and not (tmp_path / "lvm.parquet").exists()


def test_shards_of_two_encoders_are_refused(tmp_path, dataset, vectors):
    write_features(vectors[1], np.zeros((1, 6)), ["005"], [0])
    said = r"several encoders \(D = 4 in .*0\.npy, D = 6 in .*1\.npy\)"
    with pytest.raises(DataError, match=said):
        gather_features(dataset[1], vectors, tmp_path / "lvm.npy")
    with pytest.raises(DataError, match="lists 3 shards, features are of 2"):
        gather_features(dataset[1], vectors[:2], tmp_path / "lvm.npy")


def test_the_paper_plans_a_job_a_shard(tmp_path):
    """77 files, as ssl-legacysurvey has; the pool's features and crops are scattered over them."""
    for part, count in (("north", 15), ("south", 62), ("south-train", 1)):
        folder = tmp_path / "data" / "ssl_legacysurvey" / part
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"images_{number:03d}.h5").touch()
    for table in ("galaxy_zoo_2/labels", "galaxy_zoo_decals/galaxies", "bright_galaxies/positions"):
        path = tmp_path / "data" / f"{table}.csv"
        path.parent.mkdir(parents=True)
        path.write_text("id,file,label\n")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "--dag", "--configfile"]
    more = tmp_path / "more.yaml"
    more.write_text("catalogue: {dataset: ssl_legacysurvey}\n")
    command += [str(ROOT / "config" / "paper.yaml"), str(more)]
    targets = ["similar_galaxies.csv", "unusual_galaxies.csv", "catalogue.fits"]
    command += ["--", *[f"results/paper/tables/{name}" for name in targets]]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    jobs = Counter(re.findall(r'\[label = "(\w+)', result.stdout))
    for name in ("crop", "extract", "search", "score", "catalogue"):
        assert jobs[f"{name}_shard"] == 77
    assert jobs["gather_features"] == jobs["train_index"] == jobs["search_similar"] == 1
    assert jobs["make_catalogue"] == 1
    assert jobs["extract_features"] == 1  # of the labelled galaxies, which lie in one file
