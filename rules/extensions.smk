"""What the features are good for beside classification (the abstract's other applications).

Inputs: features/{dataset}/lvm.npy, crops, splits and catalogue of the labelled dataset.
Outputs: metrics/{parameters,outliers,similarity,feature_map}.csv, predictions, tables and figures
of the same names.
Steps: estimate_parameters, find_outliers, search_similar, map_features; one rule for every figure.
Of a dataset in several files: train_index and search_shard in front of search_similar, and score_shard
in front of plot_unusual.
"""


def n_shards(wildcards):
    """Return how many files a dataset lies in."""
    return len(SHARDS[wildcards.dataset])


def similar_of_shards(wildcards):
    """Return what every shard of the searched dataset has to say; nothing where it has none."""
    folder = f"{RUN}/features/{SEARCH_DATASET}/shards"
    return [f"{folder}/{shard}_similar.npz" for shard in SHARDS.get(SEARCH_DATASET, ())]


def outlier_scores(wildcards):
    """Return the scores that the list of unusual galaxies is made of, one file or one a shard."""
    if OUTLIER_DATASET is None:
        return [f"{RUN}/predictions/outliers.parquet"]
    folder = f"{RUN}/predictions/outliers/{OUTLIER_DATASET}"
    return [f"{folder}/{shard}.parquet" for shard in SHARDS.get(OUTLIER_DATASET, ["000"])]


def shard_or_none(wildcards):
    """Return the name of a file of a dataset in several, None for a dataset in one."""
    return wildcards.shard if wildcards.dataset in SHARDS else None


rule estimate_parameters:
    """Predict sizes, shapes, magnitudes and redshifts of the catalogue from frozen features."""
    input:
        features=f"{RUN}/features/{config['tasks_dataset']}/lvm.npy",
        ids=f"{RUN}/features/{config['tasks_dataset']}/lvm.parquet",
        crops=f"{TASKS_DATA}/crops.h5",
        cutouts=cutouts_path(config["tasks_dataset"]),
        splits=f"{TASKS_DATA}/splits.parquet",
    output:
        metrics=f"{RUN}/metrics/parameters.csv",
        predictions=f"{RUN}/predictions/parameters.parquet",
    log:
        f"{LOGS}/estimate_parameters.log",
    benchmark:
        f"{RUN}/benchmarks/estimate_parameters.tsv"
    conda:
        CPU_ENV
    threads: config["resources"]["extensions_threads"]
    resources:
        mem_mb=growing(config["resources"]["extensions_mem_mb"]),
        runtime=config["resources"]["extensions_runtime_min"],
    params:
        parameters=config["extensions"]["parameters"],
        max_train=config["extensions"]["parameters_max_train"],
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/estimate_parameters.py"


rule find_outliers:
    """Rank galaxies by how unusual they are; test it with oddities put into test galaxies."""
    input:
        features=f"{RUN}/features/{config['tasks_dataset']}/lvm.npy",
        ids=f"{RUN}/features/{config['tasks_dataset']}/lvm.parquet",
        crops=f"{TASKS_DATA}/crops.h5",
        cutouts=cutouts_path(config["tasks_dataset"]),
        splits=f"{TASKS_DATA}/splits.parquet",
        lvm=LVM_WEIGHTS,
    output:
        metrics=f"{RUN}/metrics/outliers.csv",
        scores=f"{RUN}/predictions/outliers.parquet",
        oddities=f"{RUN}/predictions/oddities.parquet",
    log:
        f"{LOGS}/find_outliers.log",
    benchmark:
        f"{RUN}/benchmarks/find_outliers.tsv"
    conda:
        CPU_ENV
    threads: config["resources"]["extensions_threads"]
    resources:
        mem_mb=growing(config["resources"]["extensions_mem_mb"]),
        runtime=config["resources"]["extensions_runtime_min"],
    params:
        settings=config["extensions"]["outliers"],
        feature_settings=config["features"],
        seed=config["seed"],
        recipe_version=2,
    script:
        "../scripts/find_outliers.py"


rule score_shard:
    """Score how unusual the galaxies of a dataset, or of one file of it, are among its own."""
    input:
        features=f"{RUN}/features/{{dataset}}/lvm.npy",
        ids=f"{RUN}/features/{{dataset}}/lvm.parquet",
        crops=f"{RUN}/data/{{dataset}}/crops.h5",
        lvm=LVM_WEIGHTS,
    output:
        scores=f"{RUN}/predictions/outliers/{{dataset}}/{{shard}}.parquet",
    log:
        f"{LOGS}/score_shard/{{dataset}}_{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_shard/{{dataset}}_{{shard}}.tsv"
    conda:
        CPU_ENV
    threads: config["resources"]["extensions_threads"]
    resources:
        mem_mb=growing(config["resources"]["extensions_mem_mb"]),
        runtime=config["resources"]["extensions_runtime_min"],
    params:
        shard=shard_or_none,
        settings=config["extensions"]["outliers"],
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/score_shard.py"


rule train_index:
    """Find the centres that the similarity indices of a dataset's shards share."""
    input:
        features=f"{RUN}/features/{{dataset}}/lvm.npy",
        ids=f"{RUN}/features/{{dataset}}/lvm.parquet",
    output:
        centres=f"{RUN}/features/{{dataset}}/lvm_centres.faiss",
    log:
        f"{LOGS}/train_index/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_index/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=sharded(True),
    conda:
        CPU_ENV
    threads: config["resources"]["extensions_threads"]
    resources:
        mem_mb=growing(config["resources"]["extensions_mem_mb"]),
        runtime=config["resources"]["extensions_runtime_min"],
    params:
        settings=config["extensions"]["similarity"],
        n_shards=n_shards,
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/train_index.py"


rule search_shard:
    """Find the galaxies of one file of a dataset in several that are most similar to given ones."""
    input:
        features=f"{RUN}/features/{config['tasks_dataset']}/lvm.npy",
        ids=f"{RUN}/features/{config['tasks_dataset']}/lvm.parquet",
        splits=f"{TASKS_DATA}/splits.parquet",
        pool_features=f"{RUN}/features/{{dataset}}/lvm.npy",
        pool_ids=f"{RUN}/features/{{dataset}}/lvm.parquet",
        pool_crops=f"{RUN}/data/{{dataset}}/crops.h5",
        centres=f"{RUN}/features/{{dataset}}/lvm_centres.faiss",
    output:
        found=f"{RUN}/features/{{dataset}}/shards/{{shard}}_similar.npz",
    log:
        f"{LOGS}/search_shard/{{dataset}}_{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/search_shard/{{dataset}}_{{shard}}.tsv"
    wildcard_constraints:
        dataset=sharded(True),
    conda:
        CPU_ENV
    threads: config["resources"]["extensions_threads"]
    resources:
        mem_mb=growing(config["resources"]["extensions_mem_mb"]),
        runtime=config["resources"]["extensions_runtime_min"],
    params:
        settings=config["extensions"]["similarity"],
        query_ids=config["extensions"]["query_ids"],
        state_root=f"{STATE}/search_shard",
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/search_shard.py"


rule search_similar:
    """Find the galaxies most similar to given ones; compare the index with the exact search."""
    input:
        features=f"{RUN}/features/{config['tasks_dataset']}/{SEARCH_VECTORS}.npy",
        ids=f"{RUN}/features/{config['tasks_dataset']}/{SEARCH_VECTORS}.parquet",
        splits=f"{TASKS_DATA}/splits.parquet",
        pool_features=f"{RUN}/features/{SEARCH_DATASET}/{SEARCH_VECTORS}.npy",
        pool_ids=f"{RUN}/features/{SEARCH_DATASET}/{SEARCH_VECTORS}.parquet",
        parts=similar_of_shards,
    output:
        metrics=f"{RUN}/metrics/similarity.csv",
        table=f"{RUN}/tables/similar_galaxies.csv",
    log:
        f"{LOGS}/search_similar.log",
    benchmark:
        f"{RUN}/benchmarks/search_similar.tsv"
    conda:
        CPU_ENV
    threads: config["resources"]["extensions_threads"]
    resources:
        mem_mb=growing(config["resources"]["extensions_mem_mb"]),
        runtime=config["resources"]["extensions_runtime_min"],
    params:
        settings=config["extensions"]["similarity"],
        query_ids=config["extensions"]["query_ids"],
        state_root=f"{STATE}/search_similar",
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/search_similar.py"


rule map_features:
    """Lay a sample of the galaxies out on a plane by their features (t-SNE)."""
    input:
        features=f"{RUN}/features/{config['tasks_dataset']}/lvm.npy",
        ids=f"{RUN}/features/{config['tasks_dataset']}/lvm.parquet",
        splits=f"{TASKS_DATA}/splits.parquet",
    output:
        metrics=f"{RUN}/metrics/feature_map.csv",
        places=f"{RUN}/predictions/feature_map.parquet",
    log:
        f"{LOGS}/map_features.log",
    benchmark:
        f"{RUN}/benchmarks/map_features.tsv"
    conda:
        CPU_ENV
    threads: config["resources"]["extensions_threads"]
    resources:
        mem_mb=growing(config["resources"]["extensions_mem_mb"]),
        runtime=config["resources"]["extensions_runtime_min"],
    params:
        settings=config["extensions"]["map"],
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/map_features.py"


rule plot_parameters:
    """Parameters, predicted and true, and their table."""
    input:
        metrics=f"{RUN}/metrics/parameters.csv",
        predictions=f"{RUN}/predictions/parameters.parquet",
    output:
        figure=EXTENSIONS["parameters"],
        png=report(
            f"{RUN}/figures/parameters.png",
            caption="../report/parameters.rst",
            category="7 Features",
            labels={"what": "Parameters, predicted and true"},
        ),
        table=f"{RUN}/tables/parameters.csv",
        page=report(
            f"{RUN}/tables/parameters.html",
            caption="../report/parameters.rst",
            category="7 Features",
            labels={"what": "Table of parameters"},
        ),
    log:
        f"{LOGS}/plot_parameters.log",
    benchmark:
        f"{RUN}/benchmarks/plot_parameters.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        parameters=config["extensions"]["parameters"],
        code=code_of("plot_parameters"),
    script:
        "../scripts/plot_parameters.py"


rule plot_outliers:
    """How well oddities are found, and the table."""
    input:
        metrics=f"{RUN}/metrics/outliers.csv",
    output:
        figure=EXTENSIONS["outliers"],
        png=report(
            f"{RUN}/figures/outliers.png",
            caption="../report/outliers.rst",
            category="7 Features",
            labels={"what": "Test: how well oddities are found"},
        ),
        table=f"{RUN}/tables/outliers.csv",
        page=report(
            f"{RUN}/tables/outliers.html",
            caption="../report/outliers.rst",
            category="7 Features",
            labels={"what": "Test: table of how well oddities are found"},
        ),
    log:
        f"{LOGS}/plot_outliers.log",
    benchmark:
        f"{RUN}/benchmarks/plot_outliers.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_outliers"),
    script:
        "../scripts/plot_outliers.py"


rule plot_oddities:
    """Oddities put into test galaxies, with the best place that a method gives them."""
    input:
        oddities=f"{RUN}/predictions/oddities.parquet",
        crops=f"{TASKS_DATA}/crops.h5",
    output:
        figure=EXTENSIONS["oddities"],
        png=report(
            f"{RUN}/figures/oddities.png",
            caption="../report/oddities.rst",
            category="7 Features",
            labels={"what": "Test: the oddities, put into galaxies"},
        ),
    log:
        f"{LOGS}/plot_oddities.log",
    benchmark:
        f"{RUN}/benchmarks/plot_oddities.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        seed=config["seed"],
        code=code_of("plot_oddities"),
    script:
        "../scripts/plot_oddities.py"


rule plot_unusual:
    """The most unusual galaxies, and their list."""
    input:
        scores=outlier_scores,
        crops=f"{RUN}/data/{OUTLIER_DATASET or config['tasks_dataset']}/crops.h5",
    output:
        figure=EXTENSIONS["unusual"],
        png=report(
            f"{RUN}/figures/unusual_galaxies.png",
            caption="../report/unusual.rst",
            category="7 Features",
            labels={"what": "The most unusual galaxies of the data"},
        ),
        table=f"{RUN}/tables/unusual_galaxies.csv",
    log:
        f"{LOGS}/plot_unusual.log",
    benchmark:
        f"{RUN}/benchmarks/plot_unusual.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        n_listed=config["extensions"]["outliers"]["n_listed"],
        code=code_of("plot_unusual"),
    script:
        "../scripts/plot_unusual.py"


rule plot_similar:
    """Galaxies beside the most similar ones, and their page."""
    input:
        metrics=f"{RUN}/metrics/similarity.csv",
        neighbours=f"{RUN}/tables/similar_galaxies.csv",
        crops=f"{TASKS_DATA}/crops.h5",
        pool_crops=f"{RUN}/data/{SEARCH_DATASET}/crops.h5",
    output:
        figure=EXTENSIONS["similar"],
        png=report(
            f"{RUN}/figures/similar_galaxies.png",
            caption="../report/similar.rst",
            category="7 Features",
            labels={"what": "Similar galaxies"},
        ),
        page=report(
            f"{RUN}/tables/similar_galaxies.html",
            caption="../report/similar.rst",
            category="7 Features",
            labels={"what": "Table of similar galaxies"},
        ),
    log:
        f"{LOGS}/plot_similar.log",
    benchmark:
        f"{RUN}/benchmarks/plot_similar.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_similar"),
    script:
        "../scripts/plot_similar.py"


rule plot_feature_map:
    """Map of the features, with galaxies drawn in."""
    input:
        metrics=f"{RUN}/metrics/feature_map.csv",
        places=f"{RUN}/predictions/feature_map.parquet",
        crops=f"{TASKS_DATA}/crops.h5",
    output:
        figure=EXTENSIONS["map"],
        png=report(
            f"{RUN}/figures/feature_map.png",
            caption="../report/feature_map.rst",
            category="7 Features",
            labels={"what": "Map of the features"},
        ),
    log:
        f"{LOGS}/plot_feature_map.log",
    benchmark:
        f"{RUN}/benchmarks/plot_feature_map.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_feature_map"),
    script:
        "../scripts/plot_feature_map.py"
