"""Simulate galaxies with one mixture of stellar populations each: g, r, z cutouts (GalSim)."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.simulation.survey import galaxy_id, simulate_survey
from galaxy_lvm.spectra.stars import split_of


def main(
    cutouts: str,
    settings: Mock,
    n_galaxies: int,
    splits: SpectrumSplits,
    seed: int,
    cores: int = 1,
) -> None:
    """Write the galaxies as a cutout store; mixture and split are in the columns of its catalogue.

    What is learned from spectra and from images shares the split: make_splits honours the column.

    Parameters
    ----------
    cutouts
        HDF5 store to write: `images` (N, 3, 152, 152) in nanomaggies and the truth as columns.
    settings
        The config's section `mock`; rare kinds, and its number of galaxies, do not count.
    n_galaxies
        Number of galaxies.
    splits
        The shares of `spectra`.
    seed
        The run's seed; these are other galaxies than those of simulate_survey.
    cores
        Number of processes.
    """
    own = {"n_galaxies": n_galaxies, "distant_red_share": 0.0, "n_lenses": 0}
    settings = settings.model_copy(update=own)
    names = [galaxy_id(index) for index in range(n_galaxies)]
    split = split_of(names, splits, seed).tolist()
    own_seed = derive_seed(seed, "populations")
    simulate_survey(cutouts, settings, own_seed, cores, True, {"split": split})


# Worker processes import this file again, under another name.
if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.output.cutouts,  # noqa: F821
            settings=section(Mock, snakemake.params.settings, "mock"),  # noqa: F821
            n_galaxies=snakemake.params.n_galaxies,  # noqa: F821
            splits=section(SpectrumSplits, snakemake.params.splits, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            cores=snakemake.threads,  # noqa: F821
        )
