"""List the files of a dataset that lies in several, so that everything reads them as one store."""

from collections.abc import Sequence

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.survey.shards import check_number, write_index

_REMEDY = "copy the file again, or take it out of datasets.*.path"


def main(
    shards: Sequence[str],
    names: Sequence[str],
    cutouts: str,
    n_shards: int | None = None,
    leave_out: bool = False,
) -> None:
    """Write the index of a dataset's cutout files.

    Parameters
    ----------
    shards, names
        The files, read in place, and what each is called.
    cutouts
        Index to write.
    n_shards
        How many there have to be; None takes those that are there.
    leave_out
        Go on without files that are damaged or not there.

    Raises
    ------
    DataError
        If there are fewer or more, or one is damaged or unlike the others; all are looked at.
    """
    missing = ""
    try:
        check_number(shards, n_shards)
    except DataError as error:
        if not leave_out or len(shards) > (n_shards or 0):
            raise
        missing = str(error)
        log.warning("left out: %s", missing)
    write_index(cutouts, shards, names, _REMEDY, leave_out, missing)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            shards=list(snakemake.input.shards),  # noqa: F821
            names=list(snakemake.params.names),  # noqa: F821
            cutouts=snakemake.output.cutouts,  # noqa: F821
            n_shards=snakemake.params.n_shards,  # noqa: F821
            leave_out=snakemake.params.leave_out,  # noqa: F821
        )
