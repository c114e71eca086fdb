"""Config check, paths and helpers that the chapters share."""

import os
import signal
import sys
from pathlib import Path
from typing import get_args

# The library lies beside the scripts; rules need its config check and class list.
sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from galaxy_lvm.core.closure import code_hash
from galaxy_lvm.core.cluster import status_command
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.training.model_specs import model_specs, reference_specs
from galaxy_lvm.core.config import part_of, resolve, type_command_line
from galaxy_lvm.core.config.profile import check_profile, profiles_of
from galaxy_lvm.core.config.sky_survey import handed_survey
from galaxy_lvm.core.config.training import Objective
from galaxy_lvm.core.config.user_data import missing_data, shard_files, user_file

try:
    if workflow.is_main_process:
        profiles = profiles_of(sys.argv, os.environ)
        check_profile(config, profiles, [Path(workflow.basedir), Path(workflow.workdir_init)])
    type_command_line(config, workflow.config_settings.config)
    complete = resolve(config, workflow.overwrite_configfiles)
    config.clear()
    config.update(complete)
    FEWSHOT_SPECS = {spec.label: spec for spec in model_specs(config["fewshot"]["models"])}
    WISE_SPECS = {s.label: s for s in model_specs(config["wise"]["models"], "wise.models")}
    REFERENCE_SPECS = {s.label: s for s in reference_specs(config["reference"]["models"])}
except ConfigError as error:
    raise WorkflowError(str(error)) from None
# Snakemake names the first file that it misses; all of them are worth one look.
if workflow.is_main_process and (missing := missing_data(config, Path.cwd())):
    logger.warning(missing)

# SLURM sends SIGUSR1 to all processes of a job, ahead of its time limit: it is meant for a training,
# which leaves with a checkpoint, and would end the Snakemake that started the training.
if not workflow.is_main_process:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

RUN = f"results/{config['run']}"
LOGS = f"logs/{config['run']}"
STATE = f"results/{config['run']}/state"
TASKS_DATA = f"{RUN}/data/{config['tasks_dataset']}"
FEWSHOT_DATASET = config["fewshot"]["dataset"] or config["tasks_dataset"]
FEWSHOT_DATA = f"{RUN}/data/{FEWSHOT_DATASET}"
CATALOGUE_DATASET = config["catalogue"]["dataset"] or config["tasks_dataset"]
HITL_COMPARISON = config["hitl"]["comparison_dataset"] or config["tasks_dataset"]
HITL_DISCOVERY = config["hitl"]["discovery_dataset"] or config["tasks_dataset"]
# Datasets whose galaxies models are trained on and judged by, and all that pretraining looks at.
LABELLED = list(dict.fromkeys([config["tasks_dataset"], FEWSHOT_DATASET, HITL_COMPARISON]))
POOL_DATASETS = list(dict.fromkeys([*config["pretrain_datasets"], *LABELLED]))
STRATEGIES = ["pre_train", "multi_uniform", "multi_active"]
if config["multitask"]["from_scratch"]:
    STRATEGIES.append("from_scratch")
# Repetitions of the trainings behind Tables 1 to 4.
TRAINING_PARTS = range(config["multitask"]["n_seeds"])
# All of one node: only pretraining starts its processes on several.
NODE_GPUS = config["gpus"] // config["nodes"]
CPU_ENV = str(Path(workflow.basedir) / "envs" / "cpu.yaml")
TRAIN_ENV = str(Path(workflow.basedir) / "envs" / ("gpu.yaml" if config["gpus"] else "cpu.yaml"))

TABLES = {
    "table1": f"{RUN}/tables/table1_classification.csv",
    "table2": f"{RUN}/tables/table2_restoration.csv",
    "table3": f"{RUN}/tables/table3_reconstruction.csv",
    "table4": f"{RUN}/tables/table4_patch_size.csv",
}
FIGURES = {
    "fig1": f"{RUN}/figures/fig01_lvm.pdf",
    "fig2": f"{RUN}/figures/fig02_swin_layers.pdf",
    "fig3": f"{RUN}/figures/fig03_multitask.pdf",
    "fig4": f"{RUN}/figures/fig04_reconstruction.pdf",
    "fig5": f"{RUN}/figures/fig05_few_shot.pdf",
    "fewshot_confusion": f"{RUN}/figures/few_shot_confusion.pdf",
    "fewshot_reliability": f"{RUN}/figures/few_shot_reliability.pdf",
    "fig7": f"{RUN}/figures/fig07_hitl_targets.pdf",
    "fig8": f"{RUN}/figures/fig08_hitl_module.pdf",
    "fig9": f"{RUN}/figures/fig09_interfaces.pdf",
    "fig10": f"{RUN}/figures/fig10_hitl.pdf",
    "hitl_discovery": f"{RUN}/figures/hitl_discovery.pdf",
    "hitl_alpha": f"{RUN}/figures/hitl_alpha.pdf",
    "survey": f"{RUN}/figures/{config['tasks_dataset']}_contact_sheet.pdf",
    "crops": f"{RUN}/figures/{config['tasks_dataset']}_adaptive_crops.pdf",
    "health": f"{RUN}/figures/{config['tasks_dataset']}_health.pdf",
    "training": f"{RUN}/figures/multitask_training.pdf",
    "objectives": f"{RUN}/figures/objectives.pdf",
    "confusion": f"{RUN}/figures/classification.pdf",
    "disagreements": f"{RUN}/figures/label_disagreements.pdf",
    "catalogue_reliability": f"{RUN}/figures/catalogue_reliability.pdf",
    "catalogue_gallery": f"{RUN}/figures/catalogue_gallery.pdf",
}

EXTENSIONS = {
    "parameters": f"{RUN}/figures/parameters.pdf",
    "outliers": f"{RUN}/figures/outliers.pdf",
    "oddities": f"{RUN}/figures/oddities.pdf",
    "unusual": f"{RUN}/figures/unusual_galaxies.pdf",
    "similar": f"{RUN}/figures/similar_galaxies.pdf",
    "map": f"{RUN}/figures/feature_map.pdf",
}
LENS_FIELDS = f"{RUN}/data/lens_fields"
LENSES = {
    "fig6": f"{RUN}/figures/fig06_lens_detection.pdf",
    "lens_curves": f"{RUN}/figures/lens_detection_curves.pdf",
    "lens_fields": f"{RUN}/figures/lens_fields.pdf",
    "lens_table": f"{RUN}/tables/lens_detection.csv",
}
if config["lenses"]["fields"]["source"] == "mock":
    LENSES["lens_masks"] = f"{RUN}/figures/lens_masks.pdf"
if config["lenses"]["search"]["images"] or config["lenses"]["search"]["positions"]:
    LENSES["lens_search"] = f"{RUN}/tables/lens_search.csv"
if config["lenses"]["fields"]["source"] == "none":
    LENSES = {}
# Datasets in several files, with the files by the shards' names.
SHARDS = {
    name: files
    for name in config["datasets"]
    if (files := shard_files(config, name, Path.cwd())) is not None
}
# A dataset of its own is scored apart from the trials of find_outliers.
OUTLIER_DATASET = config["extensions"]["outlier_dataset"]
SEARCH_DATASET = config["extensions"]["search_dataset"] or config["tasks_dataset"]
# Features that galaxies are searched and labelled by: the LVM's, or joint ones.
SEARCH_VECTORS = "joint" if config["joint"]["vectors"]["similar"] else "lvm"
LOOP_VECTORS = "joint" if config["joint"]["vectors"]["label_loop"] else "lvm"


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    shard=r"\d+",
    variant="(" + "|".join(get_args(Objective)) + ")_(skips|noskips)",
    strategy="|".join(STRATEGIES),
    model="[a-z0-9_]+",
    backbone="[a-z0-9_]+",
    n_train=r"\d+",
    part=r"\d+",


def code_of(script):
    """Return a hash of a script and all that it imports, as a param: its edits rerun the rule.

    A function, called for the jobs of a plan alone: every job on a cluster starts Snakemake twice,
    and hashing for the other rules was a fifth of each start.
    """

    def hashed(wildcards):
        return code_hash(Path(workflow.basedir) / "scripts" / f"{script}.py")

    return hashed


def ask_the_right_command(slurm):
    """Let SLURM's executor ask what knows of its jobs; else each is waited for without end."""
    try:
        found = status_command(slurm.status_command)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None
    if found != slurm.status_command:
        slurm.status_command = found
        logger.info(f"This cluster keeps no accounts: {found} is asked what became of the jobs.")


def growing(mem_mb):
    """Return what a rule asks for as memory: as much again each time that a job is retried."""

    def asked(wildcards, attempt):
        return mem_mb * attempt

    return asked


def training_seed(wildcards):
    """Return the seed of one repetition of a training."""
    return config["seed"] + int(wildcards.part)


def survey_settings(wildcards, colours=False):
    """Return what a dataset's images are, `survey`, where that is not the usual."""
    dataset = config["datasets"][wildcards.dataset]
    layer = config["legacysurvey"]["layer"] if dataset["source"] == "legacysurvey" else None
    return handed_survey(dataset["survey"], layer, colours)


def cutouts_path(name):
    """Return the cutout store of a dataset: made by a rule, or a user's file read in place.

    Of a user's several files a rule makes the index.
    """
    if config["datasets"][name]["source"] == "ssl_legacysurvey" and name not in SHARDS:
        return str(user_file(config, name))
    return f"{RUN}/data/{name}/cutouts.h5"


def cutouts_of(wildcards):
    """Return the cutout store of a wildcard's dataset."""
    return cutouts_path(wildcards.dataset)


# The report asks these two of its plan, which holds the job of every file: the first in each caption, by
# module_globals, the second on the front page. What they need is imported then, not for every job.
def costs_of(job):
    """Return what a job of the plan took, alone and with all jobs before it."""
    from galaxy_lvm.report.remake import cost_of, plan_of

    _, before = plan_of(workflow)
    return cost_of([(job.benchmark, job.log)]), cost_of(
        (one.benchmark, one.log) for one in before(job)
    )


def made_again(path):
    """Return the end of a caption: the command that makes a file again, and what that costs."""
    from galaxy_lvm.report.remake import made_again_text, plan_of

    jobs, _ = plan_of(workflow)
    (job,) = [job for job in jobs if path in job.output]
    complete = f"{RUN}/tables/config.yaml"
    if any(complete in one.output for one in jobs):
        return made_again_text(complete, job.rule.name, path, *costs_of(job))
    text = made_again_text("CONFIG.yaml", job.rule.name, path, *costs_of(job))
    return f"{text} CONFIG.yaml is what this run was started with."


def costs_of_report(files):
    """Return a table of what every table and figure of the report costs, a row a job."""
    from galaxy_lvm.report.remake import costs_html

    names = {}
    for file in sorted(files, key=lambda file: (file.category.name, str(file.path))):
        told = f"{file.category.name}: {', '.join(file.labels.values())}"
        names.setdefault(file.job, []).append(told)
    return costs_html((told, job.rule.name, *costs_of(job)) for job, told in names.items())
