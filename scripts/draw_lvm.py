"""Draw figures 1 and 2 from the network that the config builds (no weights are needed)."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.training import LvmShape
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.lvm.anatomy import build_empty
from galaxy_lvm.lvm.diagrams import draw_lvm, draw_swin_layers
from galaxy_lvm.lvm.model import build_config
from galaxy_lvm.report.style import save


def main(shape: LvmShape, fig01: str, fig02: str) -> None:
    """Draw the LVM and two of its Swin layers, each as PDF and PNG.

    Parameters
    ----------
    shape
        The config's section `lvm`.
    fig01, fig02
        Figures to write, ending in .pdf.
    """
    lvm = build_empty(build_config(shape))
    save(draw_lvm(lvm), fig01)
    save(draw_swin_layers(lvm), fig02)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            shape=section(LvmShape, snakemake.params.lvm, "lvm"),  # noqa: F821
            fig01=snakemake.output.fig01,  # noqa: F821
            fig02=snakemake.output.fig02,  # noqa: F821
        )
