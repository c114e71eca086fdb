"""A download that is disturbed in every way ends as one that is not."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cutout_server import as_fits, flux_at, quick_service, served, table_of
from download_cutouts import main as download
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.survey.journal import states
from galaxy_lvm.survey.store import CutoutStore

survey = pytest.fixture(served)

FAULTS = {  # share of the positions, and what the service does before it serves one
    "error": (0.05, lambda ra: 500),
    "dropped": (0.05, lambda ra: None),
    "cut": (0.03, lambda ra: as_fits(flux_at(ra, 1.5), ra, 1.5)[:3000]),
    "page": (0.02, lambda ra: b"<html>busy</html>"),
    "pause": (0.02, lambda ra: (429, {"Retry-After": "0"})),
    "elsewhere": (0.01, lambda ra: as_fits(flux_at(ra, 1.5), ra, 1.6)),
}

NOTHING = {"size": lambda ra: flux_at(ra, 1.5, 8), "outside": lambda ra: np.zeros((3, 16, 16))}


def with_faults(n):
    """Return answers of positions 0 to n - 1: faults that pass, and what never becomes good."""
    order = np.random.default_rng(0).permutation(n).tolist()
    answers, refused = {}, []
    for share, fault in FAULTS.values():
        for _ in range(round(share * n)):
            ra = float(order.pop())
            answers[ra] = [fault(ra)]
    for nothing in NOTHING.values():
        for _ in range(n // 100):
            ra = float(order.pop())
            answers[ra] = [nothing(ra)] * 9
            refused.append(ra)
    return answers, refused


def test_a_download_with_faults_kills_and_a_full_disk_comes_out_as_an_undisturbed_one(
    survey, tmp_path
):
    n, workers, kills = 200, 2, (25, 60, 95, 130, 165)
    table = table_of(tmp_path, [f"g{ra},{ra},1.5" for ra in range(n)], "id,ra,dec")
    answers, refused = with_faults(n)
    survey.answers = {ra: list(answers[ra]) for ra in refused}
    whole, killed, cache = tmp_path / "whole", tmp_path / "killed", tmp_path / "cache2"
    settings = quick_service(survey.url, n_workers=workers)
    download(table, whole / "c.h5", whole / "r.csv", tmp_path / "cache1", settings, 16)

    survey.asked.clear()
    survey.answers, survey.delay_s = answers, 0.005
    settings = Service(base_url=survey.url, requests_per_second=100, n_workers=workers,
                       shard_galaxies=60, first_wait_s=0.01, n_tries=4, timeout_s=60.0)  # fmt: skip
    outputs = [str(killed / "c.h5"), str(killed / "r.csv"), str(cache)]
    code = "import json, sys\nfrom download_cutouts import Service, main\n"
    code += "main(*sys.argv[1:5], Service(**json.loads(sys.argv[5])), 16)"
    given = [str(table), *outputs, settings.model_dump_json()]
    command = [sys.executable, "-c", code, *given]
    # Files of a few kilobytes at most: the disk is full for a cutout.
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n" + code
    folder = Path(__file__).parents[2] / "scripts"
    stopped = subprocess.run([sys.executable, "-c", full, *given], cwd=folder,
                             capture_output=True, text=True)  # fmt: skip
    assert stopped.returncode == 1 and "make room on the disk" in stopped.stderr
    assert not list(cache.rglob("*.fits"))
    for n_stored in kills:
        process = subprocess.Popen(command, cwd=folder)
        deadline = time.monotonic() + 120
        while survey.n_positions < n_stored and time.monotonic() < deadline:
            time.sleep(0.002)
        assert process.poll() is None
        process.kill()
        process.wait()
    subprocess.run(command, cwd=folder, check=True)

    names = [path.name for root in (killed, cache) for path in root.rglob("*") if path.is_file()]
    assert not [name for name in names if name.startswith(".") or name.endswith(".fits")]
    assert states(next(cache.rglob("journal.jsonl"))) == {
        "stored": n - len(refused), "refused": len(refused),
    }  # fmt: skip
    assert (whole / "r.csv").read_text() == (killed / "r.csv").read_text()
    with CutoutStore(whole / "c.h5") as first, CutoutStore(killed / "c.h5") as second:
        np.testing.assert_array_equal(first.images[:], second.images[:])
        pd.testing.assert_frame_equal(first.catalogue(), second.catalogue())
    # Whoever was stored is left alone: a kill loses what is under way, the full disk what it got.
    again = sum(count - 1 for ra, count in survey.n_requests.items())
    passing = sum(round(share * n) for share, _ in FAULTS.values())
    assert passing <= again <= passing + len(kills) * 2 * workers + 6 * workers
