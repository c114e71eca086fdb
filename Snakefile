"""Galaxy images with a large vision model: Fu et al. 2024 as a workflow.

snakemake --cores 2                                          the demo, on a laptop
snakemake --cores 2 table1                                   one table or figure
snakemake --cores 2 --configfile config/folder.yaml --config data_dir=PATH
snakemake --profile slurm --configfile config/paper.yaml     the paper's sizes
"""

from snakemake.utils import min_version

min_version("9.0")


configfile: workflow.source_path("config/config.yaml")


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/crops.smk"
include: "rules/pretrain.smk"
include: "rules/multitask.smk"
include: "rules/fewshot.smk"
include: "rules/lenses.smk"
include: "rules/extensions.smk"
include: "rules/hitl.smk"
include: "rules/report.smk"


localrules:
    all,
    extensions,
    table1,
    table2,
    table3,
    table4,
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fig6,
    lenses,
    fig7,
    fig8,
    fig10,


rule all:
    """Everything: Tables 1 to 4, figures 1 to 8 and 10, and what the report shows beside them."""
    default_target: True
    input:
        TABLES.values(),
        FIGURES.values(),
        LENSES.values(),
        EXTENSIONS.values(),
        f"{RUN}/tables/summary.md",
        f"{RUN}/tables/objectives.csv",


rule table1:
    """Table 1: classification by training strategy."""
    input:
        TABLES["table1"],


rule table2:
    """Table 2: restoration of blurred, noisy images."""
    input:
        TABLES["table2"],


rule table3:
    """Table 3: reconstruction of masked images."""
    input:
        TABLES["table3"],


rule table4:
    """Table 4: reconstruction by patch size."""
    input:
        TABLES["table4"],


rule fig1:
    """Figure 1: the LVM."""
    input:
        FIGURES["fig1"],


rule fig2:
    """Figure 2: two Swin-Transformer layers."""
    input:
        FIGURES["fig2"],


rule fig3:
    """Figure 3: multitask training."""
    input:
        FIGURES["fig3"],


rule fig4:
    """Figure 4: reconstructed images by patch size and hidden share."""
    input:
        FIGURES["fig4"],


rule fig5:
    """Figure 5: few-shot classification by number of labels."""
    input:
        FIGURES["fig5"],


rule fig6:
    """Figure 6: strong lenses found on two backbones."""
    input:
        LENSES["fig6"] if LENSES else [],


rule lenses:
    """Strong lenses: fields, detectors, their scores and figure 6."""
    input:
        LENSES.values(),


rule fig7:
    """Figure 7: prompts and what the loop recommends after some rounds."""
    input:
        FIGURES["fig7"],


rule fig8:
    """Figure 8: the human in the loop."""
    input:
        FIGURES["fig8"],


rule fig10:
    """Figure 10: ResNet18, LVM and LVM with people in the loop by training set."""
    input:
        FIGURES["fig10"],


rule extensions:
    """Parameters, outliers, similar galaxies and the map, all from the same features."""
    input:
        EXTENSIONS.values(),
