"""Simulate the embedded survey: g, r, z cutouts of galaxies of known truth (GalSim)."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.simulation.survey import MockSettings, simulate_survey


def main(cutouts: str, settings: dict, seed: int, cores: int = 1) -> None:
    """Write the simulated survey as a cutout store.

    Parameters
    ----------
    cutouts
        HDF5 store to write: `images` (N, 3, 152, 152) in nanomaggies and the truth as columns.
    settings
        Keys of `galaxy_lvm.data.mock.MockSettings`; missing ones take their defaults.
    seed
        Seed; the same seed gives the same survey for any number of cores.
    cores
        Number of processes.

    Raises
    ------
    ConfigError
        If a setting is unknown or impossible.
    """
    simulate_survey(cutouts, MockSettings.from_mapping(settings), seed, cores)


# Worker processes import this file again, under another name.
if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.output.cutouts,  # noqa: F821
            settings=dict(snakemake.params.settings),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            cores=snakemake.threads,  # noqa: F821
        )
