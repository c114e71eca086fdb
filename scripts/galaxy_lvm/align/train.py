"""Training on pairs: which star is which, and what the other spectrum looks like."""

import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from galaxy_lvm.align.network import AlignedNetworks, architecture, save_aligned
from galaxy_lvm.align.pairs import SIDES, Pairs
from galaxy_lvm.core.config.align import AlignTraining, Experiment
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.training.feed import Sampler, local_share
from galaxy_lvm.training.job import JobFiles, TrainingJob


class PairFeed:
    """Shuffled epochs of pairs, each spectrum with new noise as large as a share of its errors."""

    def __init__(
        self,
        pairs: Pairs,
        batch_size: int,
        added_noise: float,
        seed: int,
        rank: int,
        world_size: int,
    ) -> None:
        self.pairs, self.added_noise, self.seed = pairs, added_noise, seed
        self.rank, self.world_size = rank, world_size
        # A star twice in a batch tells nothing.
        size = min(batch_size, len(pairs))
        self.sampler = Sampler(len(pairs), size, derive_seed(seed, "sampler"))

    def batch(self, step: int, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Return the arguments of `AlignedNetworks.forward`."""
        rows = local_share(self.sampler.positions(step), self.rank, self.world_size)
        rng = np.random.default_rng(derive_seed(self.seed, "noise", step, self.rank))
        values = {"star": torch.from_numpy(rows).to(device)}
        for name in SIDES:
            side = getattr(self.pairs, name)
            flux, size = side.flux[rows], self.added_noise * np.nan_to_num(side.error[rows])
            noisy = flux + size * rng.standard_normal(flux.shape, np.float32)
            values[name] = torch.from_numpy(flux).to(device)
            values[f"seen_{name}"] = torch.from_numpy(noisy.astype(np.float32)).to(device)
        return values


def align(
    train: Pairs,
    origin: Sequence[str | os.PathLike],
    experiment: Experiment,
    settings: AlignTraining,
    seed: int,
    files: JobFiles,
) -> None:
    """Train both sides' networks; go on where an earlier run was killed.

    Parameters
    ----------
    train
        Pairs to learn from.
    origin
        The stores that they are from; written anew, the training starts anew.
    experiment
        What makes a pair.
    settings
        Sizes, batch, updates.
    seed
        The run's seed.
    files
        What to write, and where the unfinished lies.
    """
    job = TrainingJob(settings.optim, derive_seed(seed, "align", experiment), files)
    module = AlignedNetworks(architecture(settings.shape, train), settings.translation_weight)
    module.fit(train, settings.added_noise)
    job.prepare(module, [settings.model_dump(), job.seed, train.ids.tolist()], origin)
    feed = PairFeed(train, settings.batch_size, settings.added_noise, job.seed, **job.place)
    job.run(feed.batch, f"alignment of {len(train)} pairs ({experiment})")
    card = {"experiment": experiment, "align": settings.model_dump(), "seed": job.seed}
    job.write(save_aligned, module, {**card, "n_train": len(train)})
