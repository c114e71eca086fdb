"""The tests' config, whole, through a real SLURM: every job by sbatch, numbers as without it.

`make test-slurm` alone runs this: it costs two runs of the workflow.
"""

import re

import pytest
from slurm_calls import CONFIG, RUN_S, Call, overlay

pytestmark = pytest.mark.workflow

# What trains, and what asks a network about thousands of images.
ON_A_GPU = {
    "pretrain_lvm", "train_multitask", "train_reference", "train_fewshot", "train_detector",
    "train_resnet18", "extract_features", "make_catalogue", "evaluate_multitask",
    "evaluate_objectives",
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(cluster, tmp_path_factory):
    """The run through SLURM and one without, side by side; their calls."""
    folder = tmp_path_factory.mktemp("whole")
    config = overlay(folder, "test", gpus=1)
    with (
        Call(None, folder / "without", *CONFIG, "--", "all") as without,
        Call(cluster, folder / "slurm", *config, "--", "all") as slurm,
    ):
        yield slurm.succeed(4 * RUN_S), without.succeed(4 * RUN_S)


@pytest.fixture(scope="module")
def jobs(cluster, runs):
    """What SLURM knows of every job, with the rule's name."""
    found = [cluster.about(job) for job in runs[0].submitted()]
    return [(re.match(r"rule_(\w+?)(_wildcards|$)", job["Comment"])[1], job) for job in found]


def results(call):
    return call.folder / "results" / "test"


def test_every_job_that_is_not_light_went_through_sbatch(cluster, runs, jobs):
    planned = re.findall(r"^rule (\w+):$", runs[0].text, re.MULTILINE)
    assert sorted(rule for rule, _ in jobs) == sorted(planned) and len(jobs) > 30
    assert {job["JobState"] for _, job in jobs} == {"COMPLETED"}
    assert {job["Restarts"] for _, job in jobs} == {"0"}
    assert cluster.jobs() == []
    light = re.findall(r"^localrule (\w+):$", runs[0].text, re.MULTILINE)
    assert "make_tables" in light and not set(light) & set(planned)


def test_gpus_are_asked_for_by_what_needs_them(jobs):
    asking = {rule for rule, job in jobs if any(key.startswith("TresPer") for key in job)}
    assert asking == ON_A_GPU
