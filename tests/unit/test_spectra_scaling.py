"""Error against the number of training spectra: the law, its intervals, the chapter's scripts."""

import numpy as np
import pandas as pd
import plot_scaling
import pretrain_spectra
import pytest
import scale_training
import score_scaling
import simulate_spectra
from galaxy_lvm.core.config.spectra import (
    Finetuning,
    Scaling,
    SimulatedSpectra,
    SpectrumMethods,
    SpectrumOptim,
    SpectrumPretraining,
    TransformerShape,
)
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.report.results import read_results
from galaxy_lvm.spectra.scaling import PowerLaw, first_stars, fit_power_law, scaling_rows
from galaxy_lvm.spectra.stars import read_stars, split_stars

N_STARS = np.array([100, 200, 400, 800, 1600, 3200])
SHAPE = TransformerShape(patch_pix=35, width=16, depth=1, n_heads=2, n_components=8)
OPTIM = SpectrumOptim(steps=3, learning_rate=0.005, precision="float32")
NOISE = SimulatedSpectra(n_stars=120, extinction_mean_mag=0)
METHODS = SpectrumMethods(n_components=8, finetune=Finetuning(batch_size=16, optim=OPTIM))
SCALING = Scaling(n_stars=(12, 20, 30, 50), steps=3, n_resamples=20)


@pytest.mark.parametrize(
    "law", [PowerLaw(3000.0, 0.5, 40.0), PowerLaw(2.0, 0.3, 0.0), PowerLaw(500.0, 1.2, 100.0)]
)
def test_a_law_is_found_in_its_own_points(law):
    found = fit_power_law(N_STARS, law.at(N_STARS))
    assert found.exponent == pytest.approx(law.exponent, rel=2e-3)
    assert found.amplitude == pytest.approx(law.amplitude, rel=1e-2)
    assert found.floor == pytest.approx(law.floor, rel=1e-2, abs=1e-3 * law.at(3200))


def test_two_points_are_no_law():
    with pytest.raises(DataError, match="2 points say nothing"):
        fit_power_law([10, 20], [2.0, 1.0])


def made_up(seed, law, n_test=300):
    """Absolute errors of test stars whose means follow a law; a star is hard for all networks."""
    rng = np.random.default_rng(seed)
    hard = rng.exponential(1.0, n_test)
    parts = [
        pd.DataFrame({"model": "ridge", "label": "teff", "id": [f"s{i}" for i in range(n_test)],
                      "true": 0.0, "predicted": hard * law.at(n) * rng.lognormal(0, 0.1, n_test),
                      "n_train": n})
        for n in N_STARS
    ]  # fmt: skip
    return pd.concat(parts)


def test_intervals_of_the_law_cover_it_as_often_as_they_say():
    """Over other test stars."""
    law, covered = PowerLaw(3000.0, 0.5, 40.0), []
    for seed in range(24):
        rows = scaling_rows(made_up(seed, law), Scaling(n_resamples=40), seed)
        found = {row["metric"]: row["value"] for row in rows if row["condition"] == "law"}
        covered.append(found["exponent_low95"] <= law.exponent <= found["exponent_high95"])
    assert (
        sum(covered) >= 19
    )  # 20 of 24 or more in 97 % of such tests at 90 %, as few resamples give


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaling")
    simulate_spectra.main(str(folder / "stars.h5"), "xp", NOISE, 1)
    settings = SpectrumPretraining(shape=SHAPE, batch_size=16, optim=OPTIM)
    pretrain_spectra.main(
        str(folder / "p.safetensors"), str(folder / "p.csv"), str(folder / "state"), 1, "xp", NOISE,
        settings, 1,
    )  # fmt: skip
    return folder


def test_smaller_sets_lie_in_larger_ones_and_other_stars_stay(stars):
    everything = split_stars(read_stars(stars / "stars.h5", METHODS.labels), METHODS, 1)
    small, large = (first_stars(everything, n, 1) for n in (12, 30))
    assert len(small.train) == 12 and set(small.train.ids) < set(large.train.ids)
    assert small.test is everything.test and small.val is everything.val
    other = first_stars(everything, 12, 2)
    assert set(other.train.ids) != set(small.train.ids)
    with pytest.raises(DataError, match=r"scaling.n_stars: 5000 of \d+ training stars"):
        first_stars(everything, 5000, 1)


def test_networks_of_all_sizes_are_asked_beside_the_floors(stars):
    paths = {"pretrained": [], "scratch": []}
    for start, own in paths.items():
        given = str(stars / "p.safetensors") if start == "pretrained" else None
        for n_stars in SCALING.n_stars:
            own.append(str(stars / f"{start}_{n_stars}.safetensors"))
            scale_training.main(
                str(stars / "stars.h5"), given, own[-1], str(stars / f"{start}_{n_stars}.csv"),
                str(stars / "state"), 1, METHODS, SCALING, SHAPE, n_stars, 1,
            )  # fmt: skip
    metrics, predictions = str(stars / "m.csv"), str(stars / "p.parquet")
    score_scaling.main(str(stars / "stars.h5"), paths, metrics, predictions, METHODS, SCALING, 1)
    table = load_table(predictions)
    models = {"ridge", "neighbours", "quadratic", "transformer", "transformer_scratch"}
    assert set(table["model"]) == models and set(table["n_train"]) == set(SCALING.n_stars)
    asked = table.groupby(["model", "label", "n_train"])["id"].agg(list)
    assert len({tuple(ids) for ids in asked}) == 1
    plot_scaling.main(metrics, str(stars / "f.pdf"), str(stars / "t.csv"))
    rows = load_table(stars / "t.csv")
    assert len(rows) == len(models) * table["label"].nunique()
    errors = read_results(metrics).query("metric == 'mae' and model == 'ridge' and task == 'teff'")
    own = rows[(rows["model"] == "ridge") & (rows["label"] == "teff")].iloc[0]
    assert errors["value"].tolist() == [float(own[f"mae_{n}"]) for n in SCALING.n_stars]
    assert (stars / "f.png").stat().st_size > 10_000
