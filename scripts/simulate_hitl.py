"""Simulate figure 10's comparison on the LVM's features, and the sweep over alpha."""

import shutil
from itertools import product

import numpy as np
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.hitl import TrainingSets
from galaxy_lvm.core.logs import job_log, log, progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.hitl.measures import CHANCE, chance_metrics
from galaxy_lvm.hitl.pools import read_galaxies, resolve_targets
from galaxy_lvm.hitl.scored import ScoredResults
from galaxy_lvm.hitl.settings import settings_from
from galaxy_lvm.hitl.simulate import Task, compare, kept_result, open_task, sweep_alpha
from galaxy_lvm.report.results import long_rows
from threadpoolctl import threadpool_limits


def main(
    features: str,
    splits: str,
    cutouts: str,
    metrics: str,
    scored: str,
    state_root: str,
    recipe_version: int,
    settings: TrainingSets,
    seed: int,
    threads: int = 1,
) -> None:
    """Write the scores of every training set, and of every alpha, on the test split.

    Parameters
    ----------
    features
        Features of the galaxies (`.npy` with ids).
    splits, cutouts
        Splits of the dataset, and its cutout store for the catalogue.
    metrics
        Long-format CSV to write: experiments `hitl` and `alpha`.
    scored
        Parquet to write: the scores of single test galaxies.
    state_root, recipe_version
        Folder for finished repetitions; the version of the rule that it belongs to.
    settings
        Of the config's section `hitl`.
    seed, threads
        The run's seed; CPU threads.
    """
    galaxies = read_galaxies(splits, cutouts)
    settings = resolve_targets(settings, galaxies)
    task = open_task(features, galaxies, settings)
    key = [settings.model_dump(mode="json"), seed]
    state = state_folder(state_root, recipe_version, key, [features, splits, cutouts])
    ids = task.test_pool.ids_of(np.arange(len(task.test_truth)))
    results = ScoredResults(settings.comparison.target, ids, task.test_truth)
    with threadpool_limits(threads):
        add_comparison(results, task, settings, state, seed)
        add_sweep(results, task, settings, state, seed)
    results.write(metrics, scored)
    shutil.rmtree(state)


def add_comparison(
    results: ScoredResults, task: Task, settings: TrainingSets, state: str, seed: int
) -> None:
    """Add the experiment `hitl`; chance has no training set, and scores no galaxy."""
    session, comparison = settings_from(settings), settings.comparison
    chance = chance_metrics(task.test_truth)
    results.rows += long_rows("hitl", comparison.target, CHANCE, "train=0", 0, chance)
    for number in progress(range(comparison.n_seeds), desc="comparison", unit="seeds"):

        def make(number: int = number) -> list:
            # Seed by seed the same training sets as those of the network on images.
            scores, skipped = compare(
                task, session, comparison, comparison.rules, derive_seed(seed, "hitl", number)
            )
            return [[*key, found] for key, found in scores.items()] + [[skipped]]

        *rankers, (skipped,) = kept_result(state, ["comparison", number], make)
        for model, condition, found in rankers:
            results.add("hitl", model, condition, number, found)
    for condition, reason in skipped.items():
        log.warning("figure 10: %s is left out: %s", condition, reason)


def add_sweep(
    results: ScoredResults, task: Task, settings: TrainingSets, state: str, seed: int
) -> None:
    """Add the experiment `alpha`: one model for each reading of lower scores."""
    session = settings_from(settings)
    comparison, sweep = settings.comparison, settings.sweep
    runs = list(product(sweep.lower, sweep.alphas, range(sweep.n_seeds)))
    for lower, alpha, number in progress(runs, desc="alpha", unit="sessions"):
        changed = session.changed(lower=lower, alpha=alpha)
        plan = (comparison.few_per_class, sweep.n_rounds, settings.n_recommended)
        asked = (changed, *plan, derive_seed(seed, "hitl", number))
        found = kept_result(
            state, ["alpha", lower, alpha, number], lambda asked=asked: sweep_alpha(task, *asked)
        )
        results.add("alpha", lower, f"alpha={alpha:g}", number, found)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            cutouts=snakemake.input.cutouts,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            scored=snakemake.output.scored,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            settings=section(TrainingSets, snakemake.params.settings, "hitl"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
