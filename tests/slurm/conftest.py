"""A cluster for the tests of this folder, or the reason why there is none."""

import os
import signal
import traceback

import pytest
from slurm_cluster import Cluster, ConfRefused, NoCluster, missing

# Set by `make test-slurm`. `make test`, on CI as well, goes on in so many words where the machine
# has no SLURM that works; it fails where SLURM works and what is configured here does not.
IS_NEEDED = "SLURM_NEEDED"
_reasons, _stood = pytest.StashKey[list](), pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[_reasons], config.stash[_stood] = [], []

    def leave(number, frame):
        """End the tests and with them the cluster."""
        config.stash[_stood].extend(traceback.format_stack(frame)[-12:])
        raise KeyboardInterrupt("told to end (SIGTERM)")

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, leave)
    # A shell's background jobs do not hear Ctrl-C, and what they start does not either.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, request):
    """Two nodes of two CPUs and three fake GPUs: room for a job on one and a job on both."""
    if reason := missing():
        do_without(request.config, reason)
    try:
        made = Cluster(tmp_path_factory.mktemp("slurm"), gpus=3)
        made.__enter__()
    except NoCluster as error:
        refused = isinstance(error, ConfRefused)
        do_without(request.config, f"SLURM does not work on this machine: {error}", refused)
    yield made
    made.__exit__()


def do_without(config, reason, is_ours=False):
    """Skip what needs the cluster; fail where it is needed, or where the fault lies in here."""
    if is_ours or os.environ.get(IS_NEEDED):
        pytest.fail(reason)
    config.stash[_reasons].append(reason)
    pytest.skip(f"{reason.splitlines()[0]}; make test-slurm installs")


def pytest_terminal_summary(terminalreporter, config):
    for reason in dict.fromkeys(config.stash[_reasons]):
        terminalreporter.section("THE SLURM TESTS WERE SKIPPED", sep="!")
        terminalreporter.write_line(reason)
    if stood := config.stash[_stood]:
        terminalreporter.section("told to end (SIGTERM); where it stood")
        terminalreporter.write_line("".join(stood))
