"""Error against the number of training spectra (after Lu et al. 2026): N^-b + c, and what stage 1 adds.

Inputs: stars with labels and the network of stage 1, as for stellar parameters.
Outputs: models/spectra/scaling/*.safetensors, metrics/spectra_scaling.csv, predictions/spectra_scaling.parquet, figure and table
spectra_scaling.
Steps: scale_training (from stage 1 and from scratch, one job a number of stars), score_scaling, plot_scaling.
Nothing of it is part of the default targets; `snakemake --cores 2 scaling` makes all.
"""

from galaxy_lvm.core.config.spectra import Scaling, SpectrumMethods, TransformerShape

SCALING = {
    "spectra_scaling": f"{RUN}/figures/spectra_scaling.pdf",
}


def scaled_weights(start):
    """Return the weights of all numbers of training stars, in the config's order."""
    numbers = config["spectra"]["scaling"]["n_stars"]
    return [f"{RUN}/models/spectra/scaling/{start}_{n}.safetensors" for n in numbers]


rule scale_training:
    """Train the Transformer on a number of stars, from stage 1 or from scratch; resumes after a kill."""
    input:
        unpack(
            lambda wildcards: (
                {"pretrained": f"{RUN}/models/spectra/pretrained.safetensors"}
                if wildcards.start == "pretrained"
                else {}
            )
        ),
        spectra=STARS,
        language_model=language_model,
    output:
        weights=f"{RUN}/models/spectra/scaling/{{start}}_{{n_stars}}.safetensors",
        card=f"{RUN}/models/spectra/scaling/{{start}}_{{n_stars}}.json",
        history=f"{RUN}/models/spectra/scaling/{{start}}_{{n_stars}}.csv",
    log:
        f"{LOGS}/scale_training/{{start}}_{{n_stars}}.log",
    benchmark:
        f"{RUN}/benchmarks/scale_training/{{start}}_{{n_stars}}.tsv"
    wildcard_constraints:
        start="pretrained|scratch",
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
        settings=part_of(SpectrumMethods, config["spectra"]),
        scaling=part_of(Scaling, config["spectra"]["scaling"]),
        shape=part_of(TransformerShape, config["spectra"]["pretrain"]["shape"]),
        state_root=f"{STATE}/scale_training",
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/scale_training.py"


rule score_scaling:
    """Errors of networks and floors by the number of training stars, and the law that they follow."""
    input:
        spectra=STARS,
        pretrained=scaled_weights("pretrained"),
        scratch=scaled_weights("scratch"),
    output:
        metrics=f"{RUN}/metrics/spectra_scaling.csv",
        predictions=f"{RUN}/predictions/spectra_scaling.parquet",
    log:
        f"{LOGS}/score_scaling.log",
    benchmark:
        f"{RUN}/benchmarks/score_scaling.tsv"
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(max(8000, config["resources"]["train_mem_mb"])),
        runtime=config["resources"]["multitask_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        settings=part_of(SpectrumMethods, config["spectra"]),
        scaling=part_of(Scaling, config["spectra"]["scaling"]),
        seed=config["seed"],
        code=code_of("score_scaling"),
    script:
        "../scripts/score_scaling.py"


rule plot_scaling:
    """Errors against the number of training stars with their laws: figure and table."""
    input:
        metrics=f"{RUN}/metrics/spectra_scaling.csv",
    output:
        figure=SCALING["spectra_scaling"],
        png=report(
            f"{RUN}/figures/spectra_scaling.png",
            caption="../report/spectra_scaling.rst",
            category="Spectra",
            labels={"what": "Error against the number of training stars"},
        ),
        table=f"{RUN}/tables/spectra_scaling.csv",
        page=report(
            f"{RUN}/tables/spectra_scaling.html",
            caption="../report/spectra_scaling.rst",
            category="Spectra",
            labels={"what": "Table of errors by the number of training stars"},
        ),
    log:
        f"{LOGS}/plot_scaling.log",
    benchmark:
        f"{RUN}/benchmarks/plot_scaling.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_scaling"),
    script:
        "../scripts/plot_scaling.py"
