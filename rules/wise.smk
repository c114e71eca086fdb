"""Stars, galaxies and quasars in cutouts of WISE (after Zhao et al. 2023).

Inputs: physical colours and real point-spread functions that the library keeps, or wise.files (unWISE tiles and a table).
Outputs: data/wise_*/ (cutouts, crops, photometry, splits), figure wise_sources.
Steps, for each simulated sky (named by its scatter of colours) or the files: simulate_wise or import_wise, measure_wise;
plot_wise_sources.
Nothing of it is part of the default targets; `snakemake --cores 2 wise` makes all.
"""

from galaxy_lvm.core.config.wise import WiseCutout, WiseFiles, WiseScene, WiseSplits

WISE = {
    "wise_sources": f"{RUN}/figures/wise_sources.pdf",
}
# A simulated sky is named by the assumed scatter of colours in thousandths of a magnitude.
WISE_SKIES = (
    ["files"]
    if config["wise"]["source"] == "files"
    else [f"{round(1000 * scatter)}mmag" for scatter in config["wise"]["colour_scatters_mag"]]
)
WISE_DATA = f"{RUN}/data/wise_{{sky}}"


rule simulate_wise:
    """Simulate cutouts of stars, galaxies and quasars in W1, W2, W3."""
    output:
        cutouts=f"{WISE_DATA}/cutouts.h5",
    log:
        f"{LOGS}/simulate_wise_{{sky}}.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_wise_{{sky}}.tsv"
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
        f"{RUN}/benchmarks/measure_wise_{{sky}}.tsv"
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
            category="8 WISE",
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
