"""The run of the tests' config that tests/integration looks at, through a real SLURM.

`make test` starts this beside the other tests (beside.sh): every job by sbatch, and what comes out
has to pass test_all_rules.py. `make test-slurm` compares two such runs instead (test_whole.py).
"""

import os
import signal
from pathlib import Path

import pytest
from slurm_calls import CONFIG, Call, check_all_was_handed_in
from slurm_cluster import PATIENCE_S, wait_until
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
            in_time = call.has_ended(LONGEST_S)
            if in_time:
                call.succeed()
                ended = FINISHED
        finally:
            tell_ended(folder, ended)
        if not in_time:
            call.process.send_signal(signal.SIGINT)
            wait_until(lambda: not cluster.jobs(), "an empty queue behind Ctrl-C")
            call.process.wait(PATIENCE_S)
            pytest.skip(f"the run through SLURM took more than {LONGEST_S} s: make test-slurm")
    return call


def test_every_job_that_is_not_light_went_through_sbatch(cluster, call):
    check_all_was_handed_in(cluster, call)
