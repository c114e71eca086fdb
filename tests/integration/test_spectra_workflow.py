"""The targets spectra and align in miniature, on files of a user's: every rule but one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from galaxy_lvm.core.config.spectra import SpectrumNoise
from galaxy_lvm.report.results import read_results
from galaxy_lvm.spectra.simulate import simulate_stars
from galaxy_lvm.survey.rejected import read_rejected
from pages import files_told, not_there, not_told

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.workflow


def test_spectra_of_a_user_become_parameters_with_a_verdict(tmp_path):
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
    command += ["align={experiments: [ends]}"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [*command, "--", "spectra", "align"],
        capture_output=True, text=True, env={**os.environ, "PATH": path}, check=False, cwd=ROOT,
    )  # fmt: skip
    assert result.returncode == 0, (result.stdout + result.stderr)[-6000:]
    run = tmp_path / "results" / "test"
    page = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    assert not_told(run, files_told(page)) == []
    assert not_there(run, files_told(page.partition("\n## Spectra\n")[2])) == []
    rejected = read_rejected(run / "spectra" / "rejected_spectra.csv")
    assert list(rejected["id"]) == ["4545469030156206083"]
    results = read_results(run / "metrics" / "spectra.csv")
    assert set(results["model"]) == {"mean", "ridge", "neighbours", "quadratic", "transformer"}
    assert set(results["condition"]) == {"train=33"}
    for member in (0, 1):
        card = json.loads((run / "models" / "spectra" / f"transformer_{member}.json").read_text())
        assert card["n_train"] == 33 and card["member"] == member
    logged = (tmp_path / "logs" / "test" / "estimate_stellar_parameters.log").read_text()
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
