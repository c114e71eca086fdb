"""A training that was killed ends with the weights of one that was not, whatever layers draw."""

import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config.training import Optim
from galaxy_lvm.training.accelerator import make_accelerator
from galaxy_lvm.training.loop import TrainingLoop
from torch import nn

STEPS, KILLED_AFTER = 9, 5


class Killed(Exception):
    pass


class Drops(nn.Module):
    """A network with dropout and running statistics; its `forward` draws numbers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 32), nn.BatchNorm1d(32), nn.GELU(), nn.Dropout(0.4), nn.Linear(32, 1)
        )

    def forward(self, x, y):
        return {"loss": (self.layers(x)[:, 0] - y).square().mean()}


def batch_of(step):
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(8, 6, generator=generator)
    return {"x": x, "y": x.sum(dim=1)}


def make_loop(folder, start=0, **changes):
    torch.manual_seed(3)
    module = Drops()
    torch.manual_seed(start)  # a new process starts elsewhere in the stream of random numbers
    settings = Optim(
        steps=STEPS, ema_decay=0.9, precision="float32", **{"checkpoint_seconds": 1e-9, **changes}
    )
    return TrainingLoop(module, settings, folder, seed=7)


def draws_between_steps(step):
    """A validation that draws numbers itself must not shift those of the next step."""
    torch.rand(step + 1)


def killed_and_resumed(folder):
    def kill(step):
        if step == KILLED_AFTER:
            raise Killed

    with pytest.raises(Killed):
        make_loop(folder).run(batch_of, kill)
    again = make_loop(folder, start=99)
    assert again.step == KILLED_AFTER  # the checkpoint behind the last whole step
    again.run(batch_of, draws_between_steps)
    return again


def assert_equal_states(one, two):
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


def test_dropout_after_a_kill_is_that_of_an_uninterrupted_run(tmp_path):
    whole = make_loop(tmp_path / "whole")
    whole.run(batch_of)
    again = killed_and_resumed(tmp_path / "killed")
    assert_equal_states(whole.module.state_dict(), again.module.state_dict())
    assert_equal_states(whole.averaged_state(), again.averaged_state())
    moments, moments_again = (x.optimizer.state_dict()["state"] for x in (whole, again))
    for number, values in moments.items():
        assert_equal_states(values, moments_again[number])
    assert whole.history == again.history
    pd.testing.assert_frame_equal(pd.DataFrame(whole.history), pd.DataFrame(again.history))


def test_another_seed_drops_other_units(tmp_path):
    one, other = make_loop(tmp_path / "one"), make_loop(tmp_path / "other")
    other.seed = 8
    for loop in (one, other):
        loop.run(batch_of)
    assert one.history != other.history


def test_every_step_is_in_the_history_however_short_the_run(tmp_path):
    loop = make_loop(tmp_path, checkpoint_seconds=60.0)
    loop.run(batch_of)
    assert [record["step"] for record in loop.history] == list(range(STEPS))
    assert all(isinstance(record["loss"], float) for record in loop.history)
    assert not loop.checkpoint.exists()


def test_a_checkpoint_never_holds_weights_that_are_not_numbers(tmp_path):
    loop = make_loop(tmp_path)

    def batch(step):
        made = batch_of(step)
        return {**made, "x": made["x"] * torch.nan} if step == 3 else made

    with pytest.raises(FloatingPointError, match="step 3"):
        loop.run(batch)
    kept = torch.load(loop.checkpoint, weights_only=True)
    assert kept["step"] == 3 and [record["step"] for record in kept["history"]] == [0, 1, 2]
    assert all(torch.isfinite(value).all() for value in kept["module"].values())


class Whereabouts(nn.Module):
    """Notes on which device every tensor of a batch arrives."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, task, images, parts):
        tensors = [images, *parts["targets"]]
        self.seen += [(task, tensor.device.type) for tensor in tensors]
        return {"loss": self.weight.sum()}


def test_batches_arrive_on_the_device_of_the_accelerator(tmp_path, monkeypatch):
    module = Whereabouts()
    loop = TrainingLoop(module, Optim(steps=2, precision="float32"), tmp_path, seed=1)
    monkeypatch.setattr(
        type(loop.accelerator), "device", property(lambda self: torch.device("meta"))
    )
    nested = {"targets": [torch.zeros(2), torch.zeros(3)]}
    loop.run(lambda step: {"task": "a", "images": torch.zeros(2, 3), "parts": nested})
    assert module.seen == [("a", "meta")] * 6


@pytest.mark.parametrize("order", [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_one_process_may_compute_in_two_precisions_in_turn(order):
    """On a CPU with bfloat16 `auto` is another precision than a section's float32."""
    made = {precision: make_accelerator(precision) for precision in order}
    layer, values = nn.Linear(2, 2), torch.ones(1, 2)
    for precision, accelerator in made.items():
        with accelerator.autocast():
            assert layer(values).dtype == getattr(torch, precision)


@pytest.mark.parametrize(
    "kernels, has, precision",
    [("AVX512", True, "bf16"), ("AVX512", False, "no"), ("AVX2", True, "no")],
)
def test_bfloat16_is_taken_where_the_cpu_computes_in_it_and_may(
    kernels, has, precision, monkeypatch
):
    """A CPU whose AVX-512 is switched off would emulate it, several times slower than float32."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has})
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kernels)
    assert make_accelerator("auto").mixed_precision == precision
