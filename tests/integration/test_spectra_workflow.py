"""Chapters beside the images in miniature: spectra, alignment, pairs with images, WISE."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from galaxy_lvm.align.pairs import read_pairs
from galaxy_lvm.core.config.spectra import SpectrumNoise
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.report.results import read_results
from galaxy_lvm.spectra.simulate import simulate_stars
from galaxy_lvm.spectra.store import SpectrumStore
from galaxy_lvm.survey.rejected import read_rejected
from galaxy_lvm.survey.store import CutoutStore
from pages import files_told, not_there, not_told

ROOT = Path(__file__).parents[2]
PAIRS = "spectra/pairs_galaxies_b.h5"
pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder in which the targets ended."""
    tmp_path = tmp_path_factory.mktemp("chapters")
    flux, error, table = simulate_stars(60, "xp", SpectrumNoise(extinction_mean_mag=0), 1)
    flux[3] = 0
    labels = {name: table[name].to_numpy() for name in ("teff", "logg", "fe_h")}
    np.savez(
        tmp_path / "mine.npz",
        flux=flux,
        flux_error=error,
        wave_nm=np.arange(336.0, 1021.0, 2.0),
        source_id=np.arange(60) + 4545469030156206080,
        **labels,
    )
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "--cores", "1"]
    command += ["--configfile", str(ROOT / "config" / "test.yaml")]
    command += ["--config", f"spectra={{source: files, files: {{path: {tmp_path / 'mine.npz'}}}}}"]
    command += ["align={experiments: [ends]}", "wise={n_seeds: 1}"]
    # What aligns and searches pairs of galaxies is what does so for stars: their files are enough.
    targets = ["spectra", "align", *(f"results/test/{n}" for n in ("figures/wise.pdf", PAIRS))]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [*command, "--", *targets],
        capture_output=True, text=True, env={**os.environ, "PATH": path}, check=False, cwd=ROOT,
    )  # fmt: skip
    assert result.returncode == 0, (result.stdout + result.stderr)[-6000:]
    return tmp_path


def told_by(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_spectra_of_a_user_become_parameters_with_a_verdict(finished):
    run, page = finished / "results" / "test", told_by("outputs.md")
    told = [
        name for each in ("outputs.md", "wise.md", "joint.md") for name in files_told(told_by(each))
    ]
    assert not_told(run, told) == []
    assert not_there(run, files_told(page.partition("\n## Spectra\n")[2])) == []
    rejected = read_rejected(run / "spectra" / "rejected_spectra.csv")
    assert list(rejected["id"]) == ["4545469030156206083"]
    results = read_results(run / "metrics" / "spectra.csv")
    assert set(results["model"]) == {"mean", "ridge", "neighbours", "quadratic", "transformer"}
    assert set(results["condition"]) == {"train=33"}
    for member in (0, 1):
        card = json.loads((run / "models" / "spectra" / f"transformer_{member}.json").read_text())
        assert card["n_train"] == 33 and card["member"] == member
    logged = (finished / "logs" / "test" / "estimate_stellar_parameters.log").read_text()
    assert "2 members; factors of the standard deviations: teff" in logged
    found = read_results(
        [run / "metrics" / f"{name}_ends.csv" for name in ("search", "translation")]
    )
    assert set(found["model"]) == {
        "mean", "cca", "cca_gaussian", "components", "quadratic", "aligned"
    }  # fmt: skip
    assert json.loads((run / "models" / "align" / "ends.json").read_text())["n_train"] == 33
    views = "stellar_parameters.pdf", "stellar_parameters_claims.csv"
    for name in (f"figures/{views[0]}", f"tables/{views[1]}", "figures/alignment.pdf"):
        assert (run / name).exists(), name


def test_galaxies_have_an_image_and_a_spectrum_of_one_mixture(finished):
    run = finished / "results" / "test"
    pairs = read_pairs((run / "spectra" / "pairs_galaxies_a.h5", run / PAIRS))
    images = FeatureStore.open(run / "features" / "populations" / "lvm_frozen_released.npy")
    assert len(pairs) == 40 and set(pairs.split) == {"train", "val", "test"}
    assert np.array_equal(pairs.a.flux, images.take(pairs.ids))
    with SpectrumStore(run / PAIRS) as store:
        table, samples = store.catalogue().set_index("id"), store.wavelength
    with CutoutStore(run / "data" / "populations" / "cutouts.h5") as store:
        truth = store.catalogue().set_index("id").loc[pairs.ids]
    assert np.array_equal(table.loc[pairs.ids, "redshift"], truth["redshift"])
    # The spectrum is as red as the image: r to g at the middles of the bands, in nanomaggies.
    near = [np.abs(samples / middle - 1) < 0.08 for middle in (6420, 4730)]
    at_r, at_g = (pairs.b.flux[:, some].mean(axis=1) for some in near)
    red = np.corrcoef(np.log(at_r / at_g), np.log(truth["flux_r"] / truth["flux_g"]))[0, 1]
    assert red > 0.9


def test_sources_in_wise_become_classes_with_a_verdict(finished):
    run = finished / "results" / "test"
    results = read_results(run / "metrics" / "wise_50mmag.csv")
    assert set(results["model"]) == {"quadratic", "boosting", "compact"}
    asked = results.query("condition == 'all' and metric == 'n_test'")["value"]
    predictions = load_table(run / "predictions" / "wise_50mmag.parquet")
    per_model = predictions.groupby("model")["id"].nunique()
    assert set(per_model) == set(asked) == {48}
    accuracy = results.query("condition == 'all' and metric == 'accuracy'").set_index("model")
    right = (predictions["label"] == predictions["predicted"]).groupby(predictions["model"]).mean()
    assert dict(accuracy["value"]) == pytest.approx(dict(right))
    # Photometry of bright stars, galaxies and quasars tells them apart; guessing finds a third.
    assert accuracy.loc["quadratic", "value"] > 0.6
    verdicts = load_table(run / "tables" / "wise_claims.csv")
    assert list(verdicts["verdict"].str.startswith("one training only")) == [True, True]
