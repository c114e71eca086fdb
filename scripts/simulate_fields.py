"""Simulate wide fields with strong lenses (lenstronomy, GalSim): images, true boxes and masks."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.simulation.fields import FieldPlan, simulate_fields
from galaxy_lvm.simulation.placing import LensSettings
from galaxy_lvm.simulation.survey import MockSettings
from galaxy_lvm.survey.fields import SPLITS


def main(fields: str, settings: dict, survey: dict, seed: int, cores: int = 1) -> None:
    """Write simulated lens fields as a field store.

    Parameters
    ----------
    fields
        HDF5 file to write: `images` (N, S, S, 3) uint8 and columns; the lenses go to the parquet
        beside it.
    settings
        Keys side_pix, n_train, n_val, n_test, empty_share and mock of the config's section
        `lenses.fields`.
    survey
        The config's section `mock`: depth, seeing, densities of neighbours and stars.
    seed
        Seed; the same seed gives the same fields for any number of cores.
    cores
        Number of processes.

    Raises
    ------
    ConfigError
        If a setting is unknown or impossible, or if no lens can be seen with these settings.
    """
    plan = FieldPlan(
        side_pix=settings["side_pix"],
        counts={split: settings[f"n_{split}"] for split in SPLITS},
        empty_share=settings["empty_share"],
    )
    lenses = LensSettings.from_mapping(settings["mock"])
    simulate_fields(fields, plan, lenses, MockSettings.from_mapping(survey), seed, cores)


# Worker processes import this file again, under another name.
if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            fields=snakemake.output.fields,  # noqa: F821
            settings=dict(snakemake.params.settings),  # noqa: F821
            survey=dict(snakemake.params.survey),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            cores=snakemake.threads,  # noqa: F821
        )
