"""Regression on features: scores mean what they say, and bad columns are skipped with a reason."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.extensions import Parameter
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.parameter_figures import draw_parameters
from galaxy_lvm.features.parameters import (
    Inputs,
    fit_parameter,
    residual_scores,
    residuals,
    scaled_values,
    scores_with_intervals,
    usable_values,
)
from galaxy_lvm.features.ridge import Regressions
from galaxy_lvm.features.space import FeatureSpace
from galaxy_lvm.features.store import write_features
from galaxy_lvm.features.tables import parameters_html, parameters_table
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import plt
from galaxy_lvm.survey.store import CutoutWriter

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import estimate_parameters  # noqa: E402

N = 300
SPLIT = np.repeat(["train", "val", "test"], [180, 40, 80])


@pytest.fixture
def galaxies():
    """Return features that know a shape but no size, and boxes that know the size."""
    rng = np.random.default_rng(0)
    shape, size = rng.uniform(0.1, 1, N), rng.uniform(0.3, 1.3, N)
    mixing = rng.normal(size=(2, 12))
    features = np.column_stack([shape, rng.normal(size=N)]) @ mixing
    box = np.round(30 * 10**size * rng.normal(1, 0.02, N))
    return features.astype(np.float32), box, shape, size


def test_scores_of_known_residuals():
    residual = np.concatenate([np.full(49, 0.1), [-0.1, 0.3], np.full(49, 0.1)])
    assert residual_scores(residual)["bias"] == pytest.approx(0.1)
    normal = np.random.default_rng(1).normal(0.2, 0.5, 200_000)
    scores = residual_scores(normal)
    assert scores["bias"] == pytest.approx(0.2, abs=0.01)
    assert scores["sigma_nmad"] == pytest.approx(0.5, abs=0.01)
    assert scores["rms"] == pytest.approx(np.hypot(0.2, 0.5), abs=0.01)
    assert scores["outlier_fraction"] == pytest.approx(0.0027, abs=0.001)
    assert residual_scores(np.array([0.0, 0.1, 0.2, -0.3]), 0.15)["outlier_fraction"] == 0.5


def test_intervals_hold_the_value_and_shrink_with_more_galaxies():
    rng = np.random.default_rng(2)
    few = scores_with_intervals(rng.normal(size=50), None, 1)
    many = scores_with_intervals(rng.normal(size=5000), None, 1)
    for scores in (few, many):
        assert scores["sigma_nmad_low95"] < scores["sigma_nmad"] < scores["sigma_nmad_high95"]
    width = [s["sigma_nmad_high95"] - s["sigma_nmad_low95"] for s in (few, many)]
    assert width[1] < 0.3 * width[0]


def test_redshift_residuals_are_over_one_plus_z_and_sizes_in_dex():
    redshift = Parameter(column="redshift", scale="one_plus")
    assert residuals(redshift, np.array([1.0]), np.array([1.2])) == pytest.approx(0.1)
    size = Parameter(column="radius", scale="log10")
    scaled = scaled_values(size, np.array([10.0, 0.0, -1.0, np.inf, np.nan]))
    assert scaled[0] == 1 and np.isnan(scaled[1:]).all()


def test_the_box_brings_back_the_size_that_crops_do_not_show(galaxies):
    features, box, shape, size = galaxies
    inputs = Inputs(features, box, SPLIT == "train", 1)
    test = SPLIT == "test"
    error = {}
    for target, name in ((shape, "shape"), (size, "size")):
        for kind in ("box", "features", "features+box"):
            regressions = inputs.regressions(kind)
            fitted = fit_parameter(regressions, target, SPLIT, Parameter(column=name))
            found = fitted(inputs(kind))
            error[name, kind] = np.std(found[test] - target[test]) / np.std(target[test])
    assert error["shape", "features"] < 0.1 and error["shape", "box"] > 0.8
    assert error["size", "features"] > 0.8
    assert error["size", "features+box"] < 0.3


def test_nothing_of_the_test_split_reaches_the_fit(galaxies):
    features, box, shape, _ = galaxies
    inputs = Inputs(features, box, SPLIT == "train", 1)("features")
    first = fit_parameter(Regressions(inputs, 1), shape, SPLIT, Parameter(column="shape"))(inputs)
    spoilt = np.where(SPLIT == "test", 99.0, shape)
    second = fit_parameter(Regressions(inputs, 1), spoilt, SPLIT, Parameter(column="shape"))(inputs)
    np.testing.assert_array_equal(first, second)


def test_a_regression_does_not_depend_on_what_was_fitted_before_it(galaxies):
    """Decompositions are kept: for the galaxies whose value is known, and for no others."""
    features, box, shape, size = galaxies
    inputs = Inputs(features, box, SPLIT == "train", 1)
    gaps = np.where(np.arange(N) % 3 == 0, np.nan, size)
    shared = inputs.regressions("features+box")
    parameter = Parameter(column="any")
    for target in (shape, gaps, size, shape):
        alone = fit_parameter(Regressions(shared.inputs, 1), target, SPLIT, parameter)
        found = fit_parameter(shared, target, SPLIT, parameter)
        assert found.choice == alone.choice
        np.testing.assert_array_equal(found(shared.inputs), alone(shared.inputs))


def test_columns_that_cannot_be_used_say_why():
    table = pd.DataFrame({"text": ["a"] * N, "empty": np.nan, "flag": [True] * N})
    for column, reason in (("none", "no such"), ("text", "numeric"), ("flag", "numeric")):
        values, found = usable_values(Parameter(column=column), table, SPLIT)
        assert values is None and reason in found
    assert (
        "0 usable values in split train"
        in usable_values(Parameter(column="empty"), table, SPLIT)[1]
    )


def test_a_feature_space_is_standard_white_or_of_unit_length():
    rng = np.random.default_rng(3)
    values = rng.normal(5, [1, 10, 100, 0], (400, 4)).astype(np.float32)
    plain = FeatureSpace(values)(values)
    assert plain[:, :3].std(axis=0) == pytest.approx(1, abs=1e-3)
    assert (plain[:, 3] == 0).all()  # a constant dimension stays harmless
    white = FeatureSpace(values, 10, whiten=True)(values)
    assert white.shape == (400, 3)  # the direction without variance is left out
    assert np.cov(white.T) == pytest.approx(np.eye(3), abs=1e-2)
    unit = FeatureSpace(values, unit=True)(values)
    assert np.linalg.norm(unit, axis=1) == pytest.approx(1, abs=1e-4)
    with pytest.raises(DataError, match="two finite vectors"):
        FeatureSpace(np.full((3, 2), np.nan))


def _dataset(folder, galaxies):
    features, box, shape, size = galaxies
    ids = [f"g{i}" for i in range(N)]
    label = np.where(shape > 0.5, "elliptical", "edge_on")
    with CutoutWriter(folder / "cutouts.h5", rgb=True, height_pix=32, width_pix=32) as writer:
        columns = {"id": ids, "axis_ratio": shape, "radius": 10**size, "word": label}
        writer.append(np.zeros((N, 32, 32, 3), np.uint8), columns)
    with h5py.File(folder / "crops.h5", "w") as file:
        file["images"] = np.zeros((N, 8, 8, 3), np.uint8)
        file["id"], file["cutout_index"] = ids, np.arange(N)
        file["box"] = np.column_stack([np.zeros((N, 2)), box, box]).astype(np.int32)
    table = pd.DataFrame({"index": range(N), "id": ids, "split": SPLIT, "label": label})
    table.to_parquet(folder / "splits.parquet")
    write_features(folder / "lvm.npy", features, ids, range(N))


def test_the_job_writes_scores_predictions_and_notes(tmp_path, galaxies):
    _dataset(tmp_path, galaxies)
    wanted = [Parameter(column="radius", scale="log10"), Parameter(column="axis_ratio")]
    wanted += [Parameter(column="word"), Parameter(column="redshift", scale="one_plus")]
    names = ("lvm.npy", "crops.h5", "cutouts.h5", "splits.parquet", "m.csv", "p.parquet")
    estimate_parameters.main(*(str(tmp_path / n) for n in names), wanted, 10_000, seed=1)
    scales = {entry.column: entry.scale for entry in wanted}
    table = parameters_table(read_results(tmp_path / "m.csv"), scales)
    notes = table[table["note"] != ""].set_index("parameter")["note"]
    assert "numeric" in notes["word"] and "no such column" in notes["redshift"]
    sigma = table[table["note"] == ""].set_index(["parameter", "inputs"])["sigma_nmad"]
    assert sigma["radius", "features+box"] < 0.3 * sigma["radius", "features"]
    assert sigma["axis_ratio", "features"] < 0.2 * sigma["axis_ratio", "constant"]
    predictions = pd.read_parquet(tmp_path / "p.parquet")
    assert set(predictions["id"]) == {f"g{i}" for i in np.flatnonzero(SPLIT == "test")}
    page = parameters_html(table)
    assert "no such column in the catalogue" in page and "dex" in page
    figure = draw_parameters(table, predictions)
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == ["radius", "Axis ratio", "RMS over that of the median"]
    plt.close("all")


def test_a_catalogue_without_any_column_is_no_crash(tmp_path, galaxies):
    _dataset(tmp_path, galaxies)
    names = ("lvm.npy", "crops.h5", "cutouts.h5", "splits.parquet", "m.csv", "p.parquet")
    wanted = [Parameter(column="redshift")]
    estimate_parameters.main(*(str(tmp_path / n) for n in names), wanted, 10_000, seed=1)
    table = parameters_table(read_results(tmp_path / "m.csv"), {"redshift": "linear"})
    assert len(table) == 1 and table["note"].iloc[0]
    assert parameters_html(table)
    figure = draw_parameters(table, pd.read_parquet(tmp_path / "p.parquet"))
    assert "No parameter" in figure.axes[0].texts[0].get_text()
    plt.close("all")
