"""Draw shares, lags and scores of the tasks while training, by strategy."""

import pandas as pd
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.multitask.training_figures import draw_multitask_training
from galaxy_lvm.report.style import save


def main(histories: dict[str, str], figure: str) -> None:
    """Draw it as PDF and PNG.

    Parameters
    ----------
    histories
        Validation record of every strategy (CSV).
    figure
        File to write, ending in .pdf.
    """
    records = {name: read_history(path) for name, path in histories.items()}
    save(draw_multitask_training(records), figure)


def read_history(path: str) -> pd.DataFrame:
    """Read a validation record; one without any validation gives an empty table."""
    history = load_table(path, numbers=("*",))
    if history.empty:
        log.warning("%s: no validation; multitask.validate_every_steps is above optim.steps", path)
    return history


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        names, paths = snakemake.params.strategies, snakemake.input.strategies  # noqa: F821
        main(
            histories=dict(zip(names, paths, strict=True)),
            figure=snakemake.output.figure,  # noqa: F821
        )
