"""Galaxy images with a large vision model: Fu et al. 2024 as a workflow.

snakemake --cores 2                                          the demo, on a laptop
snakemake --cores 2 table1                                   one table or figure
snakemake --cores 2 --configfile config/folder.yaml --config data_dir=PATH
snakemake --profile slurm                                    the paper's sizes
"""

from snakemake.utils import min_version

min_version("9.0")


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
include: "rules/catalogue.smk"
include: "rules/report.smk"
include: "rules/spectra.smk"
include: "rules/scaling.smk"
include: "rules/align.smk"
include: "rules/joint.smk"
include: "rules/layers.smk"
include: "rules/wise.smk"
include: "rules/targets.smk"


onstart:
    if hasattr(workflow.executor_settings, "status_command"):  # SLURM's
        if any(not job.is_local for job in workflow.dag.needrun_jobs()):
            ask_the_right_command(workflow.executor_settings)


localrules:
    all,


rule all:
    """Everything: Tables 1 to 4, figures 1 to 8 and 10, and what the report shows beside them."""
    default_target: True
    input:
        TABLES.values(),
        FIGURES.values(),
        LENSES.values(),
        EXTENSIONS.values(),
        [CHAPTERS[name] for name in config["beside"]],
        f"{RUN}/tables/summary.md",
        f"{RUN}/tables/summary.json",
        f"{RUN}/tables/provenance.html",
        f"{RUN}/tables/objectives.csv",
