"""Cut the galaxies of one shard of a dataset out, as crop_cutouts does those of a whole one."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.sky_survey import Stretch, taken_survey
from galaxy_lvm.core.config.survey import Crop
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.survey.crop_files import crop_or_leave_out, crop_store


def main(
    cutouts: str,
    crops: str,
    rejected: str,
    settings: Crop,
    shard: str,
    stretch: Stretch | None = None,
    leave_out: bool = False,
) -> None:
    """Crop a shard; see `crop_files`. `leave_out` goes on without one that is damaged."""
    crop = crop_or_leave_out if leave_out else crop_store
    crop(cutouts, crops, rejected, settings, shard, stretch)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        settings, survey = taken_survey(snakemake.params.settings)  # noqa: F821
        leave_out = settings.pop("leave_out", False)
        main(
            cutouts=snakemake.input.cutouts,  # noqa: F821
            crops=snakemake.output.crops,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            settings=section(Crop, settings, "crop"),
            stretch=survey.stretch,
            leave_out=leave_out,
            shard=snakemake.wildcards.shard,  # noqa: F821
        )
