"""Config check, paths and helpers that the chapters share."""

import sys
from pathlib import Path

# The library lies beside the scripts; rules need its config check and class list.
sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from galaxy_lvm.errors import ConfigError
from galaxy_lvm.settings import check_config

try:
    check_config(config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{config['run']}"
LOGS = f"logs/{config['run']}"
STATE = f"results/{config['run']}/state"
TASKS_DATA = f"{RUN}/data/{config['tasks_dataset']}"
PRETRAIN_DATA = f"{RUN}/data/{config['pretrain_dataset']}"
STRATEGIES = ["pre_train", "multi_uniform", "multi_active"]
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
    "survey": f"{RUN}/figures/{config['tasks_dataset']}_contact_sheet.pdf",
    "crops": f"{RUN}/figures/{config['tasks_dataset']}_adaptive_crops.pdf",
    "training": f"{RUN}/figures/multitask_training.pdf",
    "objectives": f"{RUN}/figures/objectives.pdf",
}


wildcard_constraints:
    dataset="[a-z0-9_]+",
    variant="(reconstruct|masked|contrastive)_(skips|noskips)",
    strategy="|".join(STRATEGIES),


def datasets_from(*sources):
    """Return a wildcard constraint that matches the datasets of these sources only."""
    names = [n for n, d in config["datasets"].items() if d["source"] in sources]
    return "|".join(names) or "(?!)"


def dataset_folder(wildcards):
    """Return the user's folder of a dataset of source `folder`."""
    return config["datasets"][wildcards.dataset]["data_dir"] or config["data_dir"]


def dataset_table(wildcards):
    """Return the user's table of a dataset of source `folder`."""
    dataset = config["datasets"][wildcards.dataset]
    return str(Path(dataset_folder(wildcards)) / dataset["table"])


def cutouts_of(wildcards):
    """Return the cutout store of a dataset: made by a rule, or a user's file read in place."""
    dataset = config["datasets"][wildcards.dataset]
    if dataset["source"] == "ssl_legacysurvey":
        return dataset["path"]
    return f"{RUN}/data/{wildcards.dataset}/cutouts.h5"


def earlier_rejections(wildcards):
    """Return the tables of what the import (of sources with files) and the crops rejected."""
    folder = f"{RUN}/data/{wildcards.dataset}"
    imported = config["datasets"][wildcards.dataset]["source"] == "folder"
    stages = ["import", "crop"] if imported else ["crop"]
    return [f"{folder}/rejected_{stage}.csv" for stage in stages]


def needs_labels(wildcards):
    """Return whether the tasks are trained on this dataset."""
    return wildcards.dataset == config["tasks_dataset"]


def pretrain_splits(wildcards):
    """Return the splits to respect in pretraining: those of the labelled dataset, if it is that."""
    if config["pretrain_dataset"] == config["tasks_dataset"]:
        return [f"{TASKS_DATA}/splits.parquet"]
    return []


def variant_name(objective, skips):
    """Return the name of a pretraining variant."""
    return f"{objective}_{'skips' if skips else 'noskips'}"


def lvm_settings(wildcards):
    """Return the config's section `lvm` for a variant."""
    return {**config["lvm"], "skip_connections": wildcards.variant.endswith("_skips")}


def pretrain_settings(wildcards):
    """Return the config's section `pretrain` for a variant."""
    settings = {k: v for k, v in config["pretrain"].items() if k != "compare"}
    return {**settings, "objective": wildcards.variant.split("_")[0]}


TASK_SECTIONS = {
    name: config[name] for name in ("multitask", "classification", "restoration", "reconstruction")
}
MAIN_VARIANT = variant_name(config["pretrain"]["objective"], config["lvm"]["skip_connections"])
VARIANTS = sorted({MAIN_VARIANT, *config["pretrain"]["compare"]})
LVM_WEIGHTS = f"{RUN}/models/pretrain/{MAIN_VARIANT}/lvm.safetensors"
