"""Simulate the spectrum of every galaxy that has a mixture of stellar populations."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.joint import JointSimulation
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.joint.spectra import write_galaxy_spectra


def main(cutouts: str, spectra: str, settings: JointSimulation, seed: int) -> None:
    """Write a store of spectra, one a galaxy, in the order of the cutouts.

    Parameters
    ----------
    cutouts
        Store of simulate_populations.
    spectra
        HDF5 store to write.
    settings
        The config's section `joint.simulated`.
    seed
        The run's seed, of the noise.
    """
    write_galaxy_spectra(cutouts, spectra, settings, seed)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.input.cutouts,  # noqa: F821
            spectra=snakemake.output.spectra,  # noqa: F821
            settings=section(JointSimulation, snakemake.params.settings, "joint.simulated"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
