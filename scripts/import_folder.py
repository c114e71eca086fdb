"""Import a user's images (JPEG, PNG or FITS) and their table into a cutout store."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.sky_survey import Survey, taken_survey
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.survey.rejected import write_rejected
from galaxy_lvm.survey.store import LEGACY


def main(
    data_dir: str,
    table: str,
    cutouts: str,
    rejected: str,
    settings: Folder,
    cores: int = 1,
    survey: Survey = LEGACY,
) -> None:
    """Write the cutout store and the list of what could not be used.

    Parameters
    ----------
    data_dir
        Folder of the images.
    table
        CSV with an id, a file (relative to `data_dir`) and a label for every galaxy.
    cutouts, rejected
        HDF5 and CSV files to write.
    settings
        The config's section `folder`.
    cores
        Files decoded at a time.
    survey
        Bands, pixel scale and zero point of FITS files.
    """
    write_rejected(rejected, import_images(data_dir, table, cutouts, settings, cores, survey))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        settings, survey = taken_survey(snakemake.params.settings)  # noqa: F821
        main(
            data_dir=snakemake.params.data_dir,  # noqa: F821
            table=snakemake.input.table,  # noqa: F821
            cutouts=snakemake.output.cutouts,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            settings=section(Folder, settings, "folder"),
            cores=snakemake.threads,  # noqa: F821
            survey=survey,
        )
