"""Rank that true and shuffled labels of few stars take, and whether singular values stand still."""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from galaxy_lvm.core.cards import read_card
from galaxy_lvm.core.config.layers import Capacity, Layers
from galaxy_lvm.core.config.spectra import Finetuning
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.layers.decompose import Score, enough_share, score_by_layer, score_by_rank
from galaxy_lvm.layers.matrices import Matrix, matrices_of
from galaxy_lvm.layers.stars import skill_of
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.spectra.networks import load_for, load_network, save_network
from galaxy_lvm.spectra.stars import SplitStars, Stars
from galaxy_lvm.spectra.train import StarFeed
from galaxy_lvm.training.job import JobFiles, TrainingJob

EXPERIMENT = "layers_capacity"
Labels = Literal["true", "shuffled"]
LABELS: tuple[Labels, ...] = ("true", "shuffled")
# Between here and the end lie the last two looks at the singular values.
_LATE_SHARE = 0.9


def capacity_stars(stars: SplitStars, n_stars: int, labels: Labels, seed: int) -> Stars:
    """Return so many training stars, each number's among the next one's.

    Parameters
    ----------
    stars
        The three parts.
    n_stars
        How many.
    labels
        shuffled gives every star the labels of another: what is learned then is learned by heart.
    seed
        The run's seed.

    Raises
    ------
    DataError
        If there are fewer, or half of the spectra are of one star.
    """
    if n_stars > len(stars.train):
        raise DataError(
            f"layers.capacity.n_stars: {n_stars} of {len(stars.train)} training stars; choose "
            "smaller numbers, or spectra of more stars"
        )
    rng = np.random.default_rng(derive_seed(seed, "layers", "capacity"))
    found = stars.train.take(rng.permutation(len(stars.train))[:n_stars])
    if labels == "true":
        return found
    return replace(found, labels=found.labels[_of_others(found.ids, rng)])


def _of_others(ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows (n,), each once and in no order, never one of the same star."""
    numbers, stars = pd.factorize(ids)
    most = np.bincount(numbers).max()
    if 2 * most > len(ids):
        raise DataError(
            f"layers.capacity.n_stars: {most} of {len(ids)} spectra are of the star "
            f"{stars[np.bincount(numbers).argmax()]}, which leaves it no labels of others; choose "
            "larger numbers, or spectra of more stars"
        )
    # A star's spectra side by side, stars in any order: a shift by the most that one has leaves it.
    order = np.argsort(rng.permutation(len(stars))[numbers], kind="stable")
    rows = np.empty_like(order)
    rows[order] = np.roll(order, most)
    return rows


class LateValues:
    """The singular values late in a training; travel with its checkpoint."""

    def __init__(self, module: nn.Module, steps: int) -> None:
        self.module, self.step = module, round(_LATE_SHARE * steps) - 1
        self.values: dict[str, Tensor] = {}

    def look(self, step: int) -> None:
        """Take the values behind the step that is late enough."""
        if step == self.step or not self.values and step > self.step:
            self.values = singular_values(self.module)

    def state_dict(self) -> dict[str, Any]:
        """Return all that is kept."""
        return {"values": self.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.values = state["values"]


def singular_values(module: nn.Module) -> dict[str, Tensor]:
    """Return the singular values of every matrix of a network, largest first."""
    return {m.name: torch.from_numpy(_values(m, module)) for m in matrices_of(module)}


def _values(matrix: Matrix, module: nn.Module) -> np.ndarray:
    return np.linalg.svd(matrix.read(module), compute_uv=False)


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> float:
    """Return by how much singular values moved: root of the squared change over squared values."""
    change = sum(float((after[name] - values).square().sum()) for name, values in before.items())
    return float(np.sqrt(change / sum(float(v.square().sum()) for v in after.values())))


def train_capacity(
    stars: Stars,
    start: str | os.PathLike,
    origin: str | os.PathLike,
    labels: Labels,
    settings: Capacity,
    seed: int,
    files: JobFiles,
) -> None:
    """Train the network of stage 1 on few stars, without added noise; its card says what moved.

    Parameters
    ----------
    stars
        Of `capacity_stars`.
    start
        Weights of stage 1.
    origin
        Store that the stars are from; written anew, the training starts anew.
    labels
        What their labels are.
    settings
        Batch, updates.
    seed
        The run's seed.
    files
        What to write, and where the unfinished lies.
    """
    own_seed = derive_seed(seed, "layers", "capacity", labels, len(stars))
    job = TrainingJob(settings.optim, own_seed, files)
    module = load_for(start, stars)
    module.add_labels(stars.label_names)
    module.whiten.fit(stars.flux, stars.error)
    late = LateValues(module, settings.optim.steps)
    read = [stars.ids.tolist(), stars.label_names, stars.continuum_angstrom]
    settled = [settings.model_dump(), labels, job.seed, *read, asdict(module.about)]
    job.prepare(module, settled, [origin, start], late)
    size = min(settings.batch_size, len(stars))
    as_they_are = Finetuning(batch_size=size, added_noise=0.0)
    feed = StarFeed(stars, as_they_are, job.seed, **job.place, wanted=module.labels)
    job.run(feed.batch, f"{labels} labels of {len(stars)} stars", late.look)
    about = {"capacity": settings.model_dump(), "n_train": len(stars), "label_order": labels}
    card = {**about, "seed": job.seed, "moved": moved(late.values, singular_values(module))}
    card["continuum_angstrom"] = stars.continuum_angstrom
    job.write(save_network, module, card)


def capacity_rows(
    weights: Sequence[str | os.PathLike], stars: SplitStars, settings: Layers, seed: int
) -> list[dict]:
    """Return rows of the long table: skill, rank that keeps it, and what moved at the end.

    `own` is the skill on the stars that were learned from, `val` on validation stars; `share_all`
    and `share_single` the share of the rank that keeps `layers.enough` of `own`, all matrices at
    once and one at a time (mean, weighted by rank); `moved` as the card says.
    """
    rows = []
    for path in weights:
        card = read_card(path)
        learned = capacity_stars(stars, card["n_train"], card["label_order"], seed)
        module = load_network(path).eval()
        own = skill_of(learned, learned)
        values = {"own": own(module), "val": skill_of(stars.val, stars.train)(module)}
        values |= _shares(module, own, settings, seed) | {"moved": card["moved"]}
        condition = f"train={len(learned)}"
        rows += long_rows(EXPERIMENT, card["label_order"], "network", condition, seed, values)
    return rows


def _shares(module: nn.Module, score: Score, settings: Layers, seed: int) -> dict[str, float]:
    matrices = matrices_of(module)
    rows = score_by_layer(module, matrices, score, settings, seed)
    by_svd = score_by_rank(module, matrices, {"val": score}, settings, seed, ("svd",))
    table = pd.DataFrame([*rows, *by_svd])
    wide = table.pivot(index=["task", "condition"], columns="metric", values="value")
    shares = {
        str(task): enough_share(part["share"], part["val"], settings.enough)
        for task, part in wide.groupby(level="task")
    }
    ranks = [min(matrix.read(module).shape) for matrix in matrices]
    single = np.average([shares[matrix.name] for matrix in matrices], weights=ranks)
    return {"share_all": shares["all"], "share_single": float(single)}
