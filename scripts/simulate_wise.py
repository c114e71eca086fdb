"""Simulate cutouts of stars, galaxies and quasars in W1, W2, W3 from physical colours."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.wise import WiseScene
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.wise.simulate import write_simulated


def main(cutouts: str, settings: WiseScene, scatter_mag: float, seed: int, cores: int = 1) -> None:
    """Write a store of simulated cutouts with their truth.

    Parameters
    ----------
    cutouts
        HDF5 store to write: `images` (N, 3, side, side), W1, W2, W3 in Vega nanomaggies.
    settings
        The config's section `wise.scene`.
    scatter_mag
        Scatter of the colours around the physical ones.
    seed, cores
        The run's seed; processes, whose number changes nothing.
    """
    write_simulated(cutouts, settings, scatter_mag, seed, cores)


# Worker processes import this file again, under another name.
if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.output.cutouts,  # noqa: F821
            settings=section(WiseScene, snakemake.params.settings, "wise.scene"),  # noqa: F821
            scatter_mag=int(snakemake.wildcards.sky.removesuffix("mmag")) / 1000,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            cores=snakemake.threads,  # noqa: F821
        )
