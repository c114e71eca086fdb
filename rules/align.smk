"""Two kinds of spectra of the same stars in one space (after SpecCLIP, Zhao et al. 2025).

Inputs: the stars of the chapter spectra.
Outputs: spectra/pairs_*.h5, models/align/*.safetensors, metrics and predictions of search_* and translation_*, figure and table
alignment.
Steps, for each of align.experiments: pair_spectra, align_modalities, then search_across and translate_spectra; plot_alignment.
`snakemake --cores 2 align` makes all; the default targets do where the key `beside` names it.
"""

from galaxy_lvm.core.config.align import AlignTraining, Binaries, Pairing
from galaxy_lvm.core.config.spectra import SpectrumSplits

ALIGN = {
    "alignment": f"{RUN}/figures/alignment.pdf",
}
ALIGN_EXPERIMENTS = config["align"]["experiments"]


rule pair_spectra:
    """Make pairs of spectra: both ends of one, or a real one and its simulated twin."""
    input:
        spectra=STARS,
    output:
        a=f"{RUN}/spectra/pairs_{{experiment}}_a.h5",
        b=f"{RUN}/spectra/pairs_{{experiment}}_b.h5",
    log:
        f"{LOGS}/pair_spectra_{{experiment}}.log",
    benchmark:
        f"{RUN}/benchmarks/pair_spectra/{{experiment}}.tsv"
    wildcard_constraints:
        experiment="ends|twins",
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        settings=part_of(Pairing, config["align"]["pairing"]),
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/pair_spectra.py"


rule align_modalities:
    """Train the networks of both sides; resumes from its checkpoint after a kill."""
    input:
        a=f"{RUN}/spectra/pairs_{{experiment}}_a.h5",
        b=f"{RUN}/spectra/pairs_{{experiment}}_b.h5",
    output:
        weights=f"{RUN}/models/align/{{experiment}}.safetensors",
        card=f"{RUN}/models/align/{{experiment}}.json",
        history=f"{RUN}/models/align/{{experiment}}.csv",
    log:
        f"{LOGS}/align_modalities_{{experiment}}.log",
    benchmark:
        f"{RUN}/benchmarks/align_modalities/{{experiment}}.tsv"
    wildcard_constraints:
        experiment="ends|twins|galaxies",
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["multitask_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        settings=part_of(AlignTraining, config["align"]),
        splits=part_of(SpectrumSplits, config["spectra"]),
        state_root=f"{STATE}/align_modalities",
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/align_modalities.py"


rule search_across:
    """Search each star's spectrum of one kind by its spectrum of the other."""
    input:
        a=f"{RUN}/spectra/pairs_{{experiment}}_a.h5",
        b=f"{RUN}/spectra/pairs_{{experiment}}_b.h5",
        weights=f"{RUN}/models/align/{{experiment}}.safetensors",
    output:
        metrics=f"{RUN}/metrics/search_{{experiment}}.csv",
        predictions=f"{RUN}/predictions/search_{{experiment}}.parquet",
    log:
        f"{LOGS}/search_across_{{experiment}}.log",
    benchmark:
        f"{RUN}/benchmarks/search_across/{{experiment}}.tsv"
    wildcard_constraints:
        experiment="ends|twins|galaxies",
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        gallery_size=config["align"]["gallery_size"],
        splits=part_of(SpectrumSplits, config["spectra"]),
        seed=config["seed"],
        code=code_of("search_across"),
    script:
        "../scripts/search_across.py"


rule translate_spectra:
    """Make each star's spectrum of one kind from the other; score binaries put among the stars."""
    input:
        a=f"{RUN}/spectra/pairs_{{experiment}}_a.h5",
        b=f"{RUN}/spectra/pairs_{{experiment}}_b.h5",
        weights=f"{RUN}/models/align/{{experiment}}.safetensors",
    output:
        metrics=f"{RUN}/metrics/translation_{{experiment}}.csv",
        errors=f"{RUN}/predictions/translation_{{experiment}}.parquet",
        profiles=f"{RUN}/predictions/translation_{{experiment}}_wavelengths.parquet",
        anomalies=f"{RUN}/predictions/anomalies_{{experiment}}.parquet",
    log:
        f"{LOGS}/translate_spectra_{{experiment}}.log",
    benchmark:
        f"{RUN}/benchmarks/translate_spectra/{{experiment}}.tsv"
    wildcard_constraints:
        experiment="ends|twins",
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(6000),
        runtime=60,
    params:
        settings=part_of(Binaries, config["align"]["binaries"]),
        splits=part_of(SpectrumSplits, config["spectra"]),
        seed=config["seed"],
        code=code_of("translate_spectra"),
    script:
        "../scripts/translate_spectra.py"


rule plot_alignment:
    """Draw search, translation and anomalies of every experiment; table and verdicts."""
    input:
        metrics=expand(
            f"{RUN}/metrics/{{what}}_{{experiment}}.csv",
            what=["search", "translation"],
            experiment=ALIGN_EXPERIMENTS,
        ),
        ranks=expand(
            f"{RUN}/predictions/search_{{experiment}}.parquet", experiment=ALIGN_EXPERIMENTS
        ),
        errors=expand(
            f"{RUN}/predictions/translation_{{experiment}}.parquet", experiment=ALIGN_EXPERIMENTS
        ),
        profiles=expand(
            f"{RUN}/predictions/translation_{{experiment}}_wavelengths.parquet",
            experiment=ALIGN_EXPERIMENTS,
        ),
        anomalies=expand(
            f"{RUN}/predictions/anomalies_{{experiment}}.parquet", experiment=ALIGN_EXPERIMENTS
        ),
    output:
        figure=ALIGN["alignment"],
        png=report(
            f"{RUN}/figures/alignment.png",
            caption="../report/alignment.rst",
            category="Spectra",
            labels={"what": "Two kinds of spectra aligned"},
        ),
        table=f"{RUN}/tables/alignment.csv",
        page=report(
            f"{RUN}/tables/alignment.html",
            caption="../report/alignment.rst",
            category="Spectra",
            labels={"what": "Table of search, translation and anomalies"},
        ),
        claims=f"{RUN}/tables/alignment_claims.csv",
    log:
        f"{LOGS}/plot_alignment.log",
    benchmark:
        f"{RUN}/benchmarks/plot_alignment.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        experiments=ALIGN_EXPERIMENTS,
        seed=config["seed"],
        code=code_of("plot_alignment"),
    script:
        "../scripts/plot_alignment.py"
