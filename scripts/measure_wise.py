"""Turn cutouts of WISE into 8-bit crops, measure them by the PSF, and divide them into splits."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.wise import WiseCutout, WiseSplits
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.wise.measure import divide, measure


def main(
    cutouts: str,
    crops: str,
    photometry: str,
    splits: str,
    rejected: str,
    cutout: WiseCutout,
    settings: WiseSplits,
    seed: int,
) -> None:
    """Write crops, photometry and splits.

    Parameters
    ----------
    cutouts
        Store of W1, W2, W3 in Vega nanomaggies.
    crops, photometry, splits, rejected
        HDF5, parquet, parquet and CSV to write.
    cutout
        Side and depth: the config's section `wise.scene`.
    settings
        The config's section `wise.splits`.
    seed
        The run's seed.
    """
    save_table(photometry, measure(cutouts, crops, cutout))
    divide(cutouts, splits, rejected, settings, seed)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.input.cutouts,  # noqa: F821
            crops=snakemake.output.crops,  # noqa: F821
            photometry=snakemake.output.photometry,  # noqa: F821
            splits=snakemake.output.splits,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            cutout=section(WiseCutout, snakemake.params.cutout, "wise.scene"),  # noqa: F821
            settings=section(WiseSplits, snakemake.params.settings, "wise.splits"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
