"""List the files of a dataset that lies in several, so that everything reads them as one store."""

from collections.abc import Sequence

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.survey.shards import write_index


def main(shards: Sequence[str], names: Sequence[str], cutouts: str) -> None:
    """Write the index of a dataset's cutout files.

    Parameters
    ----------
    shards, names
        The files, read in place, and what each is called.
    cutouts
        Index to write.

    Raises
    ------
    DataError
        If a file is missing, damaged or unlike the others; all are looked at before.
    """
    write_index(cutouts, shards, names, "copy the file again, or take it out of datasets.*.path")


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            shards=list(snakemake.input.shards),  # noqa: F821
            names=list(snakemake.params.names),  # noqa: F821
            cutouts=snakemake.output.cutouts,  # noqa: F821
        )
