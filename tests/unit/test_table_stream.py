"""Parts become one table in three forms that other programs read alike."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.table_stream import join_parts

IDS = ["0042", 'a "b", c', "NGC 1300", "Ω1", "", "x" * 40, "7"]


def columns():
    n = len(IDS)
    return {
        "id": pa.array(IDS, pa.string()),
        "ra": np.array([0.1, np.nan, 359.9, 1, 2, 3, 4]),
        "p_spiral": np.linspace(0, 1, n).astype(np.float32),
        "unlike": np.arange(n) % 2 == 0,
        "feature_row": np.arange(n) + 2**40,
        "n": np.arange(n, dtype=np.int32),
    }


@pytest.fixture
def joined(tmp_path):
    table, paths = pa.table(columns()), []
    for number, (a, b) in enumerate([(0, 3), (3, 4), (4, 7)]):
        paths.append(tmp_path / f"part_{number}.parquet")
        pq.write_table(table.slice(a, b - a), paths[-1])
    files = [tmp_path / f"all.{form}" for form in ("parquet", "csv", "fits")]
    about = {"FEATURES": "results/" + 20 * "long/" + "lvm.npy"}
    assert join_parts(paths, *files, about, {"ra": "deg"}) == len(IDS)
    return paths, files


def test_all_three_forms_hold_the_same(joined):
    parquet, csv, _ = joined[1]
    first = pd.read_parquet(parquet)
    assert first["id"].tolist() == IDS and first["unlike"].dtype == bool
    second = pd.read_csv(csv, dtype={"id": str}, keep_default_na=False, na_values={"ra": [""]})
    assert list(second) == list(first)
    assert second["id"].tolist() == IDS
    for name in ("ra", "p_spiral", "feature_row", "n"):
        np.testing.assert_allclose(second[name], first[name], rtol=1e-6)
    assert second["unlike"].astype(str).str.lower().tolist() == [
        str(flag).lower() for flag in first["unlike"]
    ]


def test_the_fits_table_is_what_astropy_reads(joined):
    first = pd.read_parquet(joined[1][0])
    path = joined[1][2]
    with fits.open(path) as file:
        file.verify("exception")
        assert file[1].header["FEATURES"].endswith("long/lvm.npy")
    assert path.stat().st_size % 2880 == 0
    table = Table.read(path)
    assert table["ra"].unit == "deg" and len(table) == len(IDS)
    with fits.open(path) as file:
        read = file[1].data["id"].tolist()  # Table shows "" as masked
    assert read == ["\\u03a91" if name == "Ω1" else name for name in IDS]
    for name in ("p_spiral", "feature_row", "n", "unlike"):
        assert np.array_equal(np.asarray(table[name]), first[name].to_numpy()), name
    ra = np.ma.filled(table["ra"], np.nan)
    np.testing.assert_array_equal(np.asarray(ra, float), first["ra"])


def test_facts_stand_in_the_parquet_file(joined):
    assert pq.read_schema(joined[1][0]).metadata[b"FEATURES"].endswith(b"lvm.npy")


def test_parts_with_other_columns_are_refused_and_leave_nothing(joined, tmp_path):
    paths, _ = joined
    pq.write_table(pa.table({"id": ["a"]}), paths[1])
    files = [tmp_path / f"new.{form}" for form in ("parquet", "csv", "fits")]
    with pytest.raises(DataError, match="part_1.parquet: other columns than .*part_0"):
        join_parts(paths, *files, {}, {})
    with pytest.raises(DataError, match="no part to join"):
        join_parts([], *files, {}, {})
    assert not any(path.exists() for path in files)
