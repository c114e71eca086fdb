"""Fetch the cutouts of a table of positions from the Legacy Surveys' cutout service."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.sky_survey import Survey, taken_survey
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.survey.legacysurvey import CutoutService
from galaxy_lvm.survey.rejected import write_rejected
from galaxy_lvm.survey.store import CUTOUT_SIDE_PIX, LEGACY
from galaxy_lvm.survey.table_cutouts import store_table


def main(
    table: str,
    cutouts: str,
    rejected: str,
    cache_dir: str,
    settings: Service,
    side_pix: int = CUTOUT_SIDE_PIX,
    survey: Survey = LEGACY,
) -> None:
    """Write the cutout store and the list of what could not be fetched.

    Parameters
    ----------
    table
        CSV, TSV or parquet with `id`, `ra`, `dec` in degrees and perhaps `label`.
    cutouts, rejected
        HDF5 and CSV files to write.
    cache_dir
        Folder that keeps what was fetched, so that a job started again goes on where it was.
    settings
        The config's section `legacysurvey`.
    side_pix
        Side of the cutouts.
    survey
        Bands, pixel scale and zero point of the layer's images.

    Raises
    ------
    DataError
        If the table cannot be read, nothing can be used or the service does not answer.
    """
    with CutoutService(settings, cache_dir, survey=survey) as service:
        write_rejected(rejected, store_table(table, cutouts, service, side_pix))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        settings, survey = taken_survey(snakemake.params.settings)  # noqa: F821
        main(
            table=snakemake.input.table,  # noqa: F821
            cutouts=snakemake.output.cutouts,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            cache_dir=snakemake.params.cache_dir,  # noqa: F821
            settings=section(Service, settings, "legacysurvey"),
            side_pix=snakemake.params.side_pix,  # noqa: F821
            survey=survey,
        )
