"""Spectra of stars beside images of galaxies: stellar parameters (after Lu et al. 2026).

Inputs: the embedded emulator, or spectra.files.path (Gaia XP samples, LAMOST, SDSS).
Outputs: spectra/*_stars.h5, models/spectra/*.safetensors, metrics/spectra.csv, predictions/spectra.parquet, figure and table
stellar_parameters.
Steps: simulate_spectra or import_spectra, pretrain_spectra, finetune_spectra (one job a member of
the ensemble), estimate_stellar_parameters, plot_stellar_parameters.
`snakemake --cores 2 spectra` makes all; the default targets do where the key `beside` names it.
"""

from galaxy_lvm.core.language_files import language_files
from galaxy_lvm.core.config.spectra import (
    SimulatedSpectra,
    SpectrumFiles,
    SpectrumMethods,
    SpectrumPretraining,
)

SPECTRA = {
    "stellar_parameters": f"{RUN}/figures/stellar_parameters.pdf",
}
# The store of stars has one of two origins.
SIMULATED_STARS = f"{RUN}/spectra/simulated_stars.h5"
IMPORTED_STARS = f"{RUN}/spectra/imported_stars.h5"
STARS = IMPORTED_STARS if config["spectra"]["source"] == "files" else SIMULATED_STARS


def language_model(wildcards):
    """Return the files of the language model that reads the spectra; none for the own Transformer."""
    folder = config["spectra"]["pretrain"]["shape"]["language_model"]["path"]
    return [] if folder is None else [str(path) for path in language_files(folder)]


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
        mem_mb=growing(2000),
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
        mem_mb=growing(4000),
        runtime=120,
    params:
        grid=config["spectra"]["grid"],
        settings=part_of(SpectrumFiles, config["spectra"]["files"]),
        recipe_version=2,
    script:
        "../scripts/import_spectra.py"


rule pretrain_spectra:
    """Pretrain the Transformer on simulated spectra; resumes from its checkpoint after a kill."""
    input:
        language_model=language_model,
    output:
        weights=f"{RUN}/models/spectra/pretrained.safetensors",
        card=f"{RUN}/models/spectra/pretrained.json",
        history=f"{RUN}/models/spectra/pretrained.csv",
    log:
        f"{LOGS}/pretrain_spectra.log",
    benchmark:
        f"{RUN}/benchmarks/pretrain_spectra.tsv"
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["pretrain_runtime_min"],
        gpu=NODE_GPUS,
        nodes=1,
    params:
        grid=config["spectra"]["grid"],
        noise=part_of(SimulatedSpectra, config["spectra"]["simulated"]),
        settings=part_of(SpectrumPretraining, config["spectra"]["pretrain"]),
        continuum_angstrom=config["spectra"]["continuum_angstrom"],
        state_root=f"{STATE}/pretrain_spectra",
        seed=config["seed"],
        n_gpus=NODE_GPUS,
        recipe_version=2,
    script:
        "../scripts/pretrain_spectra.py"


rule finetune_spectra:
    """Train a member of the ensemble on stars with good labels; resumes after a kill."""
    input:
        spectra=STARS,
        pretrained=f"{RUN}/models/spectra/pretrained.safetensors",
    output:
        weights=f"{RUN}/models/spectra/transformer_{{member}}.safetensors",
        card=f"{RUN}/models/spectra/transformer_{{member}}.json",
        history=f"{RUN}/models/spectra/transformer_{{member}}.csv",
    log:
        f"{LOGS}/finetune_spectra_{{member}}.log",
    benchmark:
        f"{RUN}/benchmarks/finetune_spectra/{{member}}.tsv"
    wildcard_constraints:
        member=r"\d+",
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
        state_root=f"{STATE}/finetune_spectra",
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/finetune_spectra.py"


rule estimate_stellar_parameters:
    """Estimate Teff, logg, [Fe/H] and [alpha/M] of stars: floors, and the Transformer."""
    input:
        spectra=STARS,
        weights=expand(
            f"{RUN}/models/spectra/transformer_{{member}}.safetensors",
            member=range(config["spectra"]["finetune"]["n_members"]),
        ),
    output:
        metrics=f"{RUN}/metrics/spectra.csv",
        predictions=f"{RUN}/predictions/spectra.parquet",
    log:
        f"{LOGS}/estimate_stellar_parameters.log",
    benchmark:
        f"{RUN}/benchmarks/estimate_stellar_parameters.tsv"
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
        seed=config["seed"],
        recipe_version=4,
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
            category="Spectra",
            labels={"what": "Stellar parameters, predicted and true"},
        ),
        table=f"{RUN}/tables/stellar_parameters.csv",
        page=report(
            f"{RUN}/tables/stellar_parameters.html",
            caption="../report/stellar_parameters.rst",
            category="Spectra",
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
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_stellar_parameters"),
    script:
        "../scripts/plot_stellar_parameters.py"
