"""Optimizers are torch's to the bit, and a training that compiles nothing loads no compiler."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from galaxy_lvm.training import optimizers
from torch import nn

SCRIPTS = Path(__file__).parents[2] / "scripts"
KINDS = ("Adam", "AdamW")


def trained(kind, n_steps, state=None):
    """Return weights and state behind some updates of two groups."""
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 2))
    groups = [
        {"params": module[0].parameters(), "lr": 0.01, "weight_decay": 0.1},
        {"params": module[2].parameters(), "lr": 0.03, "weight_decay": 0.0},
    ]
    optimizer = kind(groups, fused=True)
    if state is not None:
        module.load_state_dict(state[0])
        optimizer.load_state_dict(state[1])
    x = torch.linspace(-1, 1, 30).reshape(6, 5)
    for _ in range(n_steps):
        optimizer.zero_grad(set_to_none=True)
        module(x).square().mean().backward()
        optimizer.step()
    return module.state_dict(), optimizer.state_dict()


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", KINDS)
def test_updates_are_those_of_torch_to_the_bit(name):
    own, theirs = (trained(getattr(place, name), 5) for place in (optimizers, torch.optim))
    assert same(own[0], theirs[0])
    assert not same(own[0], trained(getattr(optimizers, name), 4)[0])


@pytest.mark.parametrize("name", KINDS)
def test_a_training_that_torchs_optimizer_began_goes_on(name):
    """Checkpoints of before hold the same state."""
    begun = trained(getattr(torch.optim, name), 3)
    went_on = trained(getattr(optimizers, name), 2, begun)
    assert same(went_on[0], trained(getattr(torch.optim, name), 5)[0])


LOADED = """
import sys
import torch
from galaxy_lvm.core.config.training import Optim
from galaxy_lvm.lvm.anatomy import build_empty
from galaxy_lvm.lvm.model import LVMConfig
from galaxy_lvm.training.loop import TrainingLoop

class Module(torch.nn.Linear):
    def forward(self, x):
        return {"loss": super().forward(x).square().mean()}

build_empty(LVMConfig(embed_dim=8, depths=(2, 2), head_dim=8))
loop = TrainingLoop(Module(3, 2), Optim(steps=2, ema_decay=0.9), sys.argv[1], seed=1)
loop.run(lambda step: {"x": torch.ones(4, 3)})
loop.save()
print(*[name for name in ("torch._dynamo", "sympy", "torchvision") if name in sys.modules])
"""


def test_a_training_starts_without_torchs_compiler(tmp_path):
    """torch.optim would load it at the first optimizer, meta tensors at the first draw."""
    result = subprocess.run(
        [sys.executable, "-c", LOADED, str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
