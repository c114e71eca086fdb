"""Pretraining of the LVM (paper II), and the comparison of objectives.

Inputs: crops of the pretraining datasets; splits and crops of those with labels.
Outputs: data/pretraining_pool.parquet, models/pretrain/{variant}/lvm.safetensors (+ .json card),
metrics/objectives.csv.
Steps: gather_pool (which galaxies; none that a model is judged by), pretrain_lvm per variant (objective, with or without skip connections),
evaluate_objectives on frozen features.
"""

from galaxy_lvm.core.config import part_of
from galaxy_lvm.core.config.training import Pretraining


def variant_name(objective, skips):
    """Return the name of a pretraining variant."""
    return f"{objective}_{'skips' if skips else 'noskips'}"


MAIN_VARIANT = variant_name(config["pretrain"]["objective"], config["lvm"]["skip_connections"])

VARIANTS = sorted({MAIN_VARIANT, *config["pretrain"]["compare"]})

LVM_WEIGHTS = f"{RUN}/models/pretrain/{MAIN_VARIANT}/lvm.safetensors"


def lvm_of_variant(wildcards):
    """Return the config's section `lvm` for a variant."""
    return {**config["lvm"], "skip_connections": wildcards.variant.endswith("_skips")}


def pretrain_settings(wildcards):
    """Return the config's section `pretrain` for a variant."""
    settings = part_of(Pretraining, config["pretrain"])
    return {**settings, "objective": wildcards.variant.split("_")[0]}


rule gather_pool:
    """Choose the galaxies to pretrain on: no validation or test galaxy, and no copy of one."""
    input:
        crops=expand(f"{RUN}/data/{{name}}/crops.h5", name=POOL_DATASETS),
        cutouts=[cutouts_path(name) for name in POOL_DATASETS],
        splits=expand(f"{RUN}/data/{{name}}/splits.parquet", name=LABELLED),
    output:
        pool=f"{RUN}/data/pretraining_pool.parquet",
    log:
        f"{LOGS}/gather_pool.log",
    benchmark:
        f"{RUN}/benchmarks/gather_pool.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        names=POOL_DATASETS,
        labelled=LABELLED,
        pretrain_on=config["pretrain_datasets"],
        duplicate_arcsec=config["splits"]["duplicate_arcsec"],
        recipe_version=1,
    script:
        "../scripts/gather_pool.py"


rule pretrain_lvm:
    """Train the LVM without labels; resumes from its checkpoint after a kill."""
    input:
        pool=f"{RUN}/data/pretraining_pool.parquet",
        crops=expand(f"{RUN}/data/{{name}}/crops.h5", name=config["pretrain_datasets"]),
    output:
        weights=f"{RUN}/models/pretrain/{{variant}}/lvm.safetensors",
        card=f"{RUN}/models/pretrain/{{variant}}/lvm.json",
        history=f"{RUN}/models/pretrain/{{variant}}/history.csv",
    log:
        f"{LOGS}/pretrain_lvm/{{variant}}.log",
    benchmark:
        f"{RUN}/benchmarks/pretrain_lvm/{{variant}}.tsv"
    priority: 20
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=config["resources"]["train_mem_mb"],
        runtime=config["resources"]["pretrain_runtime_min"],
        gpu=config["gpus"],
    params:
        names=config["pretrain_datasets"],
        lvm=lvm_of_variant,
        settings=pretrain_settings,
        state_root=f"{STATE}/pretrain_lvm",
        seed=config["seed"],
        n_gpus=config["gpus"],
        recipe_version=5,
    script:
        "../scripts/pretrain_lvm.py"


rule evaluate_objectives:
    """Score frozen features of every variant, and of an untrained encoder, by logistic regression."""
    input:
        crops=f"{TASKS_DATA}/crops.h5",
        splits=f"{TASKS_DATA}/splits.parquet",
        weights=expand(f"{RUN}/models/pretrain/{{variant}}/lvm.safetensors", variant=VARIANTS),
    output:
        metrics=f"{RUN}/metrics/objectives.csv",
    log:
        f"{LOGS}/evaluate_objectives.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_objectives.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        view_side_pix=config["classification"]["view_side_pix"],
        seed=config["seed"],
        recipe_version=2,
    script:
        "../scripts/evaluate_objectives.py"
