"""Draw figure 3, multitask training, from the network that the config builds."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.tasks import TaskSections
from galaxy_lvm.core.config.training import LvmShape
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.lvm.model import build_config
from galaxy_lvm.multitask.diagram import draw_multitask
from galaxy_lvm.multitask.heads import build_empty_multitask
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.splits_table import Splits


def main(splits: str, shape: LvmShape, sections: TaskSections, figure: str) -> None:
    """Draw it as PDF and PNG.

    Parameters
    ----------
    splits
        Splits of the labelled dataset: they tell how many classes there are.
    shape
        The config's section `lvm`.
    sections
        The config's sections of the tasks.
    figure
        File to write, ending in .pdf.
    """
    model = build_empty_multitask(
        build_config(shape),
        len(Splits(splits).class_names),
        hidden_dim=sections.classification.hidden_dim,
        dropout=sections.classification.dropout,
        skip_connections=sections.multitask.skip_connections,
        image_output=sections.multitask.image_output,
        image_loss=sections.multitask.image_loss,
        fine_layers=sections.multitask.fine_layers,
        label_smoothing=sections.classification.label_smoothing,
    )
    save(draw_multitask(model, sections), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            splits=snakemake.input.splits,  # noqa: F821
            shape=section(LvmShape, snakemake.params.lvm, "lvm"),  # noqa: F821
            sections=section(TaskSections, snakemake.params.sections),  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
        )
