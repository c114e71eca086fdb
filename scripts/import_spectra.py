"""Read spectra of Gaia XP, LAMOST or SDSS onto one grid; list what cannot be used, and why."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.spectra import Grid, SpectrumFiles
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.spectra.importing import import_spectra
from galaxy_lvm.survey.rejected import write_rejected


def main(path: str, spectra: str, rejected: str, grid: Grid, settings: SpectrumFiles) -> None:
    """Write the store of spectra and the table of those that are left out.

    Parameters
    ----------
    path
        Table or folder.
    spectra, rejected
        HDF5 store and CSV to write.
    grid
        Wavelengths of the store.
    settings
        The config's section `spectra.files`.
    """
    write_rejected(rejected, import_spectra(path, grid, settings, spectra))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            path=snakemake.input.path,  # noqa: F821
            spectra=snakemake.output.spectra,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            grid=snakemake.params.grid,  # noqa: F821
            settings=section(SpectrumFiles, snakemake.params.settings, "spectra.files"),  # noqa: F821
        )
