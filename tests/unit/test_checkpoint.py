"""What an unfinished training keeps on disk survives damage, full disks and other trainings."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.training.checkpoint import Checkpoints

ROOT = Path(__file__).parents[2]


def state(step):
    return {"step": step, "weights": torch.full((1000,), float(step))}


@pytest.fixture
def two(tmp_path):
    """Checkpoints of steps 1 and 2, in this order."""
    states = Checkpoints(tmp_path / "training")
    states.save(state(1))
    states.save(state(2))
    return states


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def flip_one_bit(path):
    """In the middle of the weights: torch reads them without a word."""
    content = bytearray(path.read_bytes())
    place = content.index(torch.full((1000,), 2.0).numpy().tobytes()) + 2000
    content[place] ^= 1
    path.write_bytes(content)
    assert torch.load(path)["step"] == 2


def test_the_last_state_is_taken_and_the_one_before_is_kept(two):
    loaded = two.load()
    assert loaded["step"] == 2 and torch.equal(loaded["weights"], state(2)["weights"])
    assert torch.load(two.before)["step"] == 1
    two.save(state(3))
    assert two.load()["step"] == 3 and torch.load(two.before)["step"] == 2
    assert sorted(os.listdir(two.path.parent)) == ["checkpoint.pt", "checkpoint_before.pt"]


@pytest.mark.parametrize("damage", [truncate, empty, flip_one_bit])
def test_behind_a_damaged_state_the_one_before_is_taken_and_the_loss_told(two, damage, caplog):
    os.utime(two.before, (1000, 1000))
    damage(two.path)
    os.utime(two.path, (1600, 1600))
    loaded = two.load()
    assert loaded["step"] == 1 and torch.equal(loaded["weights"], state(1)["weights"])
    assert f"{two.path} is damaged" in caplog.text
    assert "what was trained in the 600 s between is lost" in caplog.text


def test_a_kill_between_the_two_renamings_costs_nothing_but_the_last_state(two):
    os.replace(two.path, two.before)
    assert two.load()["step"] == 2


def test_a_training_whose_states_are_all_damaged_starts_anew_and_says_so(two, caplog):
    truncate(two.path)
    truncate(two.before)
    assert two.load() is None
    assert "the training starts anew" in caplog.text


def test_a_state_of_another_training_is_refused(two, tmp_path):
    other = Checkpoints(tmp_path / "other")
    other.path.parent.mkdir()
    other.path.write_bytes(two.path.read_bytes())
    with pytest.raises(DataError, match=r"checkpoint of another training \(training, here other\)"):
        other.load()


def test_nothing_is_left_of_a_finished_training(two):
    two.forget()
    assert two.load() is None and os.listdir(two.path.parent) == []


FULL_DISK = """
    import os, resource, signal, sys
    import torch
    from galaxy_lvm.core.errors import DataError
    from galaxy_lvm.training.checkpoint import Checkpoints

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    states = Checkpoints(sys.argv[1])
    states.save({"step": 1, "weights": torch.ones(50_000)})
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for limit in (10, 1_000, 100_000, 200_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            states.save({"step": 2, "weights": torch.zeros(50_000)})
        except DataError as error:
            print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    left = states.load()
    print(left["step"], float(left["weights"].sum()), sorted(os.listdir(sys.argv[1])))
"""


def test_a_disk_that_fills_up_under_a_checkpoint_is_named_and_costs_no_other(tmp_path):
    """torch speaks of its zip file, not of the disk."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path / "training")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *messages, last = done.stdout.splitlines()
    assert len(messages) == 4
    for message in messages:
        assert message.startswith(f"{tmp_path / 'training' / 'checkpoint.pt'}: cannot be written")
        assert "File too large" in message and "make room on the disk" in message
    assert last == "1 50000.0 ['checkpoint.pt']"
