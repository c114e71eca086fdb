"""A catalogue of one's galaxies by a trained model, whether they have labels or not.

Inputs: weights of a multitask training; crops, positions and features of config's
`catalogue.dataset`; splits and features of the dataset that the model learned from.
Outputs: tables/catalogue.parquet, .csv and .fits, metrics/catalogue.csv, two figures.
Steps: catalogue_shard for each file of a dataset in several, make_catalogue, plot_catalogue.
"""

from galaxy_lvm.core.config.catalogue import CatalogueModel

CATALOGUE = {form: f"{RUN}/tables/catalogue.{form}" for form in ("parquet", "csv", "fits")}


def catalogue_of_shards(wildcards):
    """Return what catalogue_shard says of every shard; nothing for a dataset in one file."""
    shards = SHARDS.get(CATALOGUE_DATASET, ())
    return [f"{RUN}/predictions/catalogue/{shard}.parquet" for shard in shards]


rule catalogue_shard:
    """What make_catalogue says of every galaxy, of one file of a dataset that lies in several."""
    input:
        crops=f"{RUN}/data/{CATALOGUE_DATASET}/crops.h5",
        cutouts=cutouts_path(CATALOGUE_DATASET),
        features=f"{RUN}/features/{CATALOGUE_DATASET}/lvm.npy",
        ids=f"{RUN}/features/{CATALOGUE_DATASET}/lvm.parquet",
        weights=f"{RUN}/models/multitask/{config['catalogue']['strategy']}_0.safetensors",
        own_crops=f"{TASKS_DATA}/crops.h5",
        own_cutouts=cutouts_path(config["tasks_dataset"]),
        own_features=f"{RUN}/features/{config['tasks_dataset']}/lvm.npy",
        own_ids=f"{RUN}/features/{config['tasks_dataset']}/lvm.parquet",
        splits=f"{TASKS_DATA}/splits.parquet",
    output:
        catalogue=f"{RUN}/predictions/catalogue/{{shard}}.parquet",
    log:
        f"{LOGS}/catalogue_shard/{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/catalogue_shard/{{shard}}.tsv"
    conda:
        TRAIN_ENV
    threads: config["resources"]["features_threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["features_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        settings=part_of(CatalogueModel, config["catalogue"]),
        zooms=config["multitask"]["zooms"],
        parameters=config["extensions"]["parameters"],
        max_train=config["extensions"]["parameters_max_train"],
        state_root=f"{STATE}/catalogue_shard",
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/catalogue_shard.py"


rule make_catalogue:
    """Class probabilities, parameters and unlikeness of every galaxy; resumes after a kill."""
    input:
        crops=f"{RUN}/data/{CATALOGUE_DATASET}/crops.h5",
        cutouts=cutouts_path(CATALOGUE_DATASET),
        features=f"{RUN}/features/{CATALOGUE_DATASET}/lvm.npy",
        ids=f"{RUN}/features/{CATALOGUE_DATASET}/lvm.parquet",
        weights=f"{RUN}/models/multitask/{config['catalogue']['strategy']}_0.safetensors",
        own_crops=f"{TASKS_DATA}/crops.h5",
        own_cutouts=cutouts_path(config["tasks_dataset"]),
        own_features=f"{RUN}/features/{config['tasks_dataset']}/lvm.npy",
        own_ids=f"{RUN}/features/{config['tasks_dataset']}/lvm.parquet",
        splits=f"{TASKS_DATA}/splits.parquet",
        shards=catalogue_of_shards,
    output:
        **CATALOGUE,
        metrics=f"{RUN}/metrics/catalogue.csv",
        predictions=f"{RUN}/predictions/catalogue_test.parquet",
    log:
        f"{LOGS}/make_catalogue.log",
    benchmark:
        f"{RUN}/benchmarks/make_catalogue.tsv"
    conda:
        TRAIN_ENV
    threads: config["resources"]["features_threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["features_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        settings=part_of(CatalogueModel, config["catalogue"]),
        zooms=config["multitask"]["zooms"],
        parameters=config["extensions"]["parameters"],
        max_train=config["extensions"]["parameters_max_train"],
        state_root=f"{STATE}/make_catalogue",
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/make_catalogue.py"


rule plot_catalogue:
    """Reliability before and after calibration; the most and the least certain galaxies."""
    input:
        catalogue=CATALOGUE["parquet"],
        predictions=f"{RUN}/predictions/catalogue_test.parquet",
        crops=f"{RUN}/data/{CATALOGUE_DATASET}/crops.h5",
    output:
        reliability=FIGURES["catalogue_reliability"],
        reliability_png=report(
            f"{RUN}/figures/catalogue_reliability.png",
            caption="../report/catalogue_reliability.rst",
            category="9 Catalogue",
            labels={"what": "How reliable the probabilities are"},
        ),
        gallery=FIGURES["catalogue_gallery"],
        gallery_png=report(
            f"{RUN}/figures/catalogue_gallery.png",
            caption="../report/catalogue_gallery.rst",
            category="9 Catalogue",
            labels={"what": "The most and the least certain galaxies"},
        ),
    log:
        f"{LOGS}/plot_catalogue.log",
    benchmark:
        f"{RUN}/benchmarks/plot_catalogue.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        n_shown=config["catalogue"]["n_shown"],
        code=code_of("plot_catalogue"),
    script:
        "../scripts/plot_catalogue.py"
