"""Put the crops of a dataset's shards behind one file that lists them; list what was rejected."""

from collections.abc import Sequence

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.survey.crop_store import gather_crops
from galaxy_lvm.survey.rejected import read_rejected, rejection, write_rejected
from galaxy_lvm.survey.shards import missing_shards


def main(
    cutouts: str,
    shards: Sequence[str],
    names: Sequence[str],
    rejections: Sequence[str],
    crops: str,
    rejected: str,
) -> None:
    """Write the index of the crops and one table of rejections, shards left out among them.

    Parameters
    ----------
    cutouts
        Index of the cutouts that the crops were cut from.
    shards, names, rejections
        Crops of every shard, what it is called and what could not be used of it.
    crops, rejected
        Index and CSV file to write.

    Raises
    ------
    DataError
        If a shard is missing, damaged or unlike the others, or two hold one galaxy.
    """
    gather_crops(crops, shards, names, cutouts)
    lines = [line for path in rejections for line in read_rejected(path).to_dict("records")]
    if missing := missing_shards(cutouts):
        lines.append(rejection("crop", missing))
    write_rejected(rejected, lines)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.input.cutouts,  # noqa: F821
            shards=list(snakemake.input.crops),  # noqa: F821
            names=list(snakemake.params.names),  # noqa: F821
            rejections=list(snakemake.input.rejected),  # noqa: F821
            crops=snakemake.output.crops,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
        )
