"""Multitask training and its scores (paper III).

Inputs: crops and splits of the labelled dataset, pretrained weights.
Outputs: models/multitask/{strategy}_{part}.safetensors (+ .json card), metrics/multitask.csv,
metrics/baselines.csv, metrics/reference/{model}_{part}.csv.
Steps: render_noise_free (simulated galaxies), train_multitask and evaluate_multitask per strategy
and repetition (`multitask.n_seeds`, side by side), gather_multitask, evaluate_baselines, and
train_reference per network of `reference.models` and repetition. All repetitions start from one
pretrained encoder.
"""

from galaxy_lvm.core.config import part_of
from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.config.tasks import ReferenceSections, TaskSections

# Not all that the sections hold: more repetitions or test images leave finished trainings alone.
TASK_SECTIONS = part_of(TaskSections, config)
REFERENCE_SECTIONS = part_of(ReferenceSections, config)

# What Tables 1 to 4 show.
TABLE_METRICS = [
    f"{RUN}/metrics/baselines.csv",
    f"{RUN}/metrics/multitask.csv",
    *expand(
        f"{RUN}/metrics/reference/{{model}}_{{part}}.csv",
        model=REFERENCE_SPECS,
        part=TRAINING_PARTS,
    ),
]

TABLE_GALAXIES = [
    f"{RUN}/predictions/baselines_per_galaxy.parquet",
    f"{RUN}/predictions/multitask_per_galaxy.parquet",
    *expand(
        f"{RUN}/predictions/reference/{{model}}_{{part}}_per_galaxy.parquet",
        model=REFERENCE_SPECS,
        part=TRAINING_PARTS,
    ),
]


def reference_model(wildcards):
    """Return the config's entry of a network of Table 1."""
    return config["reference"]["models"][list(REFERENCE_SPECS).index(wildcards.model)]


def own_weights(spec):
    """Return the weights file that the config names for a network, as an input."""
    return {"weights": spec.weights_file} if spec.weights_file else {}


def reference_sources(wildcards):
    """Return the weights that a network of Table 1 starts from."""
    return own_weights(REFERENCE_SPECS[wildcards.model])


def noise_free_galaxies(wildcards):
    """Return the test galaxies without noise, as an input, where the survey is simulated."""
    simulated = config["datasets"][config["tasks_dataset"]]["source"] == "mock"
    return {"noise_free": f"{TASKS_DATA}/noise_free.h5"} if simulated else {}


localrules:
    gather_multitask,


rule render_noise_free:
    """Render the simulated test galaxies of the image tasks without noise, to score against."""
    input:
        crops=f"{TASKS_DATA}/crops.h5",
        splits=f"{TASKS_DATA}/splits.parquet",
    output:
        noise_free=f"{TASKS_DATA}/noise_free.h5",
    log:
        f"{LOGS}/render_noise_free.log",
    benchmark:
        f"{RUN}/benchmarks/render_noise_free.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        settings=part_of(Mock, config["mock"]),
        n_images=config["multitask"]["n_test_images"],
        seed=config["seed"],
        code=code_of("render_noise_free"),
    script:
        "../scripts/render_noise_free.py"


rule train_multitask:
    """Train three tasks on one encoder with one strategy; resumes after a kill."""
    input:
        crops=f"{TASKS_DATA}/crops.h5",
        splits=f"{TASKS_DATA}/splits.parquet",
        lvm=LVM_WEIGHTS,
    output:
        weights=f"{RUN}/models/multitask/{{strategy}}_{{part}}.safetensors",
        card=f"{RUN}/models/multitask/{{strategy}}_{{part}}.json",
        history=f"{RUN}/models/multitask/{{strategy}}_{{part}}_history.csv",
    log:
        f"{LOGS}/train_multitask/{{strategy}}_{{part}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_multitask/{{strategy}}_{{part}}.tsv"
    priority: 10
    conda:
        TRAIN_ENV
    threads: config["resources"]["multitask_threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["multitask_runtime_min"],
        gpu=NODE_GPUS,
        nodes=1,
    params:
        sections=TASK_SECTIONS,
        state_root=f"{STATE}/train_multitask",
        seed=training_seed,
        n_gpus=NODE_GPUS,
        recipe_version=6,
    script:
        "../scripts/train_multitask.py"


rule evaluate_multitask:
    """Score one training on the test split."""
    input:
        unpack(noise_free_galaxies),
        crops=f"{TASKS_DATA}/crops.h5",
        splits=f"{TASKS_DATA}/splits.parquet",
        weights=f"{RUN}/models/multitask/{{strategy}}_{{part}}.safetensors",
    output:
        metrics=f"{RUN}/metrics/multitask/{{strategy}}_{{part}}.csv",
        per_galaxy=f"{RUN}/predictions/multitask/{{strategy}}_{{part}}_per_galaxy.parquet",
        predictions=f"{RUN}/predictions/multitask/{{strategy}}_{{part}}.parquet",
    log:
        f"{LOGS}/evaluate_multitask/{{strategy}}_{{part}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_multitask/{{strategy}}_{{part}}.tsv"
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(6000),
        runtime=60,
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        n_images=config["multitask"]["n_test_images"],
        n_orientations=config["multitask"]["n_orientations"],
        zooms=config["multitask"]["zooms"],
        seed=config["seed"],
        recipe_version=3,
    script:
        "../scripts/evaluate_multitask.py"


rule gather_multitask:
    """One table of all trainings' scores, one of single galaxies, one of class probabilities."""
    input:
        metrics=expand(
            f"{RUN}/metrics/multitask/{{strategy}}_{{part}}.csv",
            strategy=STRATEGIES,
            part=TRAINING_PARTS,
        ),
        per_galaxy=expand(
            f"{RUN}/predictions/multitask/{{strategy}}_{{part}}_per_galaxy.parquet",
            strategy=STRATEGIES,
            part=TRAINING_PARTS,
        ),
        predictions=expand(
            f"{RUN}/predictions/multitask/{{strategy}}_{{part}}.parquet",
            strategy=STRATEGIES,
            part=TRAINING_PARTS,
        ),
    output:
        metrics=f"{RUN}/metrics/multitask.csv",
        per_galaxy=f"{RUN}/predictions/multitask_per_galaxy.parquet",
        predictions=f"{RUN}/predictions/multitask.parquet",
    log:
        f"{LOGS}/gather_multitask.log",
    benchmark:
        f"{RUN}/benchmarks/gather_multitask.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        code=code_of("gather_multitask"),
    script:
        "../scripts/gather_multitask.py"


rule evaluate_baselines:
    """Score the inputs themselves and classical methods on the same test images."""
    input:
        unpack(noise_free_galaxies),
        crops=f"{TASKS_DATA}/crops.h5",
        splits=f"{TASKS_DATA}/splits.parquet",
    output:
        metrics=f"{RUN}/metrics/baselines.csv",
        per_galaxy=f"{RUN}/predictions/baselines_per_galaxy.parquet",
    log:
        f"{LOGS}/evaluate_baselines.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_baselines.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        restoration=config["restoration"],
        reconstruction=config["reconstruction"],
        baselines=config["baselines"],
        n_image_test=config["multitask"]["n_test_images"],
        seed=config["seed"],
        recipe_version=3,
    script:
        "../scripts/evaluate_baselines.py"


rule train_reference:
    """Train another network on the same galaxies, for Table 1; resumes after a kill."""
    input:
        unpack(reference_sources),
        crops=f"{TASKS_DATA}/crops.h5",
        splits=f"{TASKS_DATA}/splits.parquet",
    output:
        metrics=f"{RUN}/metrics/reference/{{model}}_{{part}}.csv",
        per_galaxy=f"{RUN}/predictions/reference/{{model}}_{{part}}_per_galaxy.parquet",
    log:
        f"{LOGS}/train_reference/{{model}}_{{part}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_reference/{{model}}_{{part}}.tsv"
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["multitask_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        model=reference_model,
        sections=REFERENCE_SECTIONS,
        state_root=f"{STATE}/train_reference",
        seed=training_seed,
        recipe_version=2,
    script:
        "../scripts/train_reference.py"
