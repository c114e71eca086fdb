"""Pretraining of the LVM (paper II), and the comparison of objectives.

Inputs: crops of the pretraining datasets; splits and crops of those with labels.
Outputs: data/pretraining_pool.parquet, models/pretrain/{variant}/lvm.safetensors (+ .json card),
metrics/objectives.csv.
Steps: gather_pool (which galaxies; none that a model is judged by), pretrain_lvm per variant
(objective, with or without skip connections), or take_weights in its place; evaluate_objectives on
frozen features, release_encoder.
"""

from galaxy_lvm.core.config import part_of
from galaxy_lvm.core.config.fewshot import FeatureViews
from galaxy_lvm.core.config.survey import Crop
from galaxy_lvm.core.config.training import LvmShape, Pretraining
from galaxy_lvm.core.encoder_files import RELEASED, released_weights, weights_file
from galaxy_lvm.core.state import config_hash

LVM_SHAPE = part_of(LvmShape, config["lvm"])


def variant_name(objective, skips):
    """Return the name of a pretraining variant."""
    return f"{objective}_{'skips' if skips else 'noskips'}"


# Weights that were not pretrained here stand where those of a variant would.
GIVEN = "given"
MAIN_VARIANT = (
    GIVEN
    if config["lvm"]["weights"]
    else variant_name(config["pretrain"]["objective"], config["lvm"]["skip_connections"])
)

VARIANTS = sorted({MAIN_VARIANT, *config["pretrain"]["compare"]})

TRAINED_VARIANTS = [variant for variant in VARIANTS if variant != GIVEN]

LVM_WEIGHTS = f"{RUN}/models/pretrain/{MAIN_VARIANT}/lvm.safetensors"


def lvm_of_variant(wildcards):
    """Return the shape of the LVM of a variant."""
    return {**LVM_SHAPE, "skip_connections": wildcards.variant.endswith("_skips")}


def pretrain_settings(wildcards):
    """Return the config's section `pretrain` for a variant."""
    settings = part_of(Pretraining, config["pretrain"])
    return {**settings, "objective": wildcards.variant.split("_")[0]}


# Name of the teacher's features; of a model of the few-shot comparison it would be taken for that.
TEACHER = "teacher"


def teacher_features(wildcards):
    """Return the teacher's features of every pretraining dataset, where one teaches."""
    if not wildcards.variant.startswith("distilled_"):
        return []
    return [f"{RUN}/features/{name}/{TEACHER}.npy" for name in config["pretrain_datasets"]]


def start_weights(wildcards):
    """Return the weights that pretraining starts from, where it does not from random numbers."""
    start = config["pretrain"]["start"]
    if start is None:
        return []
    return [str(released_weights()) if start == RELEASED else start]


# The processes of several nodes are started by the job itself (srun), on all of them at once.
PRETRAIN_PLACE = {"nodes": config["nodes"], "gpu": config["gpus"]}
if config["nodes"] > 1:
    PRETRAIN_PLACE = {
        "nodes": config["nodes"],
        "mpi": "srun",
        "tasks": config["nodes"],
        "tasks_per_gpu": 0,
        "gres": f"gpu:{config['gpus'] // config['nodes']}",
    }


def scores_there(wildcards):
    """Return the scores of frozen features that this run has: the card of a release quotes them."""
    names = ["objectives", "fewshot", "similarity"]
    return [path for name in names if Path(path := f"{RUN}/metrics/{name}.csv").exists()]


# A file has about a million galaxies, whose positions are in memory; crops are compared by processes.
POOL_FILES = sum(len(SHARDS.get(name, ())) for name in POOL_DATASETS)
POOL_THREADS = config["resources"]["data_threads"] if POOL_FILES else 1


rule gather_pool:
    """Choose the galaxies to pretrain on: no validation or test galaxy, and no copy of one.

    A job that was killed goes on from the crops that it had compared.
    """
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
    threads: POOL_THREADS
    resources:
        mem_mb=growing(4000 + POOL_FILES * 80 + (POOL_THREADS - 1) * 500),
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
        teacher=teacher_features,
        start=start_weights,
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
        **PRETRAIN_PLACE,
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["pretrain_runtime_min"],
    params:
        names=config["pretrain_datasets"],
        lvm=lvm_of_variant,
        settings=pretrain_settings,
        state_root=f"{STATE}/pretrain_lvm",
        seed=config["seed"],
        n_gpus=config["gpus"],
        n_nodes=config["nodes"],
        recipe_version=5,
    script:
        "../scripts/pretrain_lvm.py"


if config["lvm"]["weights"]:

    localrules:
        take_weights,

    rule take_weights:
        """Take weights that were pretrained elsewhere, once they fit the config."""
        input:
            weights=str(weights_file(config["lvm"]["weights"])),
            card=str(weights_file(config["lvm"]["weights"]).with_suffix(".json")),
        output:
            weights=LVM_WEIGHTS,
            card=LVM_WEIGHTS.removesuffix(".safetensors") + ".json",
        log:
            f"{LOGS}/take_weights.log",
        benchmark:
            f"{RUN}/benchmarks/take_weights.tsv"
        conda:
            CPU_ENV
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=20,
        params:
            lvm=LVM_SHAPE,
            recipe_version=1,
        script:
            "../scripts/take_weights.py"


rule release_encoder:
    """Write the run's encoder in half precision, with a card that says what it is."""
    input:
        weights=LVM_WEIGHTS,
        scores=scores_there,
    output:
        weights=f"{RUN}/release/released.safetensors",
        card=f"{RUN}/release/released.json",
    log:
        f"{LOGS}/release_encoder.log",
    benchmark:
        f"{RUN}/benchmarks/release_encoder.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        variant=MAIN_VARIANT,
        release=config["release"],
        features={**part_of(FeatureViews, config["features"]), "n_orientations": 4},
        crop=part_of(Crop, config["crop"]),
        run=config["run"],
        config_hash=config_hash(config),
        recipe_version=1,
    script:
        "../scripts/release_encoder.py"


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
        TRAIN_ENV
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=60,
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        view_side_pix=config["classification"]["view_side_pix"],
        seed=config["seed"],
        recipe_version=2,
    script:
        "../scripts/evaluate_objectives.py"
