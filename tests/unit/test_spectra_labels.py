"""Labels by name: abundances of single elements, values that no star has, a head that grows."""

import logging
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config.spectra import (
    Finetuning,
    SimulatedSpectra,
    SpectrumLabel,
    SpectrumMethods,
    SpectrumOptim,
    SpectrumPretraining,
    TransformerShape,
)
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.spectra.emulator import emulator
from galaxy_lvm.spectra.figures import draw_parameters
from galaxy_lvm.spectra.labels import BASIC, LABELS, NAMES
from galaxy_lvm.spectra.networks import architecture, build, load_network
from galaxy_lvm.spectra.simulate import simulate_stars
from galaxy_lvm.spectra.stars import read_stars
from galaxy_lvm.spectra.store import write_spectra
from galaxy_lvm.spectra.train import pretrain
from galaxy_lvm.training.job import JobFiles

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import estimate_stellar_parameters  # noqa: E402
import finetune_spectra  # noqa: E402
import plot_stellar_parameters  # noqa: E402

NOISE = SimulatedSpectra(n_stars=200, extinction_mean_mag=0)
SHAPE = TransformerShape(patch_pix=49, width=16, depth=1, n_heads=2, n_components=10)


def optim(steps):
    return SpectrumOptim(steps=steps, learning_rate=0.005)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Simulated stars whose [Mg/Fe] follows from Teff; two are marked as unknown."""
    flux, error, table = simulate_stars(NOISE.n_stars, "xp", NOISE, 3)
    mg_fe = 0.2 * (table["teff"] - 5000) / 1000
    mg_fe[[5, 6]] = -9999.0
    path = tmp_path_factory.mktemp("labels") / "stars.h5"
    write_spectra(path, emulator("xp").wavelength, flux, error, table.assign(mg_fe=mg_fe), {})
    return path


def test_the_config_names_the_labels_that_there_are():
    assert get_args(SpectrumLabel) == tuple(LABELS)
    assert len(LABELS) == len(BASIC) + 20


def test_values_that_no_star_has_count_as_missing(store, caplog):
    with caplog.at_level(logging.WARNING, "galaxy_lvm"):
        stars = read_stars(store, ("teff", "mg_fe"))
    assert len(stars) == NOISE.n_stars - 2 and stars.labels[:, 1].min() > -4
    assert "mg_fe of 2 spectra is beyond -4 to 4 dex, the first -9999" in caplog.text


def test_a_column_without_a_single_value_of_a_star_is_refused(tmp_path, store):
    flux, error, table = simulate_stars(12, "xp", NOISE, 3)
    path = tmp_path / "stars.h5"
    write_spectra(path, emulator("xp").wavelength, flux, error, table.assign(ni_fe=99.0), {})
    with pytest.raises(DataError, match="no star has all of the labels teff, ni_fe"):
        read_stars(path, ("teff", "ni_fe"))


def test_a_wider_head_keeps_what_it_said_before():
    torch.manual_seed(0)
    module, flux = build(architecture(SHAPE, 343)), np.random.default_rng(0).random((3, 343))
    flux = flux.astype(np.float32)
    before = module.estimate(flux)
    module.add_labels(("fe_h", "mg_fe", "ni_fe"))
    assert module.labels == (*BASIC, "mg_fe", "ni_fe") == module.about.labels
    for old, new in zip(before, module.estimate(flux), strict=True):
        assert new.shape == (3, 6) and np.allclose(new[:, :4], old, rtol=1e-5)
    assert module.columns(("mg_fe", "teff")) == [4, 0]


def test_an_abundance_goes_from_the_table_to_the_figure(store, tmp_path):
    def files(name):
        return [str(tmp_path / f"{name}{end}") for end in (".safetensors", ".csv")]

    weights, history = files("first")
    settings = SpectrumPretraining(shape=SHAPE, batch_size=32, optim=optim(10))
    pretrain("xp", NOISE, settings, 1, JobFiles(tmp_path / "state", 1, weights, history))
    methods = SpectrumMethods(
        labels=("teff", "mg_fe"),
        n_components=5,
        finetune=Finetuning(n_members=1, batch_size=32, optim=optim(40)),
    )
    member, record = files("member")
    finetune_spectra.main(
        store, weights, member, record, str(tmp_path / "state"), 1, methods, member=0, seed=1
    )
    assert load_network(member).labels == (*BASIC, "mg_fe")
    out = [str(tmp_path / name) for name in ("spectra.csv", "spectra.parquet")]
    estimate_stellar_parameters.main(store, [member], *out, settings=methods, seed=1)
    found = load_table(out[1]).query("label == 'mg_fe'").assign(
        error=lambda t: (t["predicted"] - t["true"]).abs()
    )  # fmt: skip
    errors = found.groupby("model")["error"].mean()
    assert errors["transformer"] < 0.8 * errors["mean"]
    drawn = [str(tmp_path / name) for name in ("figure.pdf", "table.csv", "claims.csv")]
    plot_stellar_parameters.main(*out, *drawn)
    assert set(pd.read_csv(drawn[1])["label"]) == {"teff", "mg_fe"}
    assert "[Mg/Fe] [dex]" in (tmp_path / "table.html").read_text()


@pytest.mark.parametrize(("n_labels", "columns"), [(2, 1), (3, 3), (4, 2), (5, 1)])
def test_the_errors_have_the_rest_of_the_last_row(n_labels, columns):
    labels = list(NAMES)[:n_labels]
    table = pd.DataFrame(
        [(label, model, mae) for label in labels for model, mae in (("mean", 2.0), ("ridge", 1.0))],
        columns=["label", "model", "mae"],
    ).assign(mae_low95=0.9, mae_high95=2.1, bias=0.0)
    predictions = pd.DataFrame({"label": labels, "model": "ridge", "true": 1.0, "predicted": 1.2})
    figure = draw_parameters(table, predictions)
    *panels, errors = figure.axes
    assert len(panels) == n_labels
    place = errors.get_subplotspec()
    assert len(place.colspan) == columns and place.is_last_row() and place.is_last_col()
    assert {panel.get_subplotspec().num1 for panel in panels} == set(range(n_labels))
    assert [bar.get_height() for bar in errors.patches] == [0.5] * n_labels
