"""Cut the galaxies of a table from coadded bricks on disk."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.bricks import BrickPlace
from galaxy_lvm.core.config.sky_survey import Survey, taken_survey
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.survey.bricks import BrickFiles
from galaxy_lvm.survey.rejected import write_rejected
from galaxy_lvm.survey.store import CUTOUT_SIDE_PIX, LEGACY
from galaxy_lvm.survey.table_cutouts import store_table


def main(
    table: str,
    cutouts: str,
    rejected: str,
    place: BrickPlace,
    side_pix: int = CUTOUT_SIDE_PIX,
    survey: Survey = LEGACY,
) -> None:
    """Write the cutout store and the list of what could not be cut.

    Parameters
    ----------
    table
        CSV, TSV or parquet with `id`, `ra`, `dec` in degrees and perhaps `label`.
    cutouts, rejected
        HDF5 and CSV files to write.
    place
        Folder of the release, galaxies of a shard, largest share of missing pixels.
    side_pix
        Side of the cutouts.
    survey
        Bands and pixel scale of the bricks.

    Raises
    ------
    DataError
        If the table cannot be read, there are no bricks or nothing can be used.
    """
    with BrickFiles(place, survey) as bricks:
        write_rejected(rejected, store_table(table, cutouts, bricks, side_pix))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        settings, survey = taken_survey(snakemake.params.settings)  # noqa: F821
        main(
            table=snakemake.input.table,  # noqa: F821
            cutouts=snakemake.output.cutouts,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            place=section(BrickPlace, settings, "legacysurvey"),
            side_pix=snakemake.params.side_pix,  # noqa: F821
            survey=survey,
        )
