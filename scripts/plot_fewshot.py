"""Draw figure 5: few-shot classification by number of labels (paper IV.A)."""

from collections.abc import Sequence

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.fewshot.figures import draw_few_shot
from galaxy_lvm.fewshot.scores import few_shot_table
from galaxy_lvm.fewshot.subsets import largest_class_share, sizes_left_out
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.model_specs import display_names


def main(
    splits: str, metrics: Sequence[str], models: Sequence[dict], sizes: Sequence[int], figure: str
) -> None:
    """Draw the figure as PDF and PNG.

    Parameters
    ----------
    splits
        Labelled dataset.
    metrics
        What the trainings wrote.
    models, sizes
        The config's lists.
    figure
        File to write, ending in .pdf.
    """
    names, labelled = display_names(models), Splits(splits)
    scores = few_shot_table(read_results(list(metrics)), list(names))
    n_test, chance = len(labelled.labelled("test")), largest_class_share(labelled, "test")
    notes = [f"{n_test} test galaxies", *sizes_left_out(labelled, sizes)]
    save(draw_few_shot(scores, names, notes, chance), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            splits=snakemake.input.splits,  # noqa: F821
            metrics=list(snakemake.input.metrics),  # noqa: F821
            models=snakemake.params.models,  # noqa: F821
            sizes=snakemake.params.sizes,  # noqa: F821
            figure=snakemake.output.pdf,  # noqa: F821
        )
