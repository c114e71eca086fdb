"""A cluster for the tests of this folder, or the reason why there is none."""

import os
from pathlib import Path

import pytest
from slurm_cluster import Cluster, missing


def pytest_collection_modifyitems(items):
    """Without SLURM the tests wait, with a reason; on CI they fail."""
    reason = missing()
    if not reason or os.environ.get("CI"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"{reason}; make test-slurm installs"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Two nodes of two CPUs and three fake GPUs: room for a job on one and a job on both."""
    assert not missing(), missing()
    with Cluster(tmp_path_factory.mktemp("slurm"), gpus=3) as made:
        yield made
