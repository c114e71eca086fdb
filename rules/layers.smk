"""What is written in the weights (after Layer Matrix Decomposition, Ng Shyh-Chang et al. 2023).

Inputs: the first member of the spectra's ensemble, the network of stage 1, and the stars.
The target layers_lvm does the same with the encoder of the run's pretrained LVM (decompose_lvm).
Outputs: metrics/layers.csv, metrics/layers_capacity.csv, predictions/layers_*.parquet, figure and table layers.
Steps: decompose_layers; train_capacity (one job a number of stars, with true and with shuffled labels), score_capacity; plot_layers. `snakemake --cores 2 layers` makes all; the default targets do where the key `beside` names it.
"""

from galaxy_lvm.core.config.layers import Capacity, Layers, LvmLayers
from galaxy_lvm.core.config.spectra import SpectrumMethods

LAYERS = {
    "layers": f"{RUN}/figures/layers.pdf",
}
CAPACITY_STARS = config["layers"]["capacity"]["n_stars"]
LAYERS_LVM = f"{RUN}/tables/layers_lvm_{MAIN_VARIANT}.csv"
# Nothing is trained where the config names no number of stars.
CAPACITY = f"{RUN}/metrics/layers_capacity.csv" if CAPACITY_STARS else []


rule decompose_layers:
    """Singular values of every matrix, and the task's score against the rank that is kept."""
    input:
        spectra=STARS,
        weights=f"{RUN}/models/spectra/transformer_0.safetensors",
    output:
        metrics=f"{RUN}/metrics/layers.csv",
        singular_values=f"{RUN}/predictions/layers_singular_values.parquet",
        directions=f"{RUN}/predictions/layers_directions.parquet",
    log:
        f"{LOGS}/decompose_layers.log",
    benchmark:
        f"{RUN}/benchmarks/decompose_layers.tsv"
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        settings=part_of(Layers, config["layers"]),
        methods=part_of(SpectrumMethods, config["spectra"]),
        seed=config["seed"],
        code=code_of("decompose_layers"),
    script:
        "../scripts/decompose_layers.py"


rule decompose_lvm:
    """Singular values of an LVM's encoder, and its score at classes against the kept rank."""
    input:
        crops=f"{TASKS_DATA}/crops.h5",
        splits=f"{TASKS_DATA}/splits.parquet",
        weights=f"{RUN}/models/pretrain/{{variant}}/lvm.safetensors",
    output:
        metrics=f"{RUN}/metrics/layers_lvm_{{variant}}.csv",
        singular_values=f"{RUN}/predictions/layers_lvm_{{variant}}_singular_values.parquet",
        table=f"{RUN}/tables/layers_lvm_{{variant}}.csv",
    log:
        f"{LOGS}/decompose_lvm/{{variant}}.log",
    benchmark:
        f"{RUN}/benchmarks/decompose_lvm/{{variant}}.tsv"
    wildcard_constraints:
        variant="|".join(VARIANTS),
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(6000),
        runtime=240,
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        settings=part_of(LvmLayers, config["layers"]),
        view_side_pix=config["classification"]["view_side_pix"],
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/decompose_lvm.py"


rule train_capacity:
    """Train the network on true or shuffled labels of few stars; resumes after a kill."""
    input:
        spectra=STARS,
        pretrained=f"{RUN}/models/spectra/pretrained.safetensors",
    output:
        weights=f"{RUN}/models/layers/{{labels}}_{{n_stars}}.safetensors",
        card=f"{RUN}/models/layers/{{labels}}_{{n_stars}}.json",
        history=f"{RUN}/models/layers/{{labels}}_{{n_stars}}.csv",
    log:
        f"{LOGS}/train_capacity/{{labels}}_{{n_stars}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_capacity/{{labels}}_{{n_stars}}.tsv"
    wildcard_constraints:
        labels="true|shuffled",
        n_stars=r"\d+",
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["multitask_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        settings=part_of(Capacity, config["layers"]["capacity"]),
        methods=part_of(SpectrumMethods, config["spectra"]),
        state_root=f"{STATE}/train_capacity",
        seed=config["seed"],
        recipe_version=2,
    script:
        "../scripts/train_capacity.py"


rule score_capacity:
    """Rank that keeps the skill on the stars that were learned from, true and shuffled labels."""
    input:
        spectra=STARS,
        weights=expand(
            f"{RUN}/models/layers/{{labels}}_{{n_stars}}.safetensors",
            labels=["true", "shuffled"],
            n_stars=CAPACITY_STARS,
        ),
    output:
        metrics=f"{RUN}/metrics/layers_capacity.csv",
    log:
        f"{LOGS}/score_capacity.log",
    benchmark:
        f"{RUN}/benchmarks/score_capacity.tsv"
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        settings=part_of(Layers, config["layers"]),
        methods=part_of(SpectrumMethods, config["spectra"]),
        seed=config["seed"],
        code=code_of("score_capacity"),
    script:
        "../scripts/score_capacity.py"


rule plot_layers:
    """Singular values, score against the kept rank, latent directions; and their table."""
    input:
        capacity=CAPACITY,
        metrics=f"{RUN}/metrics/layers.csv",
        singular_values=f"{RUN}/predictions/layers_singular_values.parquet",
        directions=f"{RUN}/predictions/layers_directions.parquet",
    output:
        figure=LAYERS["layers"],
        png=report(
            f"{RUN}/figures/layers.png",
            caption="../report/layers.rst",
            category="Spectra",
            labels={"what": "What is written in the weights"},
        ),
        table=f"{RUN}/tables/layers.csv",
        page=report(
            f"{RUN}/tables/layers.html",
            caption="../report/layers.rst",
            category="Spectra",
            labels={"what": "Table of ranks that are enough"},
        ),
    log:
        f"{LOGS}/plot_layers.log",
    benchmark:
        f"{RUN}/benchmarks/plot_layers.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        enough=config["layers"]["enough"],
        code=code_of("plot_layers"),
    script:
        "../scripts/plot_layers.py"
