"""The paper's pools: cuts that count what they remove, and the cutouts to fetch."""

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.surveys import bgs_query, select_bgs, select_decals
from galaxy_lvm.survey.positions import read_positions
from select_pool import main as select_pool


@pytest.fixture
def catalogue():
    return pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 5, 6, 1],
            "ra": [10.0, 20, 30, 40, 50, np.nan, 10],
            "dec": [0.0, 1, 2, 3, 4, 5, 0],
            "half_light_radius_arcsec": [6.4, 9.6, 6.3, 8, 8, 8, 6.4],
            "mag_r": [17.0, 19.5, 17, 19.6, 16, 17, 17],
            "type": ["SER", "DEV", "EXP", "SER", "PSF", "SER", "SER"],
        }
    )


def test_cuts_of_the_paper_and_what_they_remove(catalogue):
    found = select_bgs(catalogue)
    assert found.galaxies["id"].tolist() == ["1", "2"]
    assert list(found.removed.values()) == [1, 1, 1, 1, 1]
    assert sum(found.removed.values()) + len(found.galaxies) == len(catalogue)
    with pytest.raises(DataError, match=r"no column \['mag_r'\]"):
        select_bgs(catalogue.drop(columns="mag_r"))
    with pytest.raises(DataError, match="no galaxy of 7 is left"):
        select_bgs(catalogue, mag_r_max=10)
    with pytest.raises(DataError, match="expected 0 < low < high"):
        select_bgs(catalogue, radius_arcsec=(9.6, 6.4))


def test_a_good_row_is_no_copy_of_one_that_was_cut(catalogue):
    catalogue.loc[0, "mag_r"] = np.nan  # galaxy 1 stands again in the last row
    found = select_bgs(catalogue)
    assert found.galaxies["id"].tolist() == ["2", "1"]
    assert found.galaxies["mag_r"].tolist() == [19.5, 17.0]
    assert list(found.removed.values()) == [2, 1, 1, 1, 0]


def test_query_has_the_papers_limits():
    query = bgs_query()
    assert "BETWEEN 6.4 AND 9.6" in query and "dered_flux_r > 15.8489" in query


def test_spirals_and_others_by_votes():
    votes = pd.DataFrame(
        {
            "id": list("abcd"),
            "smooth-or-featured_featured-or-disk_fraction": [0.9, 0.9, 0.1, 0.5],
            "smooth-or-featured_smooth_fraction": [0.1, 0.1, 0.9, 0.5],
            "disk-edge-on_no_fraction": [0.9, 0.1, 0.5, 0.9],
            "disk-edge-on_yes_fraction": [0.1, 0.9, 0.5, 0.1],
            "has-spiral-arms_yes_fraction": [0.9, np.nan, np.nan, 0.9],
        }
    )
    found = select_decals(votes)
    assert found.galaxies["label"].tolist() == ["face_on_spiral", "other", "other"]
    assert sum(found.removed.values()) == 1
    with pytest.raises(DataError, match="has-spiral-arms"):
        select_decals(votes.iloc[:, :5])


def test_the_script_writes_positions_that_can_be_fetched(catalogue, tmp_path):
    table, positions = tmp_path / "answer.csv", tmp_path / "positions.csv"
    catalogue.assign(bar_no_fraction=0.2).to_csv(table, index=False)
    removed = select_pool("bright", table, positions)
    assert sum(removed.values()) == 5
    rows, rejections = read_positions(positions)
    assert rows["id"].tolist() == ["1", "2"] and rejections == []
    assert rows["bar_no_fraction"].tolist() == [0.2, 0.2]  # votes go along
