"""Adam and AdamW that start without torch's compiler.

torch.optim wraps methods so that its compiler leaves them alone, and loads the compiler for it when
the first optimizer is made: 1.3 CPU seconds of every training, compiled or not. Here the same
methods stand without that wrapping (torch/_compile.py and torch/optim/optimizer.py of torch 2.14);
what torch does not wrap stays as it is. An update is the same to the bit.
"""

from collections.abc import Callable

import torch
from torch.optim.optimizer import Optimizer


def _unwrapped(method: Callable) -> Callable:
    return getattr(method, "__wrapped__", method)


class _WithoutCompiler:
    """The methods of an optimizer that torch wraps."""

    add_param_group = _unwrapped(Optimizer.add_param_group)
    zero_grad = _unwrapped(Optimizer.zero_grad)
    state_dict = _unwrapped(Optimizer.state_dict)
    load_state_dict = _unwrapped(Optimizer.load_state_dict)


class Adam(_WithoutCompiler, torch.optim.Adam):
    """`torch.optim.Adam` for updates that need no gradient themselves."""

    step = torch.no_grad()(_unwrapped(torch.optim.Adam.step))


class AdamW(_WithoutCompiler, torch.optim.AdamW):
    """`torch.optim.AdamW` for updates that need no gradient themselves."""

    step = torch.no_grad()(_unwrapped(torch.optim.AdamW.step))
