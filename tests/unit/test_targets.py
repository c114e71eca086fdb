"""Every named target plans the jobs that it needs in a fresh folder, and no more.

The kept list is tests/snapshots/targets.yaml: jobs by target. A job that appears there without need
is a fault; one that a target really needs is written there by hand.
"""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
KEPT = yaml.safe_load((ROOT / "tests" / "snapshots" / "targets.yaml").read_text())


def named_targets():
    """Return the targets of rules/targets.smk."""
    return re.findall(r"^rule (\w+):", (ROOT / "rules" / "targets.smk").read_text(), re.M)


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """Return the jobs of every target, counted by rule, from one plan of all of them."""
    folder = tmp_path_factory.mktemp("fresh")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--dag", "--", *named_targets()]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rule_of = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)', text, re.M))
    needed = defaultdict(list)
    for before, after in re.findall(r"^\s*(\d+) -> (\d+)", text, re.M):
        needed[after].append(before)

    def ancestors(job):
        found, left = set(), [job]
        while left:
            job = left.pop()
            if job not in found:
                found.add(job)
                left.extend(needed[job])
        return found

    return {
        rule_of[job]: dict(Counter(rule_of[n] for n in ancestors(job) if n != job))
        for job in rule_of
        if rule_of[job] in named_targets()
    }


def test_every_target_has_its_place_in_the_kept_list(planned):
    assert set(planned) == set(named_targets()) == set(KEPT)


@pytest.mark.parametrize("target", KEPT)
def test_jobs_of_a_target(planned, target):
    assert planned[target] == KEPT[target]


def test_diagrams_need_no_data(planned):
    for target in ("fig1", "fig2", "fig8"):
        assert sum(planned[target].values()) == 1


def test_similar_galaxies_need_no_parameters_outliers_or_map(planned):
    assert not {"estimate_parameters", "find_outliers", "map_features"} & set(planned["similar"])


def test_a_teacher_looks_at_every_pretraining_dataset_first(tmp_path):
    """Its vectors are made once, in front of the training that they teach."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "--dag", "--configfile"]
    command += [
        str(ROOT / "config" / "release.yaml"),
        "--config",
        "pretrain={objective: distilled}",
    ]
    target = "results/release/models/pretrain/distilled_noskips/lvm.safetensors"
    for name in ("galaxies", "unlabelled", "decals"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "labels.csv").write_text("id,file,label\n")
    result = subprocess.run([*command, "--", target], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    jobs = Counter(re.findall(r'\[label = "(\w+)', result.stdout))
    assert jobs["extract_features"] == 4
    assert jobs["pretrain_lvm"] == 1


def test_the_provenance_is_written_when_all_that_it_tells_of_is_done(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "--dag", "--config", "beside=[spectra, wise_sources]"]
    found = {}
    for targets in ([], ["results/demo/tables/provenance.json"]):
        done = subprocess.run([*command, "--", *targets], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[len(targets)] = set(re.findall(r'\[label = "(\w+)', done.stdout))
    assert {"plot_stellar_parameters", "plot_wise_sources"} <= found[1]
    assert found[0] - found[1] == {"all"}


def test_rules_of_minutes_run_where_snakemake_does_and_no_others():
    """On a cluster a job's way through the queue would take longer than they do."""
    text = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    lists = re.findall(r"^ *localrules:\n((?: +\w+,\n)+)", text, re.M)
    local = set(re.findall(r"\w+", "".join(lists))) - set(named_targets()) - {"all"}
    asks = dict(re.findall(r"^ *rule (\w+):(?:(?!^ *rule ).*\n)*? +runtime=(.+),", text, re.M))
    short = {rule for rule, asked in asks.items() if asked.isdigit() and int(asked) <= 20}
    assert len(asks) > 50 and len(short) > 20
    assert local == short


def test_jobs_that_simulate_do_not_wait_beside_an_idle_core():
    """One of two cores cannot start while a job of one core is at work: it has to go first."""
    rules = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    simulating = re.findall(
        r"(?ms)^ *rule (simulate_(?:survey|fields|populations)):(.*?)script:", rules
    )
    assert len(simulating) == 3
    for name, body in simulating:
        priority = re.search(r"^ *priority: (\d+)", body, re.M)
        assert "data_threads" in body and priority and int(priority[1]) > 20, name
