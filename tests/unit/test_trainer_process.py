"""The page's model is trained in a process of its own; nobody's end or error leaves it behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.hitl import RankerSettings
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.learner import Learner
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.settings import SessionSettings
from galaxy_lvm.hitl.trainer import Trainer
from galaxy_lvm.hitl.trainer_process import TrainerProcess

SETTINGS = RankerSettings(hidden_dim=16, n_components=5, steps=10)
ROWS, LABELS = np.array([0, 1, 60, 61]), np.array([1, 1, 0, 0])
WEIGHTS = np.ones(4)


@pytest.fixture(scope="module")
def features():
    values = np.random.default_rng(0).normal(size=(120, 8)).astype(np.float32)
    values[:50, 0] += 3
    values[7, 2] = np.nan
    return values


@pytest.fixture(scope="module")
def mapped(features, tmp_path_factory):
    path = tmp_path_factory.mktemp("features") / "lvm.npy"
    np.save(path, features)
    return np.load(path, mmap_mode="r")


@pytest.fixture
def started():
    """Return a way to start trainers that ends them."""
    made = []

    def start(features):
        made.append(TrainerProcess(features, SETTINGS, seed=3))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_it_says_what_a_trainer_in_this_process_says(started, features, mapped):
    here = Trainer(features, SETTINGS, seed=3)
    here.fit(ROWS, LABELS, WEIGHTS)
    for values in (features, mapped):
        there = started(values)
        assert not there.is_warm
        there.fit(ROWS, LABELS, WEIGHTS)
        np.testing.assert_allclose(there.scores(), here.scores(), atol=1e-6)
        assert np.isnan(there.scores()[7]) and np.nanargmax(there.scores()) < 50
        np.testing.assert_allclose(there.score_of(features[3:5]), here.scores()[3:5], atol=1e-6)
        assert np.array_equal(there.usable, here.usable) and not there.usable[7]
        np.testing.assert_allclose(there.components[20:25], here.components[20:25], atol=1e-5)
        assert there.is_warm


def test_what_is_wrong_is_told_and_the_next_call_answered(started, features):
    there = started(features)
    with pytest.raises(DataError, match="2 positives and 0 negatives"):
        there.fit(ROWS[:2], LABELS[:2], WEIGHTS[:2])
    there.fit(ROWS, LABELS, WEIGHTS)
    alike = started(np.ones((9, 3), np.float32))
    for _ in range(2):
        with pytest.raises(DataError, match="have the same features"):
            assert alike.usable is None


def test_one_that_was_ended_is_told_of_and_started_again(started, features):
    there = started(features)
    there.fit(ROWS, LABELS, WEIGHTS)
    scores = there.scores()
    process = there._process
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    there.fit(ROWS, LABELS, WEIGHTS)
    assert np.array_equal(there.scores(), scores, equal_nan=True)
    os.kill(there._process.pid, signal.SIGSTOP)  # in the middle of a call, for certain
    os.kill(there._process.pid, signal.SIGKILL)
    with pytest.raises(DataError, match=r"ended \(-9;.*started again"):
        there._answer("scores")
    there.fit(ROWS, LABELS, WEIGHTS)
    assert np.array_equal(there.scores(), scores, equal_nan=True)


def killed(there):
    process = there._process
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_one_that_was_ended_after_it_was_taught_still_knows(started, features):
    there = started(features)
    there.fit(ROWS, LABELS, WEIGHTS)
    scores = there.scores()
    killed(there)
    np.testing.assert_allclose(there.score_of(features[3:5]), scores[3:5], atol=1e-6)
    assert np.array_equal(there.scores(), scores, equal_nan=True)
    with pytest.raises(DataError, match="2 positives and 0 negatives"):
        there.fit(ROWS[:2], LABELS[:2], WEIGHTS[:2])
    killed(there)
    with pytest.raises(DataError, match="not trained yet"):  # and not what it knew before
        there.scores()


@pytest.fixture
def pool(features):
    return Pool([f"g{i}" for i in range(len(features))], features)


def said(**values):
    return pd.DataFrame({"id": list(values), "value": list(values.values())})


def test_a_search_goes_on_when_what_trains_was_ended_before_it_had_scored(pool, started):
    there, here = started(pool.features), Trainer(pool.features, SETTINGS, seed=3)
    learner, other = (Learner(pool, SessionSettings(), trainer=one) for one in (there, here))
    table = said(g0="positive", g60="negative")
    learner.fit(table)
    killed(there)
    np.testing.assert_allclose(learner.score(table).values, other.score(table).values, atol=1e-6)


def test_labels_that_could_not_be_learnt_leave_no_ranker_of_another_version(pool):
    class Failing(Trainer):
        fails = False

        def fit(self, *about):
            self._ranker = None
            if self.fails:
                raise DataError("no memory is left")
            super().fit(*about)

    trainer = Failing(pool.features, SETTINGS, seed=3)
    learner = Learner(pool, SessionSettings(ranker=SETTINGS), trainer=trainer)
    one, two = said(g0="positive", g60="negative"), said(g0="positive", g61="negative")
    learner.fit(one)
    trainer.fails = True
    with pytest.raises(DataError, match="no memory is left"):
        learner.score(two)
    trainer.fails = False
    assert np.isfinite(learner.score(one).values).sum() == len(pool) - 1


OWNER = """
import sys, time
import numpy as np
from galaxy_lvm.core.config.hitl import RankerSettings
from galaxy_lvm.hitl.trainer_process import TrainerProcess

there = TrainerProcess(np.random.default_rng(0).normal(size=(50, 4)), RankerSettings(), 0)
there.usable
print(there._process.pid, flush=True)
time.sleep(600)
"""


def is_alive(pid):
    """Whether a process runs; one that has ended and that nobody asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to look for it")
def test_it_ends_with_an_owner_that_is_killed(tmp_path):
    script = tmp_path / "owner.py"
    script.write_text(f"if __name__ == '__main__':\n{OWNER.replace(chr(10), chr(10) + '    ')}\n")
    path = os.pathsep.join(sys.path)
    owner = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    pid = int(owner.stdout.readline())
    assert is_alive(pid)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    for _ in range(3000):
        if not is_alive(pid):
            return
        time.sleep(0.1)
    pytest.fail("the trainer outlived its owner")
