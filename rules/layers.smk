"""What is written in the weights (after Layer Matrix Decomposition, Ng Shyh-Chang et al. 2023).

Inputs: the first member of the spectra's ensemble, and its stars.
Outputs: metrics/layers.csv, predictions/layers_*.parquet, figure and table layers.
Steps: decompose_layers, plot_layers. `snakemake --cores 2 layers` makes all; the default targets do where the key `beside` names it.
"""

from galaxy_lvm.core.config.layers import Layers
from galaxy_lvm.core.config.spectra import SpectrumMethods

LAYERS = {
    "layers": f"{RUN}/figures/layers.pdf",
}


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


rule plot_layers:
    """Singular values, score against the kept rank, latent directions; and their table."""
    input:
        metrics=f"{RUN}/metrics/layers.csv",
        singular_values=f"{RUN}/predictions/layers_singular_values.parquet",
        directions=f"{RUN}/predictions/layers_directions.parquet",
    output:
        figure=LAYERS["layers"],
        png=report(
            f"{RUN}/figures/layers.png",
            caption="../report/layers.rst",
            category="8 Spectra",
            labels={"what": "What is written in the weights"},
        ),
        table=f"{RUN}/tables/layers.csv",
        page=report(
            f"{RUN}/tables/layers.html",
            caption="../report/layers.rst",
            category="8 Spectra",
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
