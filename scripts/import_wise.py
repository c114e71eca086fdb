"""Cut sources out of real unWISE tiles by the positions of a table; list what is left out."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.wise import WiseCutout, WiseFiles
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.survey.rejected import write_rejected
from galaxy_lvm.wise.files import import_tiles


def main(cutouts: str, rejected: str, settings: WiseFiles, cutout: WiseCutout) -> None:
    """Write the store of cutouts and the table of rows that are left out.

    Parameters
    ----------
    cutouts, rejected
        HDF5 store and CSV to write.
    settings
        The config's section `wise.files`.
    cutout
        Side of a cutout: the config's section `wise.scene`.
    """
    write_rejected(rejected, import_tiles(settings, cutout, cutouts))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.output.cutouts,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            settings=section(WiseFiles, snakemake.params.settings, "wise.files"),  # noqa: F821
            cutout=section(WiseCutout, snakemake.params.cutout, "wise.scene"),  # noqa: F821
        )
