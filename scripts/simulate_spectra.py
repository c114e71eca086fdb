"""Simulate spectra of stars with the embedded emulator: labels, dust, noise."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.spectra import Grid, SimulatedSpectra
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.spectra.simulate import write_simulated


def main(spectra: str, grid: Grid, settings: SimulatedSpectra, seed: int) -> None:
    """Write a store of simulated stars.

    Parameters
    ----------
    spectra
        HDF5 store to write: `flux`, `error`, `wavelength`, and the true labels as columns.
    grid
        Wavelengths.
    settings
        The config's section `spectra.simulated`.
    seed
        The run's seed.
    """
    write_simulated(spectra, settings.n_stars, grid, settings, seed, "stars")


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            spectra=snakemake.output.spectra,  # noqa: F821
            grid=snakemake.params.grid,  # noqa: F821
            settings=section(
                SimulatedSpectra,
                snakemake.params.settings,  # noqa: F821
                "spectra.simulated",
            ),
            seed=snakemake.params.seed,  # noqa: F821
        )
