"""The cluster of these tests ends with them, also where it does not come up or they are killed."""

import subprocess
import sys
from pathlib import Path

import pytest
from slurm_cluster import Cluster, NoCluster, missing, wait_until

TESTS = Path(__file__).parents[1]
HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from slurm_cluster import Cluster
with Cluster(Path(sys.argv[2])):
    print("up", flush=True)
    time.sleep(3600)
"""


def processes_of(folder):
    """Return the processes that name a cluster's folder, beside pytest and its like."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # over by now
            continue
        if words[0].endswith((b"slurmctld", b"slurmd", b"munged", b"slurmstepd")):
            found += [words] if str(folder).encode() in b" ".join(words) else []
    return found


@pytest.fixture(autouse=True)
def is_installed(cluster):
    """Where the folder's own cluster does not come up, these have nothing to show."""
    assert not missing()


def test_one_that_does_not_come_up_says_why_and_leaves_nothing(tmp_path):
    made = Cluster(tmp_path / "broken")
    made.conf.write_text(made.conf.read_text() + "NoSuchKey=1\n")
    with pytest.raises(NoCluster, match="NoSuchKey"), made:
        pytest.fail("it came up")
    assert not processes_of(tmp_path)


def test_daemons_end_with_the_tests_that_started_them(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(TESTS), str(tmp_path / "held")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "up\n"
        assert len(processes_of(tmp_path)) >= 4
        holder.kill()
    wait_until(lambda: not processes_of(tmp_path), "the end of the daemons")
