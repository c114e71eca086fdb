"""The tests' config, whole, through a real SLURM: every job by sbatch, numbers as without it.

`make test-slurm` alone runs this: it costs two runs of the workflow (test_shared_run.py, in `make
test`, one that other tests look at anyway).
"""

import pandas as pd
import pytest
from slurm_calls import CONFIG, RUN_S, Call, check_all_was_handed_in, overlay

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


def files(call):
    """Return what a run wrote, by name, without what its trainings go on from."""
    run = call.folder / "results" / "test"
    found = {path.relative_to(run): path for path in run.rglob("*") if path.is_file()}
    return {str(name): path for name, path in found.items() if name.parts[0] != "state"}


def numbers(path):
    """Return a table without what the clock said."""
    table = pd.read_csv(path)
    if "metric" in table:
        table = table[~table["metric"].str.contains("seconds")]
    return table.drop(columns=[name for name in table if "seconds" in name])


def test_every_job_went_through_sbatch_and_what_needs_a_gpu_asked_for_it(cluster, runs):
    jobs = check_all_was_handed_in(cluster, runs[0])
    asking = {rule for rule, job in jobs if any(key.startswith("TresPer") for key in job)}
    assert asking == ON_A_GPU


def test_the_results_are_those_of_a_run_without_slurm(runs):
    """To the last byte where nothing tells the time: weights, features, predictions, figures."""
    through, without = map(files, runs)
    assert through.keys() == without.keys()
    for name in through:
        if name.endswith(".csv"):
            pd.testing.assert_frame_equal(numbers(through[name]), numbers(without[name]), obj=name)
    exact = {name for name in through if name.endswith((".safetensors", ".npy", ".parquet", ".h5"))}
    figures = {name for name in through if name.endswith(".png") and "fig09" not in name}
    assert len(exact) > 40 and len(figures) > 30
    for name in exact | figures:
        assert through[name].read_bytes() == without[name].read_bytes(), name
