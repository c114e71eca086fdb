"""Choose the galaxies that the LVM is pretrained on: none that a model is chosen or scored by."""

from collections.abc import Sequence
from pathlib import Path

import cv2
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.survey.pool import PoolFiles, gather_pool


def main(
    names: Sequence[str],
    crops: Sequence[str],
    cutouts: Sequence[str],
    labelled: Sequence[str],
    splits: Sequence[str],
    pretrain_on: Sequence[str],
    duplicate_arcsec: float,
    pool: str,
    state_root: str | Path | None = None,
    threads: int = 1,
) -> None:
    """Write the table of the pool.

    Parameters
    ----------
    names, crops, cutouts
        All datasets that are pretrained on or have labels, and their files in the same order.
    labelled, splits
        Those with labels, and their splits in the same order.
    pretrain_on
        Those to pretrain on.
    duplicate_arcsec
        Positions closer than this are one galaxy.
    pool
        Parquet to write, see `gather_pool`.
    state_root
        Folder of unfinished work, from which a job that was killed goes on.
    threads
        Processes that compare crops.
    """
    cv2.setNumThreads(1)
    splits_of = dict(zip(labelled, splits, strict=True))
    files = {
        name: PoolFiles(crops_path, cutouts_path, splits_of.get(name))
        for name, crops_path, cutouts_path in zip(names, crops, cutouts, strict=True)
    }
    gather_pool(pool, files, pretrain_on, duplicate_arcsec, state_root, threads)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            names=snakemake.params.names,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            cutouts=snakemake.input.cutouts,  # noqa: F821
            labelled=snakemake.params.labelled,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            pretrain_on=snakemake.params.pretrain_on,  # noqa: F821
            duplicate_arcsec=snakemake.params.duplicate_arcsec,  # noqa: F821
            pool=snakemake.output.pool,  # noqa: F821
            # No param: a new one would make the pool of finished runs again, and all trainings.
            state_root=Path(snakemake.output.pool).parents[1] / "state" / "gather_pool",  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
