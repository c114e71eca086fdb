"""Spectra of stars beside images of galaxies: stellar parameters (after Lu et al. 2026).

Inputs: the embedded emulator, or spectra.files.path (Gaia XP samples, LAMOST, SDSS).
Outputs: spectra/stars.h5, metrics/spectra.csv, predictions/spectra.parquet, figure and table
stellar_parameters.
Steps: simulate_spectra or import_spectra, estimate_stellar_parameters, plot_stellar_parameters.
Nothing of it is part of the default targets; `snakemake --cores 2 spectra` makes all.
"""

from galaxy_lvm.core.config.spectra import SimulatedSpectra, SpectrumFiles, SpectrumMethods

SPECTRA = {
    "stellar_parameters": f"{RUN}/figures/stellar_parameters.pdf",
}
# The store of stars has one of two origins.
SIMULATED_STARS = f"{RUN}/spectra/simulated_stars.h5"
IMPORTED_STARS = f"{RUN}/spectra/imported_stars.h5"
STARS = IMPORTED_STARS if config["spectra"]["source"] == "files" else SIMULATED_STARS


rule simulate_spectra:
    """Simulate spectra of stars with the embedded emulator, dust and noise."""
    output:
        spectra=SIMULATED_STARS,
    log:
        f"{LOGS}/simulate_spectra.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_spectra.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        grid=config["spectra"]["grid"],
        settings=part_of(SimulatedSpectra, config["spectra"]["simulated"]),
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/simulate_spectra.py"


rule import_spectra:
    """Read a user's spectra (Gaia XP, LAMOST, SDSS) onto one grid; list what is left out."""
    input:
        path=config["spectra"]["files"]["path"] or [],
    output:
        spectra=IMPORTED_STARS,
        rejected=f"{RUN}/spectra/rejected_spectra.csv",
    log:
        f"{LOGS}/import_spectra.log",
    benchmark:
        f"{RUN}/benchmarks/import_spectra.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        grid=config["spectra"]["grid"],
        settings=part_of(SpectrumFiles, config["spectra"]["files"]),
        recipe_version=1,
    script:
        "../scripts/import_spectra.py"


rule estimate_stellar_parameters:
    """Estimate Teff, logg, [Fe/H] and [alpha/M] of stars from their spectra."""
    input:
        spectra=STARS,
    output:
        metrics=f"{RUN}/metrics/spectra.csv",
        predictions=f"{RUN}/predictions/spectra.parquet",
    log:
        f"{LOGS}/estimate_stellar_parameters.log",
    benchmark:
        f"{RUN}/benchmarks/estimate_stellar_parameters.tsv"
    conda:
        CPU_ENV
    threads: config["resources"]["extensions_threads"]
    resources:
        mem_mb=config["resources"]["extensions_mem_mb"],
        runtime=config["resources"]["extensions_runtime_min"],
    params:
        settings=part_of(SpectrumMethods, config["spectra"]),
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/estimate_stellar_parameters.py"


rule plot_stellar_parameters:
    """Stellar parameters, predicted against true, their table and the verdicts."""
    input:
        metrics=f"{RUN}/metrics/spectra.csv",
        predictions=f"{RUN}/predictions/spectra.parquet",
    output:
        figure=SPECTRA["stellar_parameters"],
        png=report(
            f"{RUN}/figures/stellar_parameters.png",
            caption="../report/stellar_parameters.rst",
            category="8 Spectra",
            labels={"what": "Stellar parameters, predicted and true"},
        ),
        table=f"{RUN}/tables/stellar_parameters.csv",
        page=report(
            f"{RUN}/tables/stellar_parameters.html",
            caption="../report/stellar_parameters.rst",
            category="8 Spectra",
            labels={"what": "Table of stellar parameters"},
        ),
        claims=f"{RUN}/tables/stellar_parameters_claims.csv",
    log:
        f"{LOGS}/plot_stellar_parameters.log",
    benchmark:
        f"{RUN}/benchmarks/plot_stellar_parameters.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=code_of("plot_stellar_parameters"),
    script:
        "../scripts/plot_stellar_parameters.py"
