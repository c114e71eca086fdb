"""Rank galaxies by how unusual their features are; test it with oddities put into real crops."""

from functools import partial

import numpy as np
import pandas as pd
import torch
from galaxy_lvm.core.config.extensions import Outliers
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.features.file_rows import ChosenRows
from galaxy_lvm.features.outlier_detectors import OutlierDetectors
from galaxy_lvm.features.outlier_trials import (
    baseline_scores,
    kinds_of_crops,
    oddity_rows,
    pixel_baseline,
    rare_kind_rows,
    score_in_blocks,
    score_oddities,
)
from galaxy_lvm.features.outliers import BASELINE
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.lvm.weights import lvm_shape
from galaxy_lvm.report.results import write_results
from galaxy_lvm.survey.rows import sample_rows
from galaxy_lvm.survey.splits_table import COLUMNS, Splits


def main(
    features: str,
    crops: str,
    cutouts: str,
    splits: str,
    lvm: str,
    metrics: str,
    scores: str,
    oddities: str,
    settings: Outliers,
    feature_settings: Features,
    seed: int,
    threads: int = 1,
) -> None:
    """Write the scores of all galaxies, those of the oddities, and how well these are found.

    Parameters
    ----------
    features, lvm, feature_settings
        Feature vectors, the weights they come from and the config's section `features`.
    crops, cutouts, splits
        Labelled dataset; the cutout store holds the catalogue.
    metrics, scores, oddities
        Long-format CSV; scores of all galaxies and of the injected oddities (parquet).
    settings
        The config's section `extensions.outliers`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    table = Splits(splits).table[list(COLUMNS)]
    store = FeatureStore.open(features)
    values = ChosenRows(store.rows, store.rows_of(table["id"]))
    reference = _reference(table["split"].to_numpy(), settings.n_reference, seed)
    n_fine = lvm_shape(lvm).n_fine
    detect = partial(OutlierDetectors, settings=settings, seed=seed, n_fine=n_fine)
    detectors = detect(values[reference])
    galaxies = pd.concat([table, score_in_blocks(detectors, values, reference)], axis=1)
    plain = galaxies[galaxies["split"] == "test"].reset_index(drop=True)
    baseline = pixel_baseline(crops, table.loc[reference, "index"].to_numpy(), seed)
    plain[BASELINE] = baseline_scores(baseline, crops, plain["index"].to_numpy())
    odd = score_oddities(
        plain, baseline, crops, store, lvm, detectors, settings, feature_settings, seed
    )
    kinds = kinds_of_crops(cutouts, crops, table["index"].to_numpy(), settings.kind_column)
    rows = oddity_rows(plain, odd, settings.list_shares, seed)
    rows += rare_kind_rows(galaxies, values, reference, kinds, detect, settings, seed)
    write_results(metrics, rows)
    for path, frame in ((scores, galaxies), (oddities, odd)):
        save_table(path, frame)


def _reference(split: np.ndarray, n_wanted: int, seed: int) -> np.ndarray:
    """Return which galaxies are the usual ones: at most `n_wanted` of the training split."""
    train = np.flatnonzero(split == "train")
    reference = np.zeros(len(split), dtype=bool)
    reference[train[sample_rows(len(train), n_wanted, derive_seed(seed, "reference"))]] = True
    return reference


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            cutouts=snakemake.input.cutouts,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            lvm=snakemake.input.lvm,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            scores=snakemake.output.scores,  # noqa: F821
            oddities=snakemake.output.oddities,  # noqa: F821
            settings=section(
                Outliers,
                snakemake.params.settings,  # noqa: F821
                "extensions.outliers",
            ),
            feature_settings=section(
                Features,
                snakemake.params.feature_settings,  # noqa: F821
                "features",
            ),
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
