"""Simulate wide fields with strong lenses (lenstronomy, GalSim): images, true boxes and masks."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.lenses import MockFields
from galaxy_lvm.core.config.survey import MockSky
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.simulation.fields import simulate_fields


def main(fields: str, plan: MockFields, survey: MockSky, seed: int, cores: int = 1) -> None:
    """Write simulated lens fields as a field store.

    Parameters
    ----------
    fields
        HDF5 file to write: `images` (N, S, S, 3) uint8 and columns; the lenses go to the parquet
        beside it.
    plan
        The config's section `lenses.fields` without its source.
    survey
        Of the config's section `mock`: depth, seeing, densities of neighbours and stars.
    seed
        Seed; the same seed gives the same fields for any number of cores.
    cores
        Number of processes.

    Raises
    ------
    ConfigError
        If no lens can be seen with these settings.
    """
    simulate_fields(fields, plan, survey, seed, cores)


# Worker processes import this file again, under another name.
if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            fields=snakemake.output.fields,  # noqa: F821
            plan=section(MockFields, snakemake.params.plan, "lenses.fields"),  # noqa: F821
            survey=section(MockSky, snakemake.params.survey, "mock"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            cores=snakemake.threads,  # noqa: F821
        )
