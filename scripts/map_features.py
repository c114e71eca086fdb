"""Lay the galaxies out on a plane by their features."""

from galaxy_lvm.core.config.extensions import FeatureMap
from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.features.embedding import embed, map_scores
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.survey.rows import sample_rows
from galaxy_lvm.survey.splits_table import COLUMNS, Splits
from threadpoolctl import threadpool_limits


def main(
    features: str,
    splits: str,
    metrics: str,
    places: str,
    settings: FeatureMap,
    seed: int,
    threads: int = 1,
) -> None:
    """Write the place of every galaxy of a sample, and what the map keeps.

    Parameters
    ----------
    features, splits
        Feature vectors and splits of the labelled dataset.
    metrics, places
        Long-format CSV; `index`, `id`, `split`, `label`, `x`, `y` (parquet) to write.
    settings
        The config's section `extensions.map`.
    seed, threads
        The run's seed; CPU threads.
    """
    table = Splits(splits).table[list(COLUMNS)]
    rows = sample_rows(len(table), settings.max_galaxies, derive_seed(seed, "map sample"))
    log.info("%d of %d galaxies are on the map", len(rows), len(table))
    sample = table.iloc[rows].reset_index(drop=True)
    values = FeatureStore.open(features).take(sample["id"])
    labels = sample["label"].to_numpy(dtype=object)
    with threadpool_limits(threads):
        xy = embed(values, settings.perplexity, settings.n_components, seed)
        scores = map_scores(values, xy, labels, seed)
    scores |= {"n_shown": len(sample), "n_galaxies": len(table)}
    write_results(metrics, long_rows("map", "t-SNE", "lvm", "", seed, scores))
    save_table(places, sample.assign(label=labels, x=xy[:, 0], y=xy[:, 1]))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            places=snakemake.output.places,  # noqa: F821
            settings=section(FeatureMap, snakemake.params.settings, "extensions.map"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
