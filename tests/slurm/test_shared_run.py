"""The run of the tests' config that tests/integration looks at, through a real SLURM.

`make test` starts this beside the other tests (beside.sh): every job by sbatch, and what comes out
has to pass test_all_rules.py. `make test-slurm` compares two such runs instead (test_whole.py).
"""

import os
import subprocess
from pathlib import Path

import pytest
from slurm_calls import CONFIG, Call, check_all_was_handed_in, interrupt
from workflow_runs import FINISHED, SHARED_RUN, tell_ended

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(SHARED_RUN not in os.environ, reason="part of `make test`"),
]
# Minutes where there is AVX-512; behind this the other tests make a run of their own.
LONGEST_S = 2400


@pytest.fixture(scope="module")
def call(cluster):
    folder, ended = Path(os.environ[SHARED_RUN]), "failed"
    with Call(cluster, folder, *CONFIG, "--", "all") as call:
        try:
            call.process.wait(LONGEST_S)
            call.succeed()
            ended = FINISHED
        except subprocess.TimeoutExpired:
            interrupt(cluster, call, call.submitted()[-1])
            pytest.skip(f"the run through SLURM took more than {LONGEST_S} s: make test-slurm")
        finally:
            tell_ended(folder, ended)
    return call


def test_every_job_that_is_not_light_went_through_sbatch(cluster, call):
    check_all_was_handed_in(cluster, call)
