"""The user's files that a run begins with, and what is said where they are not there."""

from pathlib import Path

import pytest
from galaxy_lvm.core.config import check_config
from galaxy_lvm.core.config.user_data import missing_data, user_file

DATASETS = {
    "galaxies": {"source": "mock"},
    "mine": {"source": "folder", "data_dir": "mine", "table": "t.csv"},
    "pool": {"source": "ssl_legacysurvey", "path": "pool/images.h5"},
    "bright": {"source": "legacysurvey", "data_dir": "bright", "table": "positions.csv"},
}


@pytest.fixture
def config():
    return check_config({"run": "x", "datasets": DATASETS})


def test_a_dataset_begins_with_a_table_or_a_file_of_the_user(config):
    files = {name: user_file(config, name) for name in DATASETS}
    assert files == {
        "galaxies": None,
        "mine": Path("mine/t.csv"),
        "pool": Path("pool/images.h5"),
        "bright": Path("bright/positions.csv"),
    }


def test_data_dir_stands_for_the_folder_of_every_dataset_without_its_own(tmp_path):
    datasets = {"galaxies": {"source": "folder"}}
    config = check_config({"run": "x", "data_dir": str(tmp_path), "datasets": datasets})
    assert user_file(config, "galaxies") == tmp_path / "labels.csv"


def test_all_that_is_missing_is_named_with_its_key_and_nothing_else(config, tmp_path):
    text = missing_data(config, tmp_path)
    for path, keys in (
        ("mine/t.csv", "datasets.mine: data_dir, table"),
        ("pool/images.h5", "datasets.pool: path"),
        ("bright/positions.csv", "datasets.bright: data_dir, table"),
    ):
        assert any(path in line and keys in line for line in text.splitlines())
    assert "galaxies:" not in text and str(tmp_path) in text
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "t.csv").touch()
    assert "mine/t.csv" not in missing_data(config, tmp_path)


def test_nothing_is_said_where_all_is_there(config, tmp_path):
    for name in DATASETS:
        if path := user_file(config, name):
            (tmp_path / path).parent.mkdir(parents=True)
            (tmp_path / path).touch()
    assert missing_data(config, tmp_path) == ""


def test_bricks_that_are_not_on_disk_are_named_beside_their_table(tmp_path):
    dataset = {"source": "bricks", "data_dir": "mine", "table": "t.csv", "bricks": "dr9/south"}
    config = check_config({"run": "x", "datasets": {"galaxies": dataset}})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "t.csv").touch()
    assert "dr9/south/coadd: coadded bricks" in missing_data(config, tmp_path)
    (tmp_path / "dr9" / "south" / "coadd").mkdir(parents=True)
    assert missing_data(config, tmp_path) == ""
