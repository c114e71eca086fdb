"""A training that is told to go leaves a checkpoint, and comes back to the same weights."""

import os
import signal
import threading

import pytest
import torch
from galaxy_lvm.core.config.training import Optim
from galaxy_lvm.training.interrupt import UNFINISHED, Interrupted, hear_signals
from galaxy_lvm.training.launch import launch_processes
from galaxy_lvm.training.loop import TrainingLoop
from torch import nn

STEPS = 12


class Drops(nn.Module):
    """A network whose `forward` draws numbers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(0.4), nn.Linear(16, 1))

    def forward(self, x):
        return {"loss": (self.layers(x)[:, 0] - x.sum(dim=1)).square().mean()}


def batch_of(step):
    return {"x": torch.randn(8, 6, generator=torch.Generator().manual_seed(step))}


def make_loop(folder):
    torch.manual_seed(3)
    settings = Optim(steps=STEPS, precision="float32", checkpoint_seconds=1e9, ema_decay=0.9)
    return TrainingLoop(Drops(), settings, folder, seed=7)


def asks_at(*steps, by=signal.SIGTERM):
    def after_step(step):
        if step in steps:
            os.kill(os.getpid(), by)

    return after_step


@pytest.fixture
def no_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGUSR1])
def test_a_training_that_is_told_to_go_leaves_behind_the_step_in_progress(tmp_path, by, no_slurm):
    loop = make_loop(tmp_path)
    with pytest.raises(Interrupted) as left:
        loop.run(batch_of, asks_at(4, by=by))
    assert left.value.code == UNFINISHED
    assert f"{by.name}) behind step 5 of 12" in str(left.value)
    assert torch.load(loop.checkpoint, weights_only=True)["step"] == 5


def test_told_to_go_five_times_it_ends_with_the_weights_of_one_that_was_not(tmp_path, no_slurm):
    whole = make_loop(tmp_path / "whole")
    whole.run(batch_of)
    for step in (0, 1, 4, 7, 10):
        again = make_loop(tmp_path / "often")
        with pytest.raises(Interrupted):
            again.run(batch_of, asks_at(step))
    again = make_loop(tmp_path / "often")
    assert again.step == 11
    again.run(batch_of)
    for one, other in (
        (whole.module.state_dict(), again.module.state_dict()),
        (whole.averaged_state(), again.averaged_state()),
    ):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole.history == again.history


def test_a_training_at_its_last_step_ends_instead(tmp_path, no_slurm):
    loop = make_loop(tmp_path)
    loop.run(batch_of, asks_at(STEPS - 1))
    assert loop.step == STEPS and len(loop.history) == STEPS


def test_signals_mean_what_they_did_before_once_the_training_is_over(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    make_loop(tmp_path).run(batch_of)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


def test_a_training_in_a_thread_leaves_signals_alone(tmp_path):
    loops = [make_loop(tmp_path)]
    thread = threading.Thread(target=loops[0].run, args=(batch_of,))
    thread.start()
    thread.join()
    assert loops[0].step == STEPS


def test_the_first_signal_counts():
    with hear_signals() as request:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
    assert request.signal is signal.SIGUSR1


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A job of a SLURM whose scontrol notes what it is asked; it refuses where `no` exists."""
    folder = tmp_path / "bin"
    folder.mkdir()
    tool = folder / "scontrol"
    tool.write_text(
        f'#!/bin/sh\necho "$@" >>{folder}/asked\n'
        f"if [ -e {folder}/no ]; then echo 'Requested operation is disabled' >&2; exit 1; fi\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    return folder


def test_ahead_of_the_time_limit_a_job_puts_itself_into_the_queue_again(slurm, tmp_path):
    with pytest.raises(Interrupted, match="SLURM has the job in its queue again"):
        make_loop(tmp_path / "a").run(batch_of, asks_at(4, by=signal.SIGUSR1))
    assert (slurm / "asked").read_text() == "requeue 17\n"


def test_what_slurm_ends_itself_is_not_put_into_its_queue(slurm, tmp_path):
    """After scancel it would come back for ever; after a preemption SLURM does it."""
    with pytest.raises(Interrupted):
        make_loop(tmp_path / "a").run(batch_of, asks_at(4, by=signal.SIGTERM))
    assert not (slurm / "asked").exists()


def test_a_slurm_that_does_not_requeue_is_quoted(slurm, tmp_path, caplog):
    (slurm / "no").touch()
    with pytest.raises(Interrupted) as left:
        make_loop(tmp_path / "a").run(batch_of, asks_at(4, by=signal.SIGUSR1))
    assert "queue again" not in str(left.value)
    assert "SLURM does not requeue job 17: Requested operation is disabled" in caplog.text


def train_in_processes(folder, asked_at=None):
    """Train; where asked, the second process alone is told to go behind a step."""
    loop = make_loop(folder)
    asks = loop.accelerator.process_index == 1 and asked_at is not None
    loop.run(batch_of, asks_at(asked_at) if asks else None)
    if loop.accelerator.is_main_process:
        torch.save(loop.module.state_dict(), folder / "weights.pt")


def test_processes_agree_on_the_step_to_leave_at(tmp_path, no_slurm):
    for name in ("whole", "often"):
        (tmp_path / name).mkdir()
    launch_processes(train_in_processes, 2, 1, folder=tmp_path / "whole")
    with pytest.raises(Interrupted) as left:
        launch_processes(train_in_processes, 2, 1, folder=tmp_path / "often", asked_at=3)
    assert left.value.code == UNFINISHED
    kept = torch.load(tmp_path / "often" / "checkpoint.pt", weights_only=True)
    assert kept["step"] == 4 + 2  # two steps late: nobody waits for the answer
    launch_processes(train_in_processes, 2, 1, folder=tmp_path / "often")
    one, other = (torch.load(tmp_path / name / "weights.pt") for name in ("whole", "often"))
    assert all(torch.equal(one[key], other[key]) for key in one)
