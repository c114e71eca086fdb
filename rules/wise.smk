"""Stars, galaxies and quasars in cutouts of WISE (after Zhao et al. 2023).

Inputs: physical colours and real point-spread functions that the library keeps, or wise.files (unWISE tiles and a table).
Outputs: data/wise_*/ (cutouts, crops, photometry, splits), metrics/wise_*.csv, predictions/wise_*.parquet, figures wise_sources and
wise, table wise with its verdicts.
Steps, for each simulated sky (named by its scatter of colours) or the files: simulate_wise or import_wise, measure_wise,
train_wise (one job a network and training), evaluate_wise; plot_wise_sources, plot_wise.
`snakemake --cores 2 wise` makes all; the default targets do where the key `beside` names it.
"""

from galaxy_lvm.core.config.wise import (
    WiseCutout,
    WiseFiles,
    WiseNetworks,
    WiseScene,
    WiseScores,
    WiseSplits,
)

WISE = {
    "wise_sources": f"{RUN}/figures/wise_sources.pdf",
    "wise": f"{RUN}/figures/wise.pdf",
}
# A simulated sky is named by the assumed scatter of colours in thousandths of a magnitude.
WISE_SKIES = (
    ["files"]
    if config["wise"]["source"] == "files"
    else [f"{round(1000 * scatter)}mmag" for scatter in config["wise"]["colour_scatters_mag"]]
)
WISE_DATA = f"{RUN}/data/wise_{{sky}}"
WISE_NETWORKS = [
    f"{label}_{part}" for label in WISE_SPECS for part in range(config["wise"]["n_seeds"])
]


rule simulate_wise:
    """Simulate cutouts of stars, galaxies and quasars in W1, W2, W3."""
    output:
        cutouts=f"{WISE_DATA}/cutouts.h5",
    log:
        f"{LOGS}/simulate_wise_{{sky}}.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_wise/{{sky}}.tsv"
    wildcard_constraints:
        sky=r"\d+mmag",
    conda:
        CPU_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        settings=part_of(WiseScene, config["wise"]["scene"]),
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/simulate_wise.py"


rule import_wise:
    """Cut sources out of real unWISE tiles; list what is left out."""
    input:
        table=config["wise"]["files"]["table"] or [],
        tiles=config["wise"]["files"]["tiles"] or [],
    output:
        cutouts=f"{RUN}/data/wise_files/cutouts.h5",
        rejected=f"{RUN}/data/wise_files/rejected_import.csv",
    log:
        f"{LOGS}/import_wise.log",
    benchmark:
        f"{RUN}/benchmarks/import_wise.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        settings=part_of(WiseFiles, config["wise"]["files"]),
        cutout=part_of(WiseCutout, config["wise"]["scene"]),
        recipe_version=1,
    script:
        "../scripts/import_wise.py"


rule measure_wise:
    """Turn cutouts of WISE into 8-bit crops, measure them by the PSF, divide them into splits."""
    input:
        cutouts=f"{WISE_DATA}/cutouts.h5",
    output:
        crops=f"{WISE_DATA}/crops.h5",
        photometry=f"{WISE_DATA}/photometry.parquet",
        splits=f"{WISE_DATA}/splits.parquet",
        rejected=f"{WISE_DATA}/rejected.csv",
    log:
        f"{LOGS}/measure_wise_{{sky}}.log",
    benchmark:
        f"{RUN}/benchmarks/measure_wise/{{sky}}.tsv"
    wildcard_constraints:
        sky=r"\d+mmag|files",
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        cutout=part_of(WiseCutout, config["wise"]["scene"]),
        settings=part_of(WiseSplits, config["wise"]["splits"]),
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/measure_wise.py"


rule plot_wise_sources:
    """Draw cutouts of WISE by class, bright to faint, and their measured colours."""
    input:
        crops=f"{RUN}/data/wise_{WISE_SKIES[0]}/crops.h5",
        photometry=f"{RUN}/data/wise_{WISE_SKIES[0]}/photometry.parquet",
    output:
        figure=WISE["wise_sources"],
        png=report(
            f"{RUN}/figures/wise_sources.png",
            caption="../report/wise_sources.rst",
            category="WISE",
            labels={"what": "Sources in W1, W2, W3"},
        ),
    log:
        f"{LOGS}/plot_wise_sources.log",
    benchmark:
        f"{RUN}/benchmarks/plot_wise_sources.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_wise_sources"),
    script:
        "../scripts/plot_wise_sources.py"


def wise_model(wildcards):
    """Return the config's entry of a network."""
    return config["wise"]["models"][list(WISE_SPECS).index(wildcards.model)]


rule train_wise:
    """Train one network to tell stars, galaxies and quasars apart; resumes after a kill."""
    input:
        crops=f"{WISE_DATA}/crops.h5",
        splits=f"{WISE_DATA}/splits.parquet",
        photometry=f"{WISE_DATA}/photometry.parquet",
    output:
        metrics=f"{RUN}/metrics/wise_networks/{{sky}}_{{model}}_{{part}}.csv",
        predictions=f"{RUN}/predictions/wise_networks/{{sky}}_{{model}}_{{part}}.parquet",
    log:
        f"{LOGS}/train_wise/{{sky}}_{{model}}_{{part}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_wise/{{sky}}_{{model}}_{{part}}.tsv"
    wildcard_constraints:
        sky=r"\d+mmag|files",
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["multitask_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        model=wise_model,
        settings=part_of(WiseNetworks, config["wise"]["networks"]),
        state_root=f"{STATE}/train_wise",
        seed=training_seed,
        recipe_version=1,
    script:
        "../scripts/train_wise.py"


rule evaluate_wise:
    """Fit the floors on photometry; score them and the networks by class and by W1."""
    input:
        splits=f"{WISE_DATA}/splits.parquet",
        photometry=f"{WISE_DATA}/photometry.parquet",
        networks=expand(
            f"{RUN}/metrics/wise_networks/{{{{sky}}}}_{{network}}.csv", network=WISE_NETWORKS
        ),
        network_predictions=expand(
            f"{RUN}/predictions/wise_networks/{{{{sky}}}}_{{network}}.parquet",
            network=WISE_NETWORKS,
        ),
    output:
        metrics=f"{RUN}/metrics/wise_{{sky}}.csv",
        predictions=f"{RUN}/predictions/wise_{{sky}}.parquet",
    log:
        f"{LOGS}/evaluate_wise_{{sky}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_wise/{{sky}}.tsv"
    wildcard_constraints:
        sky=r"\d+mmag|files",
    conda:
        TRAIN_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        settings=part_of(WiseScores, config["wise"]["scores"]),
        seed=config["seed"],
        code=code_of("evaluate_wise"),
    script:
        "../scripts/evaluate_wise.py"


rule plot_wise:
    """Draw accuracies in WISE over W1 and against the size of networks; table and verdicts."""
    input:
        metrics=expand(f"{RUN}/metrics/wise_{{sky}}.csv", sky=WISE_SKIES),
        predictions=expand(f"{RUN}/predictions/wise_{{sky}}.parquet", sky=WISE_SKIES),
    output:
        figure=WISE["wise"],
        png=report(
            f"{RUN}/figures/wise.png",
            caption="../report/wise.rst",
            category="WISE",
            labels={"what": "Stars, galaxies and quasars told apart"},
        ),
        table=f"{RUN}/tables/wise.csv",
        page=report(
            f"{RUN}/tables/wise.html",
            caption="../report/wise.rst",
            category="WISE",
            labels={"what": "Table of accuracies"},
        ),
        claims=f"{RUN}/tables/wise_claims.csv",
    log:
        f"{LOGS}/plot_wise.log",
    benchmark:
        f"{RUN}/benchmarks/plot_wise.tsv"
    conda:
        TRAIN_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        models=config["wise"]["models"],
        settings=part_of(WiseScores, config["wise"]["scores"]),
        code=code_of("plot_wise"),
    script:
        "../scripts/plot_wise.py"
