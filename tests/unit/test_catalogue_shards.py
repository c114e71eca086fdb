"""A catalogue by shard is that of the whole dataset; a shard of another model is named."""

from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from catalogue_shard import main as catalogue_shard
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.table_stream import rows_at
from galaxy_lvm.multitask import catalogue_parts
from galaxy_lvm.report.results import read_results
from galaxy_lvm.survey.shards import write_index
from test_catalogue import STRANGE, N, make, run  # noqa: F401

NAMES, SIZES = ("000", "001", "002"), (30, 5, 40)


def in_shards(whole, folder, what, sizes, **numbers):
    """Write the rows of an HDF5 file as shards, and their index."""
    paths, first = [], 0
    with h5py.File(whole) as file:
        for name, size in zip(NAMES, sizes, strict=True):
            paths.append(folder / f"{name}_{what}")
            with h5py.File(paths[-1], "w") as part:
                for key in file:
                    values = file[key][first : first + size]
                    if key == "cutout_index":
                        values = values - numbers["cutouts_before"][len(paths) - 1]
                    part.create_dataset(key, data=values, dtype=file[key].dtype)
            first += size
    write_index(folder / what, paths, NAMES, "", **numbers)
    return str(folder / what)


@pytest.fixture(scope="module")
def shards(run, tmp_path_factory):  # noqa: F811
    """Return the arguments that differ: the same dataset in three files, and where it lies."""
    folder = tmp_path_factory.mktemp("shards")
    # One cutout more than crops lies in the first file.
    sizes = (SIZES[0] + 1, *SIZES[1:])
    before = np.cumsum([0, *sizes[:-1]])
    cutouts = in_shards(run.own.cutouts, folder, "cutouts.h5", sizes)
    crops = in_shards(run.own.crops, folder, "crops.h5", SIZES, cutouts_before=before)
    own = replace(run.own, crops=crops, cutouts=cutouts)
    return folder, {"crops": crops, "cutouts": cutouts, "learned_from": own}


def by_shard(run, shards, out, **changes):  # noqa: F811
    """Make the parts as the rule does; return their paths."""
    given = {"features": run.own.features, "weights": run.weights, "recipe": run.recipe}
    paths = [out / f"{name}.parquet" for name in NAMES]
    for name, path in zip(NAMES, paths, strict=True):
        catalogue_shard(
            **(given | shards[1] | changes), catalogue=path, shard=name, recipe_version=1,
            state_root=out / "state",
        )  # fmt: skip
    assert not list((out / "state").iterdir())
    return paths


def test_a_catalogue_by_shard_is_that_of_the_whole(run, shards, tmp_path):  # noqa: F811
    parts = by_shard(run, shards, tmp_path)
    assert [pq.read_metadata(path).num_rows for path in parts] == list(SIZES)
    settled = {k: float(v) for k, v in pq.read_schema(parts[0]).metadata.items() if k != b"pandas"}
    known = SimpleNamespace(**{key.decode(): value for key, value in settled.items()})
    (tmp_path / "empty").mkdir()
    left_out = tmp_path / "left_out.parquet"
    catalogue_parts.write_shard(
        SimpleNamespace(known=known), left_out, tmp_path / "empty", 20, slice(30, 30)
    )
    files = make(run, tmp_path / "shards", shards=[*parts[:1], left_out, *parts[1:]], **shards[1])
    whole = make(run, tmp_path / "whole")
    found, expected = (pd.read_parquet(f.parquet) for f in (files, whole))
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)
    assert found["feature_row"].tolist() == list(range(N)) and set(found["split"]) > {"test", ""}
    for name in ("m.csv",):
        one, other = (read_results(tmp_path / n / name) for n in ("shards", "whole"))
        pd.testing.assert_frame_equal(one, other, rtol=1e-4)
    assert len(files.csv.read_text().splitlines()) == N + 1


def test_a_shard_that_was_killed_goes_on_within_it(run, shards, tmp_path, monkeypatch):  # noqa: F811
    write, written = catalogue_parts._arrow, []

    def dies(columns):
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(columns["id"][0])
        return write(columns)

    monkeypatch.setattr(catalogue_parts, "_arrow", dies)
    with pytest.raises(KeyboardInterrupt):
        by_shard(run, shards, tmp_path)
    assert not list(tmp_path.glob("*.parquet"))
    monkeypatch.setattr(catalogue_parts, "_arrow", lambda c: written.append(c["id"][0]) or write(c))
    by_shard(run, shards, tmp_path)
    assert written == ["g000", "g020", "g030", "g035", "g055"]


def test_shards_of_another_model_or_not_there_are_named(run, shards, tmp_path):  # noqa: F811
    parts = by_shard(run, shards, tmp_path)
    lax = replace(run.recipe, settings=STRANGE.model_copy(update={"unlike_share": 0.5}))
    with pytest.raises(DataError, match=r"000\.parquet: made with .* run catalogue_shard again"):
        make(run, tmp_path / "out", shards=parts, recipe=lax, **shards[1])
    with pytest.raises(
        DataError, match=r"c\.parquet: 35 rows for 75 galaxies; run catalogue_shard"
    ):
        make(run, tmp_path / "out", shards=parts[:2], **shards[1])
    parts[1].unlink()
    with pytest.raises(DataError, match=r"001\.parquet: missing or damaged"):
        make(run, tmp_path / "out", shards=parts, **shards[1])


def test_rows_of_a_file_come_in_the_order_asked_for(tmp_path):
    table = pd.DataFrame({"n": np.arange(10), "name": [f"g{i}" for i in range(10)]})
    table.to_parquet(tmp_path / "t.parquet", row_group_size=3)
    file = pq.ParquetFile(tmp_path / "t.parquet")
    found = rows_at(file, np.array([9, 0, 4, 9, 3]), ["name"])
    assert found["name"].to_pylist() == ["g9", "g0", "g4", "g9", "g3"]
    assert len(rows_at(file, np.array([], int), ["name"])) == 0
    with pytest.raises(IndexError, match="of 10"):
        rows_at(file, np.array([10]), ["name"])
