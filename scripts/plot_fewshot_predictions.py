"""Draw what the few-shot models confuse, and how sure they are against how often right."""

from collections.abc import Sequence

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.fewshot.figures import draw_confusions, draw_reliability
from galaxy_lvm.fewshot.scores import read_predictions
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.model_specs import display_names


def main(
    splits: str,
    predictions: Sequence[str],
    models: Sequence[dict],
    confusion: str,
    reliability: str,
) -> None:
    """Draw both figures, of the smallest and largest training sets, as PDF and PNG.

    Parameters
    ----------
    splits
        Labelled dataset.
    predictions
        What the trainings wrote.
    models
        The config's list.
    confusion, reliability
        Files to write, ending in .pdf.
    """
    shown = read_predictions(predictions), display_names(models), Splits(splits).class_names
    save(draw_confusions(*shown), confusion)
    save(draw_reliability(*shown), reliability)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            splits=snakemake.input.splits,  # noqa: F821
            predictions=list(snakemake.input.predictions),  # noqa: F821
            models=snakemake.params.models,  # noqa: F821
            confusion=snakemake.output.confusion,  # noqa: F821
            reliability=snakemake.output.reliability,  # noqa: F821
        )
