"""Classes by votes along a path of questions, and by conditions."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config import check_config
from galaxy_lvm.core.config.schemes import NamedScheme, own_schemes
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.survey.classes import labels_from_columns

OWN = own_schemes()


def scheme(*rules):
    return NamedScheme(name="mine", rules=rules)


def zoo(name, **fractions):
    """Return one galaxy with these fractions, found by a part of the column's name; 0 elsewhere."""
    steps = [answer for rule in OWN[name] for answer in rule.path]
    columns = {column: 0.0 for answer in steps for column in answer.columns}
    for part, value in fractions.items():
        fitting = [column for column in columns if part in column]
        assert len(fitting) == 1, (part, fitting)
        columns[fitting[0]] = value
    return pd.DataFrame({"id": ["a"], **{k: [v] for k, v in columns.items()}})


def label(name, **fractions):
    own = NamedScheme(name=name, rules=OWN[name])
    return labels_from_columns(zoo(name, **fractions), own)[0]


# Every galaxy has a twin just on the other side of one half.
@pytest.mark.parametrize(
    ("fractions", "expected"),
    [
        ({"a01_smooth": 0.51}, "elliptical"),
        ({"a02": 0.9, "a04": 0.6}, "edge_on"),
        ({"a02": 0.8, "a04": 0.25, "a08": 0.85}, "spiral"),  # 0.8 * 0.75 * 0.85 = 0.51
        ({"a02": 0.9, "a04": 0.1, "a08": 0.9, "a01_smooth": 0.6}, "spiral"),  # 0.73 above 0.6
        ({"a14": 0.9, "a24": 0.3, "a22": 0.2, "a21": 0.1}, "other"),  # 0.9 * 0.6
        ({"a14": 0.9, "a24": 0.7, "a01_smooth": 0.6}, "other"),
    ],
)
def test_galaxy_zoo_2_takes_what_most_said(fractions, expected):
    assert label("galaxy_zoo_2", **fractions) == expected


@pytest.mark.parametrize(
    "fractions",
    [
        {"a01_smooth": 0.5},
        {"a02": 0.6, "a04": 0.8},  # 0.48: most of those asked, but a minority of all
        {"a02": 0.8, "a04": 0.3, "a08": 0.85},
        {"a14": 0.8, "a24": 0.6},
        {"a14": 1.0},  # odd, but a ring or a dust lane
    ],
)
def test_galaxy_zoo_2_leaves_minorities_without_a_class(fractions):
    table = pd.concat([zoo("galaxy_zoo_2", **fractions), zoo("galaxy_zoo_2", a01_smooth=1.0)])
    rules = NamedScheme(name="galaxy_zoo_2", rules=OWN["galaxy_zoo_2"])
    assert labels_from_columns(table.reset_index(drop=True), rules).tolist() == ["", "elliptical"]


@pytest.mark.parametrize(
    ("fractions", "expected"),
    [
        ({"featured-or-disk": 0.9, "disk-edge-on_yes": 0.6}, "edge_on"),
        ({"featured-or-disk": 0.9, "disk-edge-on_yes": 0.1, "has-spiral": 0.7}, "spiral"),
        ({"_smooth_": 0.9, "cigar": 0.6}, "smooth_cigar"),
    ],
)
def test_galaxy_zoo_decals_takes_what_most_said(fractions, expected):
    assert label("galaxy_zoo_decals", **fractions) == expected


TWO_PATHS = scheme(
    {"class": "ring", "path": [{"any_of": ["ring", "arc"]}], "above": 0.3},
    {"class": "plain", "path": [{"none_of": ["ring", "arc"]}, {"any_of": ["seen"]}]},
)


def votes(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"id": [f"g{i}" for i in range(n)], "row": range(2, n + 2), **columns})


def test_a_user_writes_paths_for_another_survey(caplog):
    table = votes(ring=[0.2, 0.1, 0.2, np.nan, 0.4], arc=[0.2, 0.0, 0.0, 0.9, 0.0],
                  seen=[0.5, 0.6, 0.6, 1.0, 1.0])  # fmt: skip
    # The fourth lacks a fraction; of the fifth 0.4 say ring and 0.6 plain: both exceed, most count.
    with caplog.at_level("INFO"):
        assert labels_from_columns(table, TWO_PATHS).tolist() == ["ring", "plain", "", "", "plain"]
    assert "2 galaxies are of no class, 0 of more than one" in caplog.text
    assert "1 of several by votes count as that of most" in caplog.text


def test_equal_shares_and_conditions_alone_are_not_weighed():
    both = scheme(
        {"class": "a", "path": [{"any_of": ["a"]}]},
        {"class": "b", "path": [{"any_of": ["b"]}]},
        {"class": "c", "where": [{"column": "c", "min": 1}]},
    )
    table = votes(a=[0.6, 0.6, 0.7], b=[0.6, 0.0, 0.6], c=[0, 1, 0])
    assert labels_from_columns(table, both).tolist() == ["", "", "a"]


def test_a_path_may_have_conditions_beside_it():
    bright = {"class": "a", "path": [{"any_of": ["a"]}], "where": [{"column": "mag", "max": 17}]}
    rules = scheme(bright, {"class": "b", "path": [{"none_of": ["a"]}]})
    table = votes(a=[0.9, 0.9, 0.1], mag=[16.0, 18.0, 18.0])
    assert labels_from_columns(table, rules).tolist() == ["a", "", "b"]


@pytest.mark.parametrize("value", [37.0, -0.2, "many"])
def test_what_is_no_fraction_is_refused_with_its_galaxy(value):
    table = votes(ring=[0.2, value], arc=[0.0, 0.0], seen=[1.0, 1.0])
    with pytest.raises(DataError, match=r"class_schemes\.mine: column 'ring' is .*'g1', row 3"):
        labels_from_columns(table, TWO_PATHS)


def test_a_missing_column_is_named_with_the_nearest():
    with pytest.raises(DataError, match=r"class_schemes\.mine: .*no column 'arc'.*nearest: arcs"):
        labels_from_columns(votes(ring=[0.1], arcs=[0.1], seen=[0.1]), TWO_PATHS)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, r"class 'a' needs path or where"),
        ({"path": [{"any_of": ["x"], "none_of": ["y"]}]}, "needs one of any_of and none_of"),
        ({"path": [{}]}, "needs one of any_of and none_of"),
        ({"path": []}, "path"),
        ({"where": [{"column": "x", "min": 1}], "above": 0.4}, "is the limit of a path"),
        ({"path": [{"any_of": ["x"]}], "above": 1}, "above"),
    ],
)
def test_rules_that_say_nothing_are_refused(rule, message):
    other = {"class": "b", "path": [{"any_of": ["y"]}]}
    config = {"run": "x", "datasets": {"galaxies": {"source": "mock"}}}
    config["class_schemes"] = {"mine": [{"class": "a", **rule}, other]}
    with pytest.raises(ConfigError, match=message):
        check_config(config)


LIMITS = NamedScheme(
    name="votes",
    rules=[
        {"class": "round", "where": [{"column": "smooth", "min": 0.6}]},
        {
            "class": "spiral",
            "where": [{"column": "smooth", "max": 0.4}, {"column": "arms", "min": 0.5}],
        },
        {"class": "odd", "where": [{"column": "odd", "min": 0.9}]},
    ],
)


def test_conditions_give_a_class_or_none():
    votes = pd.DataFrame(
        {
            "smooth": [0.6, 0.1, 0.1, 0.5, np.nan, 0.9],
            "arms": [0.9, 0.5, 0.4, 0.9, 0.9, 0.0],
            "odd": [0.0, 0.0, 0.0, 0.0, 0.0, 0.95],
        }
    )
    labels = labels_from_columns(votes, LIMITS)
    # The last one is round and odd: of two classes, hence of none.
    assert labels.tolist() == ["round", "spiral", "", "", "", ""]


def test_columns_that_are_not_there_are_named():
    with pytest.raises(DataError, match=r"no column 'arms'.*nearest: arm"):
        labels_from_columns(pd.DataFrame({"smooth": [1.0], "arm": [1.0]}), LIMITS)
    empty = pd.DataFrame({"smooth": [0.5], "arms": [0.0], "odd": [0.0]})
    with pytest.raises(DataError, match="no galaxy is of any class"):
        labels_from_columns(empty, LIMITS)


def test_the_simulated_truth_has_five_types():
    truth = pd.DataFrame(
        {
            "label": ["elliptical", "elliptical", "edge_on", "spiral", "other", "elliptical"],
            "axis_ratio": [0.9, 0.5, 0.1, 0.7, 0.6, 0.78],
        }
    )
    labels = labels_from_columns(truth, NamedScheme(name="simulated", rules=OWN["simulated"]))
    expected = ["smooth_round", "smooth_in_between", "edge_on", "spiral", "disturbed", ""]
    assert labels.tolist() == expected


SHARED = Path(
    os.environ.get("GALAXY_LVM_SHARED", Path(__file__).parents[2].parent / "shared" / "data")
)
REAL = SHARED / "galaxies" / "labels.csv"
SHORT_NAMES = {
    "a01": "p_smooth", "a02": "p_features", "a04": "p_edge_on", "a08": "p_spiral", "a14": "p_odd",
    "a21": "p_disturbed", "a22": "p_irregular", "a24": "p_merger",
}  # fmt: skip


@pytest.mark.skipif(
    not REAL.is_file(), reason="no real images: set GALAXY_LVM_SHARED to their folder"
)
def test_the_clean_labels_of_real_galaxies_follow_from_their_votes():
    table = pd.read_csv(REAL, dtype={"id": str})
    table = table[table["origin"] == "galaxy_zoo_2"].reset_index(drop=True)
    rules = NamedScheme(name="galaxy_zoo_2", rules=OWN["galaxy_zoo_2"])
    for column in zoo("galaxy_zoo_2").columns[1:]:
        short = next(name for part, name in SHORT_NAMES.items() if f"_{part}_" in column)
        table[column] = table[short]
    found = labels_from_columns(table, rules)
    assert len(table) == 1000
    assert (found == table["label_clean"].fillna("")).all()


def clean(**fractions):
    """Return the label of a galaxy with these fractions; 0 elsewhere; "" for no class."""
    rules = OWN["galaxy_zoo_2_clean"]
    columns = {condition.column: 0.0 for rule in rules for condition in rule.where}
    sure = {**columns, **dict.fromkeys(columns, 0.0)}
    for part, value in fractions.items():
        (column,) = [name for name in columns if part in name]
        columns[column] = value
    smooth, round_ = [name for name in sure if "a01" in name or "a16" in name]
    table = pd.DataFrame([columns, {**sure, smooth: 1.0, round_: 1.0}])
    rules = NamedScheme(name="galaxy_zoo_2_clean", rules=rules)
    labels = labels_from_columns(table, rules)
    assert labels[1] == "smooth_round"
    return labels[0]


# Limits of Willett et al. 2013, table 3; each galaxy has a twin just below one of them.
@pytest.mark.parametrize(
    ("fractions", "below", "expected"),
    [
        ({"a01": 0.469, "a16": 0.5}, {"a01": 0.468}, "smooth_round"),
        ({"a01": 0.469, "a16": 0.5}, {"a16": 0.499}, "smooth_round"),
        ({"a01": 0.7, "a17": 0.5}, {"a17": 0.49}, "smooth_in_between"),
        ({"a01": 0.7, "a18": 0.5}, {"a01": 0.46}, "smooth_cigar"),
        ({"a02": 0.43, "a04": 0.602}, {"a02": 0.429}, "edge_on"),
        ({"a02": 0.9, "a04": 0.602}, {"a04": 0.601}, "edge_on"),
        ({"a02": 0.43, "a05": 0.715, "a08": 0.619}, {"a05": 0.714}, "spiral"),
        ({"a02": 0.43, "a05": 0.715, "a08": 0.619}, {"a08": 0.618}, "spiral"),
        ({"a02": 0.43, "a05": 0.715, "a08": 0.619}, {"a02": 0.42}, "spiral"),
        # What those off the path say does not count: smooth galaxies have no arms.
        ({"a01": 0.9, "a16": 0.9, "a08": 0.9}, {"a16": 0.1}, "smooth_round"),
    ],
)
def test_clean_samples_ask_a_limit_at_every_question(fractions, below, expected):
    assert clean(**fractions) == expected
    assert clean(**{**fractions, **below}) == ""


def test_a_galaxy_of_two_clean_samples_is_of_none():
    assert clean(a01=0.5, a02=0.48, a16=0.6, a04=0.7) == ""
    assert clean(a01=0.5, a16=0.5, a17=0.5) == ""
    assert clean(a01=float("nan"), a16=1.0) == ""


def test_the_first_campaigns_of_decals_call_round_completely():
    columns = [a.columns for r in OWN["galaxy_zoo_decals_1_and_2"] for a in r.path]
    assert ("how-rounded_completely_fraction",) in columns
    assert (
        label("galaxy_zoo_decals_1_and_2", **{"_smooth_": 0.9, "completely": 0.6}) == "smooth_round"
    )
