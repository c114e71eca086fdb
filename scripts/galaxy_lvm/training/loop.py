"""The one training loop: Accelerate, a learning-rate schedule, weight averages, checkpoints."""

import contextlib
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device, set_seed
from torch import Tensor, nn

from galaxy_lvm.core.config.training import Optim
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.training.accelerator import make_accelerator, precision_of
from galaxy_lvm.training.checkpoint import Checkpoints
from galaxy_lvm.training.curves import Curves
from galaxy_lvm.training.interrupt import Interrupted, StopRequest, hear_signals, requeue
from galaxy_lvm.training.optimizers import Adam, AdamW

log = logging.getLogger("galaxy_lvm")

Losses = dict[str, Tensor]
Batch = dict[str, Any]

# Losses are brought from the device this many steps at a time: reading one waits for the device.
STEPS_PER_FETCH = 16
# Several processes agree to stop so many steps late: nobody waits for the others' answer.
STEPS_TO_AGREE = 2


def placed(state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Return tensors as a module's are placed: checkpoints are read into the CPU's memory."""
    places = {name: value.device for name, value in module.state_dict().items()}
    return {name: value.to(places[name]) for name, value in state.items()}


def learning_rate_factor(step: int, steps: int, warmup_fraction: float) -> float:
    """Return the factor in [0, 1] of the learning rate at `step`: linear rise, cosine fall."""
    warmup = max(1, round(warmup_fraction * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


class TrainingLoop:
    """Update a module for a number of steps; go on from the last checkpoint after a kill.

    The module's `forward(**batch)` returns a dict of losses with the key `loss`. What a step
    trains on must be a function of the step alone (see `feed.Sampler`), and what its layers draw
    is: the generators are seeded anew in front of every step. So a run that was killed and started
    again ends with the same weights.

    Several processes work on equal shares of one batch. Gradients, losses and the running
    statistics of normalisations are averaged over them, so all end a step with equal weights.

    SIGTERM and SIGUSR1 end the training behind the step in progress, with a checkpoint.

    Parameters
    ----------
    module
        What is trained; parameters with `requires_grad=False` stay as they are.
    settings
        How.
    state_dir
        Folder for the checkpoint, named after a hash of the settings; kept until `finish`.
    seed
        Seed of what layers draw in training: dropout, stochastic depth, proposals.
    accelerator
        Device and processes; made from `settings.precision` where None.
    extra_state
        Object with `state_dict` and `load_state_dict` that travels with the checkpoint.

    Attributes
    ----------
    changes
        Where the training went on with another precision or number of processes, in words.
    """

    def __init__(
        self,
        module: nn.Module,
        settings: Optim,
        state_dir: str | os.PathLike,
        seed: int,
        accelerator: Accelerator | None = None,
        extra_state: Any = None,
    ) -> None:
        self.settings, self.seed = settings, seed
        self.accelerator = accelerator or make_accelerator(settings.precision)
        self.module = module
        self.extra_state = extra_state
        self._states = Checkpoints(state_dir)
        self.checkpoint = self._states.path
        self.history: list[dict[str, float]] = []
        self.changes: list[str] = []
        self._unread: list[tuple[int, Losses]] = []
        optimizer = _make_optimizer(module, settings)
        compiled = torch.compile(module) if settings.compile else module
        # Left to find out, Accelerate would load torch's tensors of many devices, 0.5 CPU seconds.
        self._wrapped, self.optimizer = self.accelerator.prepare(
            compiled, optimizer, device_placement=[True, True]
        )
        self._ema = _copy_state(module) if settings.ema_decay else None
        self.step = self._load()
        self._curves = Curves(state_dir, self.step) if self.accelerator.is_main_process else None

    def run(
        self,
        batch_of_step: Callable[[int], Batch | Sequence[Batch]],
        after_step: Callable[[int], None] | None = None,
        desc: str = "training",
    ) -> None:
        """Train up to `settings.steps`, calling `after_step(step)` behind every update.

        Parameters
        ----------
        batch_of_step
            Returns the module's arguments for a step; a list of them where the step's gradient is
            the mean over parts that do not fit into memory together.
        after_step
            Called behind every update.
        desc
            What the log calls the training.

        Raises
        ------
        Interrupted
            Behind a checkpoint, if a signal asks for it.
        """
        saved = time.monotonic()
        asked: deque[Tensor] = deque()
        steps = range(self.step, self.settings.steps)
        with hear_signals() as request:
            for step in progress(steps, len(steps), desc, "steps"):
                self._seed(step, self.accelerator.process_index)
                self._unread.append((step, self._update(step, batch_of_step(step))))
                if len(self._unread) == STEPS_PER_FETCH:
                    self._fetch_losses()
                self.step = step + 1
                if after_step is not None:
                    after_step(step)
                if self._all_stop(request, asked) and self.step < self.settings.steps:
                    self._leave(request)
                if time.monotonic() - saved > self.settings.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        self._fetch_losses()

    def _all_stop(self, request: StopRequest, asked: deque[Tensor]) -> bool:
        """Return whether a process was asked to stop; all get the same answer at the same step."""
        if self.accelerator.num_processes == 1:
            return request.is_made
        own = torch.tensor(float(request.is_made), device=self.accelerator.device)
        asked.append(self.accelerator.reduce(own, "sum"))
        return len(asked) > STEPS_TO_AGREE and bool(asked.popleft() > 0)

    def _leave(self, request: StopRequest) -> None:
        self.save()
        # Who leaves first closes the others' connections, and the main process still writes.
        self.accelerator.wait_for_everyone()
        by = request.signal.name if request.signal else "another process"
        text = (
            f"asked to stop ({by}) behind step {self.step} of {self.settings.steps}; the "
            f"checkpoint is written ({self.checkpoint}), the same command goes on from it"
        )
        if self.accelerator.is_main_process and by == "SIGUSR1" and requeue():
            text += "; SLURM has the job in its queue again"
        raise Interrupted(text)

    def _seed(self, step: int, place: int) -> None:
        set_seed(derive_seed(self.seed, "step", step, place) % 2**32)  # NumPy takes 32 bits

    def _update(self, step: int, batch: Batch | Sequence[Batch]) -> Losses:
        self._wrapped.train()
        factor = learning_rate_factor(step, self.settings.steps, self.settings.warmup_fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = factor * group["peak"]
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._gradients(step, [batch] if isinstance(batch, dict) else batch)
        if self.settings.clip_norm:
            # torch's own: gradients in float32 or bfloat16 have no scale for Accelerate to undo.
            nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        self._average_buffers()
        if self._ema is not None:
            _average(self._ema, self.module, self.settings.ema_decay, step)
        return self.accelerator.reduce(losses, "mean")

    def _gradients(self, step: int, parts: Sequence[Batch]) -> Losses:
        """Add up the gradient over the parts of a step; return the means of their losses."""
        n_parts, means = len(parts), {}
        for number, part in enumerate(parts):
            if n_parts > 1:  # each draws what a process of its own would draw
                self._seed(step, self.accelerator.process_index * n_parts + number)
            is_last = number == n_parts - 1
            # Processes exchange gradients once a step.
            alone = self.accelerator.no_sync(self._wrapped) if not is_last else None
            with alone or contextlib.nullcontext():
                with self.accelerator.autocast():
                    losses: Losses = self._wrapped(**send_to_device(part, self.accelerator.device))
                self.accelerator.backward(losses["loss"] / n_parts)
            for name, value in losses.items():
                means[name] = means.get(name, 0) + value.detach() / n_parts
        return means

    def _average_buffers(self) -> None:
        """Let all processes go on with the mean of their running statistics."""
        if self.accelerator.num_processes == 1:
            return
        buffers = [b for b in self.module.buffers() if b.is_floating_point()]
        if buffers:
            mean = self.accelerator.reduce(torch.cat([b.flatten() for b in buffers]), "mean")
            for buffer, part in zip(buffers, mean.split([b.numel() for b in buffers]), strict=True):
                buffer.copy_(part.view_as(buffer))

    def _fetch_losses(self) -> None:
        """Bring the losses of the last steps into the history.

        Raises
        ------
        FloatingPointError
            If a loss is not a finite number.
        """
        records = {}
        for step, losses in self._unread:
            record = {name: float(value) for name, value in losses.items()}
            if not math.isfinite(record["loss"]):
                raise FloatingPointError(
                    f"loss is {record['loss']} at step {step}: lower the learning rate or look "
                    f"at the crops; the last checkpoint is {self.checkpoint}"
                )
            self.history.append({"step": step, **record})
            records[step] = record
        self._unread.clear()
        if self._curves is not None:
            self._curves.add(records, self.optimizer.param_groups[0]["lr"])

    def save(self) -> None:
        """Write the checkpoint; one process writes.

        Raises
        ------
        DataError
            If the disk is full; the last checkpoint stays.
        """
        self._fetch_losses()
        if not self.accelerator.is_main_process:
            return
        state = {
            "step": self.step,
            "run": self._run(),
            "changes": self.changes,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self._ema,
            "history": self.history,
            "extra": self.extra_state.state_dict() if self.extra_state is not None else None,
        }
        self._states.save(state)

    def _load(self) -> int:
        state = self._states.load()
        if state is None:
            return 0
        own = {name: value.shape for name, value in self.module.state_dict().items()}
        if own != {name: value.shape for name, value in state["module"].items()}:
            log.warning("%s: of another version of the network; starting anew", self.checkpoint)
            return 0
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["ema"] is not None:
            self._ema = placed(state["ema"], self.module)
        self.history = state["history"]
        if self.extra_state is not None:
            self.extra_state.load_state_dict(state["extra"])
        log.info("continuing from step %d (%s)", state["step"], self.checkpoint)
        self.changes = list(state.get("changes", ()))
        # None: written before checkpoints knew it.
        if (before := state.get("run")) is not None and before != self._run():
            change = f"from step {state['step']} on {_run_text(self._run())}"
            change += f", before {_run_text(before)}"
            log.warning("%s: the weights will be those of neither", change)
            self.changes.append(change)
        return state["step"]

    def _run(self) -> dict[str, Any]:
        """Return what shapes the weights and is not in the config: the machine decides it."""
        accelerator = self.accelerator
        return {"precision": precision_of(accelerator), "processes": accelerator.num_processes}

    def averaged_state(self) -> dict[str, Tensor]:
        """Return the weights to keep: the running average, or the last ones without one."""
        return self._ema if self._ema is not None else self.module.state_dict()

    @contextlib.contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Lend the module the weights to keep, for a validation in between."""
        if self._ema is None:
            yield
            return
        current = _copy_state(self.module)
        self.module.load_state_dict(self._ema)
        try:
            yield
        finally:
            self.module.load_state_dict(current)

    def finish(self) -> None:
        """Put the weights to keep into the module."""
        self.module.load_state_dict(self.averaged_state())
        self.module.eval()

    def forget(self) -> None:
        """Remove the checkpoints, once what was trained is safely written."""
        self._states.forget()


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Return whether weight decay applies to a parameter: to matrices and filters alone.

    Biases, scales of normalisations and slopes of activations are vectors; tables of positions
    (`relative_position_bias_table` of a Swin Transformer, `pos_embed`) are not, but decay would
    pull an offset towards 0 all the same. Matrices and filters are called `weight` throughout.
    """
    return parameter.ndim > 1 and name.endswith("weight")


def _make_optimizer(module: nn.Module, settings: Optim) -> torch.optim.Optimizer:
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            key = ("encoder" in name.split("."), decays(name, parameter))
            groups.setdefault(key, []).append(parameter)
    listed = []
    for (in_encoder, shrinks), parameters in groups.items():
        peak = settings.learning_rate * (1.0 if in_encoder else settings.head_factor)
        decay = settings.weight_decay if shrinks else 0.0
        listed.append({"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay})
    kind = Adam if settings.optimizer == "adam" else AdamW
    # One pass over memory instead of ten: 11 instead of 71 ms for 20 M weights on a CPU.
    return kind(listed, fused=True)


def _run_text(run: dict[str, Any]) -> str:
    return f"in {run['precision']} by {run['processes']} process(es)"


def _copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


@torch.no_grad()
def _average(ema: dict[str, Tensor], module: nn.Module, decay: float, step: int) -> None:
    # Early on the average follows closely, or the random start would weigh in for long.
    decay = min(decay, (1 + step) / (10 + step))
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            ema[name].lerp_(value, 1 - decay)
        else:
            ema[name].copy_(value)
