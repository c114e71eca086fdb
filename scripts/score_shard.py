"""Score how unusual the galaxies of one shard of a dataset are."""

from functools import partial

import numpy as np
import torch
from galaxy_lvm.core.config.extensions import Outliers
from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.outlier_detectors import OutlierDetectors
from galaxy_lvm.features.outlier_ranks import write_no_scores, write_scores
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.lvm.weights import lvm_shape
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.rows import sample_rows
from threadpoolctl import threadpool_limits


def main(
    features: str,
    crops: str,
    lvm: str,
    scores: str,
    shard: str | None,
    settings: Outliers,
    seed: int,
    threads: int = 1,
) -> None:
    """Write the scores; what is usual is a sample of the whole dataset, the same for all shards.

    Parameters
    ----------
    features, crops
        Vectors and crops of the whole dataset.
    lvm
        The weights that the vectors come from.
    scores
        Parquet file to write.
    shard
        Name of the shard; None for a dataset in one file.
    settings
        The config's section `extensions.outliers`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    store = FeatureStore.open(features)
    reference = sample_rows(len(store), settings.n_reference, derive_seed(seed, "reference"))
    detect = partial(OutlierDetectors, settings=settings, seed=seed, n_fine=lvm_shape(lvm).n_fine)
    with CropStore(crops) as opened, threadpool_limits(threads):
        rows = slice(0, len(opened)) if shard is None else opened.rows_of_shard(shard)
        if rows.start == rows.stop:  # the shard was left out
            write_no_scores(scores)
            return
        detectors = detect(np.asarray(store.rows[reference]))
        write_scores(scores, detectors, store, reference, opened, rows)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            lvm=snakemake.input.lvm,  # noqa: F821
            scores=snakemake.output.scores,  # noqa: F821
            shard=snakemake.params.shard,  # noqa: F821
            settings=section(Outliers, snakemake.params.settings, "extensions.outliers"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
