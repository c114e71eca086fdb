"""The pool for pretraining: several datasets, and no galaxy in it that a model is judged by."""

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config.training import Optim, Pretraining
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey import pool, pool_copies
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.duplicates import copies_across
from galaxy_lvm.survey.pool import PoolFiles, gather_pool, rows_by_dataset
from galaxy_lvm.survey.pool_copies import kept_copies
from galaxy_lvm.survey.store import CutoutWriter
from galaxy_lvm.training import feed
from galaxy_lvm.training.feed import JoinedCrops
from galaxy_lvm.training.pretrain import PretrainFeed
from gather_pool import main as gather_pool_script

SIDE = 128
SPLIT_OF = ["train"] * 6 + ["val"] * 3 + ["test"] * 3


def galaxies(n, seed):
    """Return galaxies (n, SIDE, SIDE, 3) of one shape on noise of their own."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((SIDE, SIDE)) - SIDE / 2
    disc = 200 * np.exp(-np.hypot(rows, columns * 1.5) / 15)[..., None]
    noise = rng.normal(0, 6, (n, SIDE, SIDE, 3))
    seen = np.stack([cv2.GaussianBlur(one, (0, 0), 1.0) * 3 for one in noise])  # as by a telescope
    return np.clip(disc + 20 + seen, 0, 255).astype(np.uint8)


def dataset(folder, name, crops, split=None, sky=None):
    """Write a dataset's files."""
    ids = [f"{name}{k}" for k in range(len(crops))]
    files = [folder / f"{name}.{kind}" for kind in ("crops.h5", "cutouts.h5", "splits.parquet")]
    with CutoutWriter(files[1], rgb=True, height_pix=SIDE, width_pix=SIDE) as writer:
        places = {} if sky is None else {"ra": sky[:, 0], "dec": sky[:, 1]}
        writer.append(crops, {"id": ids, **places})
    with h5py.File(files[0], "w") as file:
        file["images"], file["cutout_index"] = crops, np.arange(len(crops))
        file.create_dataset("id", data=ids, dtype=h5py.string_dtype())
    if split is None:
        return PoolFiles(*files[:2])
    table = pd.DataFrame({"index": range(len(crops)), "id": ids, "split": split, "label": "a"})
    table.to_parquet(files[2])
    return PoolFiles(*files)


def taken_again(crop):
    """Return a galaxy as another archive has it: resampled, turned, mirrored, compressed again."""
    resampled = cv2.resize(crop[1:-1, 1:-1], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    turned = np.ascontiguousarray(np.rot90(resampled)[:, ::-1])
    done, stream = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, 75])
    assert done
    return cv2.imdecode(stream, cv2.IMREAD_COLOR)


def gathered(folder, *given):
    """Return the table of the pool."""
    gather_pool(folder / "pool.parquet", *given)
    return pd.read_parquet(folder / "pool.parquet")


def test_copies_of_validation_and_test_galaxies_are_left_out(tmp_path):
    judged, others = galaxies(12, 1), galaxies(9, 2)
    # One of the training split may stay, one of validation and one of test must go.
    others[2], others[5], others[8] = (taken_again(judged[k]) for k in (1, 7, 10))
    files = {
        "mine": dataset(tmp_path, "mine", judged, SPLIT_OF),
        "more": dataset(tmp_path, "more", others),
    }
    found = gathered(tmp_path, files, ["mine", "more"], 3.0)
    copies = found[found["copy_of"] != ""].set_index("id")["copy_of"].to_dict()
    assert copies == {"more5": "mine:mine7", "more8": "mine:mine10"}
    assert list(found[found["dataset"] == "mine"]["id"]) == [f"mine{k}" for k in range(6)]


def test_positions_find_what_pixels_cannot(tmp_path):
    sky = np.column_stack([np.linspace(10, 20, 12), np.zeros(12)])
    other = np.column_stack([np.linspace(30, 40, 9), np.zeros(9)])
    other[4] = sky[8] + [1 / 3600, 0]
    other[6] = sky[9] + [9 / 3600, 0]
    files = {
        "mine": dataset(tmp_path, "mine", galaxies(12, 1), SPLIT_OF, sky),
        "more": dataset(tmp_path, "more", galaxies(9, 2), sky=other),
    }
    found = gathered(tmp_path, files, ["more"], 3.0)
    assert found.loc[found["copy_of"] != "", ["id", "copy_of"]].to_numpy().tolist() == [
        ["more4", "mine:mine8"]
    ]
    assert not gathered(tmp_path, files, ["more"], 0)["copy_of"].any()


@pytest.mark.parametrize("size", [1, 2, 4])
def test_blocks_of_any_size_give_the_same_pool(tmp_path, monkeypatch, size):
    sky = np.column_stack([np.linspace(10, 20, 12), np.zeros(12)])
    other = np.column_stack([np.linspace(30, 40, 9), np.zeros(9)])
    other[[4, 8]] = sky[[8, 11]] + [1 / 3600, 0]
    files = {
        "mine": dataset(tmp_path, "mine", galaxies(12, 1), SPLIT_OF, sky),
        "more": dataset(tmp_path, "more", galaxies(9, 2), sky=other),
    }
    whole = gathered(tmp_path, files, ["more", "mine"], 3.0)
    assert (whole["copy_of"] != "").sum() == 2
    rows = rows_by_dataset(tmp_path / "pool.parquet")
    monkeypatch.setattr(pool, "_BLOCK", size)
    monkeypatch.setattr(pool, "_SKY_BLOCK", size)
    pd.testing.assert_frame_equal(gathered(tmp_path, files, ["more", "mine"], 3.0), whole)
    again = rows_by_dataset(tmp_path / "pool.parquet")
    assert {n: list(r) for n, r in again.items()} == {n: list(r) for n, r in rows.items()}
    assert {n: len(r) for n, r in rows.items()} == {"more": 7, "mine": 6}


def test_a_killed_job_goes_on_and_ends_with_the_same_bytes(tmp_path, monkeypatch):
    judged, others = galaxies(12, 1), galaxies(11, 2)
    others[2], others[5], others[10] = (taken_again(judged[k]) for k in (7, 8, 10))
    given = {
        "mine": dataset(tmp_path, "mine", judged, SPLIT_OF),
        "more": dataset(tmp_path, "more", others),
    }
    path, root = tmp_path / "pool.parquet", tmp_path / "state"
    assert (gathered(tmp_path, given, ["more", "mine"], 3.0)["copy_of"] != "").sum() == 3
    whole = path.read_bytes()
    path.unlink()
    begun = []

    def killed_at_third(judges, crops, start, stop):
        begun.append(start)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return copies_across(judges, crops, start, stop)

    monkeypatch.setattr(pool_copies, "PART_CROPS", 3)
    monkeypatch.setattr(pool_copies, "copies_across", killed_at_third)
    with pytest.raises(KeyboardInterrupt):
        gather_pool(path, given, ["more", "mine"], 3.0, root)
    assert not path.exists() and begun == [0, 3, 6]
    gather_pool(path, given, ["more", "mine"], 3.0, root)
    assert begun == [0, 3, 6, 6, 9], "what was compared before is not compared again"
    assert path.read_bytes() == whole and not root.exists()


def test_other_judges_or_crops_are_compared_anew(tmp_path, monkeypatch):
    judged, others = galaxies(4, 1), galaxies(5, 2)
    others[3] = judged[2]
    crops = CropStore(dataset(tmp_path, "more", others).crops)
    root = tmp_path / "state"
    monkeypatch.setattr(pool_copies, "PART_CROPS", 2)
    assert kept_copies(judged, crops, root).tolist() == [[2, 3]]
    assert kept_copies(judged[1:], crops, root).tolist() == [[1, 3]]
    others[[3, 4]] = others[[4, 3]]
    crops.close()
    crops = CropStore(dataset(tmp_path, "more", others).crops)
    assert kept_copies(judged, crops, root).tolist() == [[2, 4]]
    assert kept_copies(judged, crops, tmp_path / "other").tolist() == [[2, 4]]
    crops.close()


def test_a_pool_that_is_damaged_or_another_table_is_named(tmp_path):
    path = tmp_path / "pool.parquet"
    with pytest.raises(DataError, match="pool.parquet: missing or damaged"):
        rows_by_dataset(path)
    pd.DataFrame({"id": ["a"]}).to_parquet(path)
    with pytest.raises(
        DataError, match="no column .'dataset', 'index', 'copy_of'.; run gather_pool"
    ):
        rows_by_dataset(path)


def test_an_empty_pool_stops(tmp_path):
    judged = galaxies(12, 1)
    files = {
        "mine": dataset(tmp_path, "mine", judged, SPLIT_OF),
        "more": dataset(tmp_path, "more", judged[-2:]),
    }
    with pytest.raises(DataError, match="fewer than two galaxies of more"):
        gathered(tmp_path, files, ["more"], 3.0)
    assert not (tmp_path / "pool.parquet").exists()


def test_script_writes_the_rows_of_every_dataset(tmp_path):
    judged = galaxies(12, 1)
    mine = dataset(tmp_path, "mine", judged, SPLIT_OF)
    more = dataset(tmp_path, "more", np.concatenate([galaxies(3, 2), judged[-1:]]))
    out = tmp_path / "pool.parquet"
    gather_pool_script(
        names=["more", "mine"],
        crops=[more.crops, mine.crops],
        cutouts=[more.cutouts, mine.cutouts],
        labelled=["mine"],
        splits=[mine.splits],
        pretrain_on=["more", "mine"],
        duplicate_arcsec=3.0,
        pool=out,
    )
    rows = {name: list(those) for name, those in rows_by_dataset(out).items()}
    assert rows == {"more": [0, 1, 2], "mine": [0, 1, 2, 3, 4, 5]}


@pytest.mark.parametrize("n_in_memory", [0, 1, 2])
def test_joined_crops_are_one_behind_the_other(tmp_path, monkeypatch, n_in_memory):
    one, two = galaxies(5, 1), galaxies(4, 2)
    parts = [
        (dataset(tmp_path, "one", one).crops, [4, 0, 2]),
        (dataset(tmp_path, "two", two).crops, None),
    ]
    n_bytes = one[0].nbytes * [0, 3, 7][n_in_memory]
    monkeypatch.setattr(feed, "IN_MEMORY_BYTES", n_bytes)
    crops = JoinedCrops(parts)
    whole = np.concatenate([one[[4, 0, 2]], two])
    assert len(crops) == 7
    places = np.array([6, 0, 3, 2, 6])
    np.testing.assert_array_equal(crops.take(places), whole[places])


def test_crops_of_two_sizes_are_refused(tmp_path):
    one = dataset(tmp_path, "one", galaxies(5, 1)).crops
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file["images"] = galaxies(3, 2)[:, ::2, ::2]
    with pytest.raises(DataError, match="crops of 64 pixels.*give both datasets one crop.side"):
        JoinedCrops([(one, None), (tmp_path / "small.h5", None)])


def test_the_last_steps_see_larger_views(tmp_path):
    crops = JoinedCrops([(dataset(tmp_path, "one", galaxies(5, 1)).crops, None)])
    settings = Pretraining(
        batch_size=2,
        view_side_pix=16,
        final_view_side_pix=32,
        final_fraction=0.25,
        optim=Optim(steps=8),
    )
    views = PretrainFeed(crops, settings, 2, 1)
    sides = [views.batch(step)[0]["views"][0].shape[-1] for step in range(8)]
    assert sides == [16] * 6 + [32] * 2
    assert views.clean(0).shape[-1] == 32
    assert not torch.equal(*views.batch(7)[0]["views"])
