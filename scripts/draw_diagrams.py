"""Draw figures 1 to 3 from the networks that the config builds (no weights are needed)."""

from typing import Any

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.lvm.anatomy import build_empty
from galaxy_lvm.lvm.diagrams import draw_lvm, draw_swin_layers
from galaxy_lvm.lvm.model import build_config
from galaxy_lvm.multitask.diagram import draw_multitask
from galaxy_lvm.multitask.heads import build_empty_multitask
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.splits_table import Splits


def main(
    fig01: str,
    fig02: str,
    fig03: str,
    lvm_settings: dict[str, Any],
    sections: dict[str, dict[str, Any]],
    n_classes: int = 4,
) -> None:
    """Draw the LVM, two of its Swin layers and multitask training, each as PDF and PNG.

    Parameters
    ----------
    fig01, fig02, fig03
        Figures to write, ending in .pdf; the PNG lies beside each.
    lvm_settings
        The config's section `lvm`.
    sections
        The config's sections multitask, classification, restoration and reconstruction.
    n_classes
        Classes that the classifier tells apart.
    """
    config = build_config(lvm_settings)
    lvm = build_empty(config)
    save(draw_lvm(lvm), fig01)
    save(draw_swin_layers(lvm), fig02)
    model = build_empty_multitask(
        config,
        n_classes,
        hidden_dim=sections["classification"]["hidden_dim"],
        dropout=sections["classification"]["dropout"],
        skip_connections=sections["multitask"]["skip_connections"],
        residual=sections["multitask"]["residual"],
        label_smoothing=sections["classification"]["label_smoothing"],
    )
    save(draw_multitask(model, sections), fig03)


def count_classes(splits: str) -> int:
    """Return the number of classes in a table of splits."""
    return len(Splits(splits).class_names)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            fig01=snakemake.output.fig01,  # noqa: F821
            fig02=snakemake.output.fig02,  # noqa: F821
            fig03=snakemake.output.fig03,  # noqa: F821
            lvm_settings=snakemake.params.lvm_settings,  # noqa: F821
            sections=snakemake.params.sections,  # noqa: F821
            n_classes=count_classes(snakemake.input.splits),  # noqa: F821
        )
