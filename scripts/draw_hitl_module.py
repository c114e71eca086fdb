"""Draw figure 8, the human in the loop, from the config (neither data nor weights are needed)."""

from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.config.hitl import Module
from galaxy_lvm.core.config.training import LvmShape
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.hitl.diagram import ModuleParts, draw_module
from galaxy_lvm.lvm.model import build_config
from galaxy_lvm.report.style import save


def main(shape: LvmShape, settings: Module, figure: str) -> None:
    """Draw it as PDF and PNG.

    Parameters
    ----------
    shape
        The config's section `lvm`.
    settings
        Of the config's section `hitl`.
    figure
        File ending in .pdf to write.
    """
    parts = ModuleParts.of(build_config(shape).feature_dim, settings.ranker)
    save(draw_module(parts, settings), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            shape=section(LvmShape, snakemake.params.lvm, "lvm"),  # noqa: F821
            settings=section(Module, snakemake.params.settings, "hitl"),  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
        )
