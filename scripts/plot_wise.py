"""Draw accuracies over W1 and against the size of networks; table and verdicts."""

from collections.abc import Sequence

import pandas as pd
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.wise import COMPACT, OWN_MODELS, WiseScores
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save
from galaxy_lvm.training.model_specs import model_specs
from galaxy_lvm.wise.figures import draw_wise
from galaxy_lvm.wise.scores import claims_table, conditions_of
from galaxy_lvm.wise.tables import wise_html, wise_table


def main(
    metrics: Sequence[str],
    predictions: Sequence[str],
    figure: str,
    table: str,
    claims: str,
    models: Sequence[dict],
    settings: WiseScores,
) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it) and verdicts.

    Parameters
    ----------
    metrics, predictions
        Of evaluate_wise, one of each a sky.
    figure, table, claims
        Files to write, ending in .pdf, .csv and .csv.
    models
        The config's list `wise.models`.
    settings
        The config's section `wise.scores`.
    """
    specs = model_specs(models, "wise.models")
    names = {spec.label: spec.display_name.removesuffix(", from scratch") for spec in specs}
    results = read_results(metrics)
    found = pd.concat([load_table(path) for path in predictions], ignore_index=True)
    compact = next((spec.label for spec in specs if spec.model == COMPACT), "")
    names |= {compact: "compact network"} if compact else {}
    own = [spec.label for spec in specs if spec.model.startswith(OWN_MODELS)]
    verdicts = claims_table(results, found, own, settings)
    rows = wise_table(results)
    save_table(claims, verdicts)
    write_table(table, rows, wise_html(rows, verdicts, names, conditions_of(settings)[-1]))
    save(draw_wise(rows, names), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=list(snakemake.input.metrics),  # noqa: F821
            predictions=list(snakemake.input.predictions),  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            claims=snakemake.output.claims,  # noqa: F821
            models=snakemake.params.models,  # noqa: F821
            settings=section(WiseScores, snakemake.params.settings, "wise.scores"),  # noqa: F821
        )
