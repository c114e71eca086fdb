"""Features, and few-shot classification on them and against other networks (paper IV.A).

Inputs: crops and splits of the labelled dataset, pretrained weights.
Outputs: features/{dataset}/{model}.npy (+ .parquet of ids), metrics/fewshot.csv,
predictions/fewshot/*.parquet, figure 5 and its companions, tables/fewshot.csv.
Steps: extract_features once per encoder (extract_shard for each file of a dataset in several, and
gather_features), train_fewshot per model, tabulate_fewshot, then a rule a figure.
"""

from galaxy_lvm.core.config import part_of
from galaxy_lvm.core.config.fewshot import FewShotSections

FEWSHOT_SECTIONS = part_of(FewShotSections, config)

RELEASED_FEATURES = "lvm_frozen_released"

FEWSHOT_PARTS = range(-(-config["fewshot"]["n_seeds"] // config["fewshot"]["seeds_per_job"]))

FEWSHOT_JOBS = {"model": FEWSHOT_SPECS, "part": FEWSHOT_PARTS}
FEWSHOT_METRICS = expand(f"{RUN}/metrics/fewshot/{{model}}_{{part}}.csv", **FEWSHOT_JOBS)
FEWSHOT_PREDICTIONS = expand(
    f"{RUN}/predictions/fewshot/{{model}}_{{part}}.parquet", **FEWSHOT_JOBS
)


def fewshot_model(wildcards):
    """Return the config's entry of a model of the few-shot comparison."""
    return config["fewshot"]["models"][list(FEWSHOT_SPECS).index(wildcards.model)]


def fewshot_sources(wildcards):
    """Return the features or the weights that a model of the few-shot comparison needs."""
    spec = FEWSHOT_SPECS[wildcards.model]
    if spec.frozen:
        return {"features": f"{RUN}/features/{FEWSHOT_DATASET}/{spec.features_label}.npy"}
    return {"lvm": spec.weights_path(LVM_WEIGHTS)} if spec.is_lvm else own_weights(spec)


def trains_a_network(wildcards):
    """Return whether a model of the few-shot comparison is trained whole, not a layer on features."""
    spec = FEWSHOT_SPECS[wildcards.model]
    return spec.is_network and not spec.frozen


def fewshot_gpus(wildcards):
    """Return how many GPUs a model is trained on: none where only a layer on its features is."""
    return min(1, config["gpus"]) if trains_a_network(wildcards) else 0


def fewshot_memory(wildcards, attempt):
    """Return what a model asks for as memory: a layer on features what other jobs on them do."""
    asked = "train_mem_mb" if trains_a_network(wildcards) else "extensions_mem_mb"
    return config["resources"][asked] * attempt


def fewshot_seeds(wildcards):
    """Return the seeds of one job of the few-shot comparison."""
    settings = config["fewshot"]
    first = int(wildcards.part) * settings["seeds_per_job"]
    numbers = range(first, min(first + settings["seeds_per_job"], settings["n_seeds"]))
    return [config["seed"] + number for number in numbers]


def features_model(wildcards):
    """Return the entry of the model whose features are wanted; `lvm` is the run's own encoder.

    Those of the project's released encoder can be had whether or not few-shot compares it.
    """
    if wildcards.model == TEACHER:
        keys = ("model", "weights", "view_side_pix", "pooling")
        return {"frozen": True, **{key: config["pretrain"]["teacher"][key] for key in keys}}
    if wildcards.model == RELEASED_FEATURES and wildcards.model not in FEWSHOT_SPECS:
        return {"model": "lvm_frozen", "weights": "released"}
    return {"model": "lvm_frozen"} if wildcards.model == "lvm" else fewshot_model(wildcards)


def features_settings(wildcards):
    """Return the config's section `features`; a teacher has orientations of its own."""
    if wildcards.model != TEACHER:
        return config["features"]
    return {**config["features"], "n_orientations": config["pretrain"]["teacher"]["n_orientations"]}


def features_sources(wildcards):
    """Return the weights that an extraction needs: those of the run, or a file of the user's."""
    spec = model_specs([features_model(wildcards)])[0]
    return {"lvm": spec.weights_path(LVM_WEIGHTS)} if spec.is_lvm else own_weights(spec)


def features_of_shards(wildcards):
    """Return the features of all shards of a dataset, and the tables of their ids."""
    stem = f"{RUN}/features/{wildcards.dataset}/shards"
    names = [f"{stem}/{shard}_{wildcards.model}" for shard in SHARDS[wildcards.dataset]]
    return {"features": [f"{n}.npy" for n in names], "ids": [f"{n}.parquet" for n in names]}


rule extract_features:
    """Turn every crop into a feature vector, in shards; resumes after a kill."""
    input:
        unpack(features_sources),
        crops=f"{RUN}/data/{{dataset}}/crops.h5",
    output:
        features=f"{RUN}/features/{{dataset}}/{{model}}.npy",
        ids=f"{RUN}/features/{{dataset}}/{{model}}.parquet",
    log:
        f"{LOGS}/extract_features/{{dataset}}/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/extract_features/{{dataset}}/{{model}}.tsv"
    wildcard_constraints:
        dataset=sharded(False),
    priority: 10  # much waits for it
    conda:
        TRAIN_ENV
    threads: config["resources"]["features_threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["features_runtime_min"],
        gpu=NODE_GPUS,
        nodes=1,
    params:
        model=features_model,
        settings=features_settings,
        state_root=f"{STATE}/extract_features",
        n_gpus=NODE_GPUS,
        recipe_version=2,
    script:
        "../scripts/extract_features.py"


rule extract_shard:
    """Turn the crops of one file of a dataset that lies in several into feature vectors."""
    input:
        unpack(features_sources),
        crops=f"{RUN}/data/{{dataset}}/shards/{{shard}}_crops.h5",
    output:
        features=f"{RUN}/features/{{dataset}}/shards/{{shard}}_{{model}}.npy",
        ids=f"{RUN}/features/{{dataset}}/shards/{{shard}}_{{model}}.parquet",
    log:
        f"{LOGS}/extract_shard/{{dataset}}/{{shard}}_{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/extract_shard/{{dataset}}/{{shard}}_{{model}}.tsv"
    wildcard_constraints:
        dataset=sharded(True),
    priority: 10  # much waits for it
    conda:
        TRAIN_ENV
    threads: config["resources"]["features_threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["features_runtime_min"],
        gpu=NODE_GPUS,
        nodes=1,
    params:
        model=features_model,
        settings=features_settings,
        state_root=f"{STATE}/extract_shard",
        n_gpus=NODE_GPUS,
        recipe_version=1,
    script:
        "../scripts/extract_shard.py"


rule gather_features:
    """Put the features of all shards into one file, in the order of the crops."""
    input:
        unpack(features_of_shards),
        crops=f"{RUN}/data/{{dataset}}/crops.h5",
    output:
        features=f"{RUN}/features/{{dataset}}/{{model}}.npy",
        ids=f"{RUN}/features/{{dataset}}/{{model}}.parquet",
    log:
        f"{LOGS}/gather_features/{{dataset}}/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/gather_features/{{dataset}}/{{model}}.tsv"
    wildcard_constraints:
        dataset=sharded(True),
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code_of("gather_features"),
    script:
        "../scripts/gather_features.py"


rule train_fewshot:
    """Train one model on training sets of every size; resumes with the next one after a kill."""
    input:
        unpack(fewshot_sources),
        crops=f"{FEWSHOT_DATA}/crops.h5",
        splits=f"{FEWSHOT_DATA}/splits.parquet",
    output:
        metrics=f"{RUN}/metrics/fewshot/{{model}}_{{part}}.csv",
        predictions=f"{RUN}/predictions/fewshot/{{model}}_{{part}}.parquet",
    log:
        f"{LOGS}/train_fewshot/{{model}}_{{part}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_fewshot/{{model}}_{{part}}.tsv"
    conda:
        TRAIN_ENV
    threads: config["resources"]["fewshot_threads"]
    resources:
        mem_mb=fewshot_memory,
        runtime=config["resources"]["fewshot_runtime_min"],
        gpu=fewshot_gpus,
        nodes=1,
    params:
        model=fewshot_model,
        seeds=fewshot_seeds,
        sections=FEWSHOT_SECTIONS,
        state_root=f"{STATE}/train_fewshot",
        recipe_version=3,
    script:
        "../scripts/train_fewshot.py"


rule tabulate_fewshot:
    """Few-shot scores of all jobs, the table, and how many labels the LVM saves."""
    input:
        splits=f"{FEWSHOT_DATA}/splits.parquet",
        metrics=FEWSHOT_METRICS,
    output:
        metrics=f"{RUN}/metrics/fewshot.csv",
        table=f"{RUN}/tables/fewshot.csv",
        efficiency=f"{RUN}/tables/label_efficiency.csv",
        table_html=report(
            f"{RUN}/tables/fewshot.html",
            caption="../report/fewshot.rst",
            category="5 Few labels",
            labels={"what": "Table: few-shot classification"},
        ),
    log:
        f"{LOGS}/tabulate_fewshot.log",
    benchmark:
        f"{RUN}/benchmarks/tabulate_fewshot.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        models=config["fewshot"]["models"],
        sizes=config["fewshot"]["sizes"],
        code=code_of("tabulate_fewshot"),
    script:
        "../scripts/tabulate_fewshot.py"


rule plot_fewshot:
    """Figure 5: scores by number of labels."""
    input:
        splits=f"{FEWSHOT_DATA}/splits.parquet",
        metrics=FEWSHOT_METRICS,
    output:
        pdf=f"{RUN}/figures/fig05_few_shot.pdf",
        png=report(
            f"{RUN}/figures/fig05_few_shot.png",
            caption="../report/fig05.rst",
            category="5 Few labels",
            labels={"what": "Figure 5: few-shot classification"},
        ),
    log:
        f"{LOGS}/plot_fewshot.log",
    benchmark:
        f"{RUN}/benchmarks/plot_fewshot.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        models=config["fewshot"]["models"],
        sizes=config["fewshot"]["sizes"],
        code=code_of("plot_fewshot"),
    script:
        "../scripts/plot_fewshot.py"


rule plot_fewshot_predictions:
    """Confusion and calibration of the networks, smallest and largest training sets."""
    input:
        splits=f"{FEWSHOT_DATA}/splits.parquet",
        predictions=FEWSHOT_PREDICTIONS,
    output:
        confusion=f"{RUN}/figures/few_shot_confusion.pdf",
        confusion_png=report(
            f"{RUN}/figures/few_shot_confusion.png",
            caption="../report/fewshot_confusion.rst",
            category="5 Few labels",
            labels={"what": "Confusion, smallest and largest training sets"},
        ),
        reliability=f"{RUN}/figures/few_shot_reliability.pdf",
        reliability_png=report(
            f"{RUN}/figures/few_shot_reliability.png",
            caption="../report/fewshot_reliability.rst",
            category="5 Few labels",
            labels={"what": "Calibration, smallest and largest training sets"},
        ),
    log:
        f"{LOGS}/plot_fewshot_predictions.log",
    benchmark:
        f"{RUN}/benchmarks/plot_fewshot_predictions.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        models=config["fewshot"]["models"],
        code=code_of("plot_fewshot_predictions"),
    script:
        "../scripts/plot_fewshot_predictions.py"
