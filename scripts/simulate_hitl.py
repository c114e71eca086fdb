"""Simulate figure 10's comparison on the LVM's features, and the sweep over alpha."""

import shutil

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.hitl import OnFeatures, TrainingSets
from galaxy_lvm.core.logs import job_log, log, progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.hitl.measures import CHANCE, chance_metrics
from galaxy_lvm.hitl.pools import read_galaxies, resolve_targets
from galaxy_lvm.hitl.settings import SessionSettings, settings_from
from galaxy_lvm.hitl.simulate import Task, compare, kept_result, open_task, sweep_alpha
from galaxy_lvm.report.results import long_rows, write_results
from threadpoolctl import threadpool_limits


def main(
    features: str,
    splits: str,
    cutouts: str,
    metrics: str,
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
    session = settings_from(settings)
    with threadpool_limits(threads):
        rows = comparison_rows(task, session, settings.comparison, state, seed)
        rows += sweep_rows(task, session, settings, state, seed)
    write_results(metrics, rows)
    shutil.rmtree(state)


def comparison_rows(
    task: Task, session: SessionSettings, comparison: OnFeatures, state: str, seed: int
) -> list[dict]:
    """Return the rows of experiment `hitl`; those of chance have no training set."""
    target = comparison.target
    rows = long_rows("hitl", target, CHANCE, "train=0", 0, chance_metrics(task.test_truth))
    for number in progress(range(comparison.n_seeds), desc="comparison", unit="seeds"):

        def make(number: int = number) -> list:
            # Seed by seed the same training sets as those of the network on images.
            scores, skipped = compare(
                task, session, comparison, comparison.rules, derive_seed(seed, "hitl", number)
            )
            return [[*key, values] for key, values in scores.items()] + [[skipped]]

        *results, (skipped,) = kept_result(state, ["comparison", number], make)
        for model, condition, values in results:
            rows += long_rows("hitl", target, model, condition, number, values)
    for condition, reason in skipped.items():
        log.warning("figure 10: %s is left out: %s", condition, reason)
    return rows


def sweep_rows(
    task: Task, session: SessionSettings, settings: TrainingSets, state: str, seed: int
) -> list[dict]:
    """Return the rows of experiment `alpha`: one model for each reading of lower scores."""
    rows, comparison, sweep = [], settings.comparison, settings.sweep
    runs = [
        (lower, alpha, number)
        for lower in sweep.lower
        for alpha in sweep.alphas
        for number in range(sweep.n_seeds)
    ]
    for lower, alpha, number in progress(runs, desc="alpha", unit="sessions"):
        changed = session.changed(lower=lower, alpha=alpha)
        plan = (comparison.few_per_class, sweep.n_rounds, settings.n_recommended)
        asked = (changed, *plan, derive_seed(seed, "hitl", number))
        values = kept_result(
            state, ["alpha", lower, alpha, number], lambda asked=asked: sweep_alpha(task, *asked)
        )
        rows += long_rows("alpha", comparison.target, lower, f"alpha={alpha:g}", number, values)
    return rows


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            cutouts=snakemake.input.cutouts,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            settings=section(TrainingSets, snakemake.params.settings, "hitl"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
