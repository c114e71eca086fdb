"""Draw figure 8, the human in the loop, from the config (neither data nor weights are needed)."""

from typing import Any

from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.config.hitl import RankerSettings
from galaxy_lvm.core.config.training import LvmShape
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.hitl.diagram import ModuleParts, draw_module
from galaxy_lvm.lvm.model import build_config
from galaxy_lvm.report.style import save


def main(shape: LvmShape, settings: dict[str, Any], figure: str) -> None:
    """Draw it as PDF and PNG.

    Parameters
    ----------
    shape
        The config's section `lvm`.
    settings
        Of the config's section `hitl`: alpha, lower, n_recommended and ranker.
    figure
        File ending in .pdf to write.
    """
    feature_dim = build_config(shape).feature_dim
    parts = ModuleParts.of(feature_dim, section(RankerSettings, settings["ranker"], "hitl.ranker"))
    save(draw_module(parts, settings), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            shape=section(LvmShape, snakemake.params.lvm, "lvm"),  # noqa: F821
            settings=snakemake.params.settings,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
        )
