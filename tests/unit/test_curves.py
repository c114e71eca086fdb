"""Curves of a training for TensorBoard, read back by TensorBoard's own reader."""

import sys

import pytest
import torch
from galaxy_lvm.core.config.training import Optim
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.training.curves import FOLDER_VARIABLE, Curves
from galaxy_lvm.training.loop import TrainingLoop


class Slope(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, x):
        loss = (self.weight * x).square().mean()
        return {"loss": loss, "half": loss / 2}


def train(state, steps):
    settings = Optim(steps=steps, precision="float32", checkpoint_seconds=1e-9)
    loop = TrainingLoop(Slope(), settings, state, 1)
    loop.run(lambda step: {"x": torch.tensor([1.0, 2.0])})
    return loop


def scalars(folder):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    names = events.Tags()["scalars"]
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in names}


def test_curves_are_the_history_and_go_on_behind_a_checkpoint(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "curves"))
    state = tmp_path / "state" / "pretrain_lvm" / "0a1b2c"
    train(state, 20)
    history = train(state, 40).history
    found = scalars(tmp_path / "curves" / "pretrain_lvm" / "0a1b2c")
    assert [step for step, _ in found["losses/loss"]] == list(range(40))
    for name in ("loss", "half"):
        values = [value for _, value in found[f"losses/{name}"]]
        assert values == pytest.approx([row[name] for row in history])
    assert found["training/learning_rate"][-1] == (39, pytest.approx(0.0, abs=1e-5))
    assert all(value > 0 for _, value in found["training/steps_per_s"])
    assert found["training/peak_memory_gb"][0][1] > 0.01


def test_nobody_watches_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # importing it fails
    Curves(tmp_path / "state" / "key").add({0: {"loss": 1.0}}, 0.1)
    assert not list(tmp_path.iterdir())


def test_a_missing_tensorboard_is_said_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "curves"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        train(tmp_path / "state" / "key", 2)
