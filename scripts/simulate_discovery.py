"""Simulate searches in a pool from a few positives (paper V.C), by every selection rule."""

import shutil

import pandas as pd
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.hitl import Searches
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import job_log, progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.hitl.discovery import Search, open_search, search_runs, targets_table
from galaxy_lvm.hitl.pools import read_galaxies, resolve_targets
from galaxy_lvm.hitl.settings import settings_from
from galaxy_lvm.hitl.simulate import discover, kept_result, recommend
from galaxy_lvm.report.results import long_rows, write_results
from threadpoolctl import threadpool_limits


def main(
    features: str,
    splits: str,
    cutouts: str,
    metrics: str,
    recommended: str,
    targets: str,
    state_root: str,
    recipe_version: int,
    settings: Searches,
    seed: int,
    threads: int = 1,
) -> None:
    """Write how the searches went, what they recommend, and which targets the pool has.

    Parameters
    ----------
    features, splits, cutouts
        Features of the galaxies (`.npy` with ids), splits, and the store with the catalogue.
    metrics, recommended
        Long-format CSV (experiment `discovery`) and figure 7's galaxies (parquet) to write.
    targets
        CSV to write: how common every target is, or why it could not be searched for.
    state_root, recipe_version
        Folder for finished searches; the version of the rule that it belongs to.
    settings
        Of the config's section `hitl`.
    seed, threads
        The run's seed; CPU threads.
    """
    galaxies = read_galaxies(splits, cutouts)
    settings = resolve_targets(settings, galaxies)
    key, n_prompts = [settings.model_dump(mode="json"), seed], settings.discovery.n_prompts
    state = state_folder(state_root, recipe_version, key, [features, splits, cutouts])
    table = targets_table(galaxies, settings.targets, n_prompts, derive_seed(seed, "rare"))
    save_table(targets, table)
    searched = table.loc[table["searched"], "target"].tolist()
    if not searched:
        raise DataError(f"none of hitl.targets can be searched for in this pool; see {targets}")
    rows, shown = [], []
    with threadpool_limits(threads):
        for name in searched:
            search = open_search(features, galaxies, name, settings, derive_seed(seed, "rare"))
            runs = list(search_runs(settings.discovery, search.votes is not None))
            for run in progress(runs, desc=name, unit="searches"):
                rows += search_rows(search, run, settings, state, seed)
            shown.append(shown_galaxies(search, settings, seed))
    write_results(metrics, rows)
    save_table(recommended, pd.concat(shown))
    shutil.rmtree(state)


def search_rows(
    search: Search, run: tuple[str, str, int], settings: Searches, state: str, seed: int
) -> list[dict]:
    """Return the rows of one search (rule, annotator, number): a condition for every round."""
    rule, annotator, number = run
    discovery, its_seed = settings.discovery, derive_seed(seed, "discovery", number)

    def make() -> list[dict[str, float]]:
        ask = search.annotator(annotator, discovery.flip_rate, its_seed)
        return discover(
            search.pool, search.truth, ask, settings_from(settings).changed(rule=rule),
            discovery.n_prompts, discovery.n_rounds, settings.n_recommended, its_seed,
            search.whitening,
        )  # fmt: skip

    rows, rounds = [], kept_result(state, [search.name, *run], make)
    for count, values in enumerate(rounds):
        condition = f"annotator={annotator} round={count}"
        rows += long_rows("discovery", search.name, rule, condition, number, values)
    return rows


def shown_galaxies(search: Search, settings: Searches, seed: int) -> pd.DataFrame:
    """Return figure 7's galaxies of one target: the first search of the alpha rule."""
    n_rounds = settings.targets[search.name].n_rounds_shown
    discovery, its_seed = settings.discovery, derive_seed(seed, "discovery", 0)
    table = recommend(
        search.pool, search.truth, settings_from(settings), discovery.n_prompts, n_rounds,
        settings.n_recommended, discovery.n_shown, its_seed, search.whitening,
    )  # fmt: skip
    return table.assign(target=search.name, n_rounds=n_rounds)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            cutouts=snakemake.input.cutouts,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            recommended=snakemake.output.recommended,  # noqa: F821
            targets=snakemake.output.targets,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            settings=section(Searches, snakemake.params.settings, "hitl"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
