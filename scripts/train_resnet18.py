"""Train ResNet18 on images, from scratch, with figure 10's two larger training sets."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.hitl.measures import comparison_metrics
from galaxy_lvm.hitl.pools import read_galaxies, resolve_targets, truth_of
from galaxy_lvm.hitl.settings import sizes_from
from galaxy_lvm.hitl.simulate import POOL_SPLITS, kept_result, training_sets
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.survey.splits_table import Galaxies
from galaxy_lvm.training.model_specs import model_specs
from galaxy_lvm.training.network import NetworkTrainer
from galaxy_lvm.training.network_settings import settings_from

MODEL = "resnet18"
SPEC = model_specs([{"model": MODEL}])[0]


def main(
    crops: str,
    splits: str,
    cutouts: str,
    metrics: str,
    state_root: str,
    recipe_version: int,
    settings: dict,
    sections: dict,
    seed: int,
    threads: int = 1,
) -> None:
    """Write the scores of ResNet18 on the test split.

    Its training sets are those of the LVM with the same number of a repetition. The step to keep is
    chosen on the validation split, as in the few-shot comparison; the LVM's ranker has no choice.

    Parameters
    ----------
    crops, splits, cutouts
        The dataset: images, splits, and the store with the catalogue.
    metrics
        Long-format CSV to write, experiment `hitl`.
    state_root, recipe_version
        Folder for checkpoints and finished trainings; the version of the rule that it belongs to.
    settings
        The config's section `hitl`.
    sections
        The config's sections fewshot, features and baselines: the protocol of networks.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    table = read_galaxies(splits, cutouts)
    settings = resolve_targets(settings, table)
    comparison, galaxies = settings["comparison"], labelled(table, settings)
    sizes = sizes_from(comparison)
    trainer = NetworkTrainer(SPEC, crops, None, settings_from(sections), galaxies["test"], 2)
    sources = [crops, splits, cutouts]
    state = state_folder(state_root, recipe_version, [settings, sections, seed], sources)
    rows, truth = [], galaxies["train"].labels == 1
    n_seeds = {
        sizes.n_big: comparison["n_resnet18_big_seeds"],
        2 * sizes.small_per_class: comparison["n_resnet18_seeds"],
    }
    for number in range(max(n_seeds.values())):
        its_seed = derive_seed(seed, "hitl", number)
        sets, skipped = training_sets(truth, sizes, its_seed)
        for n_labels in [count for count, seeds in n_seeds.items() if number < seeds]:
            condition = f"train={n_labels}"
            if condition in skipped:
                log.warning("figure 10: %s is left out: %s", condition, skipped[condition])
                continue
            train, folder = galaxies["train"].take(sets[condition]), state / f"{number}_{n_labels}"
            make = partial(train_and_score, trainer, train, galaxies, its_seed, folder)
            values = kept_result(state, [number, condition], make)
            rows += long_rows("hitl", comparison["target"], MODEL, condition, number, values)
    write_results(metrics, rows, may_be_empty=True)  # few galaxies, room for no training set
    if rows:
        shutil.rmtree(state)


def train_and_score(
    trainer: NetworkTrainer, train: Galaxies, galaxies: dict, seed: int, folder: Path
) -> dict[str, float]:
    """Return the test scores of one training."""
    fit = trainer.fit(train, galaxies["val"], seed, folder)
    return comparison_metrics(galaxies["test"].labels == 1, fit.shares[:, 1])


def labelled(galaxies: pd.DataFrame, settings: dict) -> dict[str, Galaxies]:
    """Return training, validation and test galaxies with label 1 for the target, 0 for the rest."""
    truth = truth_of(galaxies, settings, settings["comparison"]["target"])
    index = galaxies["index"].to_numpy(np.int64)
    parts = {"train": POOL_SPLITS, "val": ("val",), "test": ("test",)}
    chosen = {part: galaxies["split"].isin(names).to_numpy() for part, names in parts.items()}
    return {
        part: Galaxies(
            index[rows],
            galaxies.loc[rows, "id"].to_numpy(object),
            truth[rows].astype(np.int64),
        )
        for part, rows in chosen.items()
    }


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            cutouts=snakemake.input.cutouts,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            settings=snakemake.params.settings,  # noqa: F821
            sections=snakemake.params.sections,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
