"""Images and spectra of the same galaxies: do both together say more than the better one?

Inputs: nothing, or the run's LVM where joint.encoder asks for it.
Outputs: data/{dataset}/cutouts.h5 and spectra.h5 of datasets of source populations; spectra/pairs_galaxies_*.h5,
metrics and predictions of search_galaxies and joint, figure and table joint.
Steps: simulate_populations, simulate_galaxy_spectra, crop_cutouts, extract_features, pair_galaxies,
align_modalities, search_across, estimate_galaxies, plot_joint.
`snakemake --cores 2 joint` makes all; the default targets do where the key `beside` names it. The target joint_real does the same
with real photometry and redshifts, and with stars (estimate_real, plot_real).
"""

from galaxy_lvm.core.config.joint import JointEstimates, JointSimulation


# Its file lies among those of the encoders.
ruleorder: join_features > extract_features


JOINT = {
    "joint": f"{RUN}/figures/joint.pdf",
}
JOINT_REAL = expand(
    f"{RUN}/figures/joint_{{catalogue}}.pdf", catalogue=config["joint"]["real"]["catalogues"]
)
JOINT_FEATURES = RELEASED_FEATURES if config["joint"]["encoder"] == "released" else "lvm"


def joint_data(wildcards):
    """Return features, ids, spectra and crops of the dataset of the joint chapter."""
    name = config["joint"]["dataset"]
    if config["datasets"].get(name, {}).get("source") != "populations":
        raise WorkflowError(
            f"joint.dataset: {name!r} is no dataset of source populations; add "
            f"datasets: {{{name}: {{source: populations}}}}"
        )
    features = f"{RUN}/features/{name}/{JOINT_FEATURES}"
    return {
        "features": f"{features}.npy",
        "ids": f"{features}.parquet",
        "spectra": f"{RUN}/data/{name}/spectra.h5",
        "crops": f"{RUN}/data/{name}/crops.h5",
    }


def joint_features(wildcards):
    """Return what pair_galaxies reads."""
    found = joint_data(wildcards)
    return {key: found[key] for key in ("features", "ids", "spectra")}


def joint_crops(wildcards):
    """Return the crops of the dataset of the joint chapter."""
    return joint_data(wildcards)["crops"]


rule simulate_populations:
    """Render galaxies whose colours and spectrum are of one mixture of stellar populations."""
    output:
        cutouts=f"{RUN}/data/{{dataset}}/cutouts.h5",
    log:
        f"{LOGS}/simulate_populations/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_populations/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=datasets_from("populations"),
    priority: 25  # as simulate_survey
    conda:
        CPU_ENV
    threads: config["resources"]["data_threads"]
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        settings=part_of(Mock, config["mock"]),
        n_galaxies=config["joint"]["simulated"]["n_galaxies"],
        splits=part_of(SpectrumSplits, config["spectra"]),
        seed=config["seed"],
        recipe_version=2,
    script:
        "../scripts/simulate_populations.py"


rule simulate_galaxy_spectra:
    """Make each galaxy's spectrum, with noise by its brightness, of its mixture of populations."""
    input:
        cutouts=f"{RUN}/data/{{dataset}}/cutouts.h5",
    output:
        spectra=f"{RUN}/data/{{dataset}}/spectra.h5",
    log:
        f"{LOGS}/simulate_galaxy_spectra/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_galaxy_spectra/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=datasets_from("populations"),
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        settings=part_of(JointSimulation, config["joint"]["simulated"]),
        seed=config["seed"],
        code=code_of("simulate_galaxy_spectra"),
    script:
        "../scripts/simulate_galaxy_spectra.py"


rule pair_galaxies:
    """Pair the features of each galaxy's image with its spectrum."""
    input:
        unpack(joint_features),
    output:
        a=f"{RUN}/spectra/pairs_galaxies_a.h5",
        b=f"{RUN}/spectra/pairs_galaxies_b.h5",
    log:
        f"{LOGS}/pair_galaxies.log",
    benchmark:
        f"{RUN}/benchmarks/pair_galaxies.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        feature_noise=config["joint"]["feature_noise"],
        code=code_of("pair_galaxies"),
    script:
        "../scripts/pair_galaxies.py"


rule join_features:
    """Write both halves' shared parts as one feature vector a galaxy, for search and label loop."""
    input:
        unpack(joint_features),
        a=f"{RUN}/spectra/pairs_galaxies_a.h5",
        b=f"{RUN}/spectra/pairs_galaxies_b.h5",
        weights=f"{RUN}/models/align/galaxies.safetensors",
    output:
        joint=f"{RUN}/features/{config['joint']['dataset']}/joint.npy",
        joint_ids=f"{RUN}/features/{config['joint']['dataset']}/joint.parquet",
    log:
        f"{LOGS}/join_features.log",
    benchmark:
        f"{RUN}/benchmarks/join_features.tsv"
    conda:
        TRAIN_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        code=code_of("join_features"),
    script:
        "../scripts/join_features.py"


rule estimate_galaxies:
    """Estimate redshift, mass to light and classes from image, spectrum, magnitudes, and jointly."""
    input:
        a=f"{RUN}/spectra/pairs_galaxies_a.h5",
        b=f"{RUN}/spectra/pairs_galaxies_b.h5",
        weights=f"{RUN}/models/align/galaxies.safetensors",
    output:
        metrics=f"{RUN}/metrics/joint.csv",
        predictions=f"{RUN}/predictions/joint.parquet",
    log:
        f"{LOGS}/estimate_galaxies.log",
    benchmark:
        f"{RUN}/benchmarks/estimate_galaxies.tsv"
    conda:
        TRAIN_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(6000),
        runtime=60,
    params:
        settings=part_of(JointEstimates, config["joint"]),
        splits=part_of(SpectrumSplits, config["spectra"]),
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/estimate_galaxies.py"


rule plot_joint:
    """Draw and table what images and spectra say, alone and together; judge it."""
    input:
        metrics=f"{RUN}/metrics/joint.csv",
        predictions=f"{RUN}/predictions/joint.parquet",
        search=f"{RUN}/metrics/search_galaxies.csv",
        ranks=f"{RUN}/predictions/search_galaxies.parquet",
        spectra=f"{RUN}/spectra/pairs_galaxies_b.h5",
        crops=joint_crops,
    output:
        figure=JOINT["joint"],
        png=report(
            f"{RUN}/figures/joint.png",
            caption="../report/joint.rst",
            category="Spectra",
            labels={"what": "Images and spectra of the same galaxies"},
        ),
        table=f"{RUN}/tables/joint.csv",
        page=report(
            f"{RUN}/tables/joint.html",
            caption="../report/joint.rst",
            category="Spectra",
            labels={"what": "Table of estimates from images and spectra"},
        ),
        claims=f"{RUN}/tables/joint_claims.csv",
    log:
        f"{LOGS}/plot_joint.log",
    benchmark:
        f"{RUN}/benchmarks/plot_joint.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        seed=config["seed"],
        code=code_of("plot_joint"),
    script:
        "../scripts/plot_joint.py"


def real_data(wildcards):
    """Return the file of real galaxies, or the store of stars."""
    if wildcards.catalogue == "stars":
        return STARS
    return config["joint"]["real"]["photometry_path"] or []


rule estimate_real:
    """Estimate redshifts of real galaxies from photometry, or parameters of stars with colours."""
    input:
        data=real_data,
    output:
        metrics=f"{RUN}/metrics/joint_{{catalogue}}.csv",
        predictions=f"{RUN}/predictions/joint_{{catalogue}}.parquet",
    log:
        f"{LOGS}/estimate_real_{{catalogue}}.log",
    benchmark:
        f"{RUN}/benchmarks/estimate_real/{{catalogue}}.tsv"
    wildcard_constraints:
        catalogue="photometry|stars",
    conda:
        CPU_ENV
    threads: config["threads"]
    resources:
        mem_mb=growing(6000),
        runtime=120,
    params:
        settings=part_of(JointEstimates, config["joint"]),
        splits=part_of(SpectrumSplits, config["spectra"]),
        labels=config["spectra"]["labels"],
        magnitudes=config["joint"]["real"]["magnitudes"],
        seed=config["seed"],
        recipe_version=2,
    script:
        "../scripts/estimate_real.py"


rule plot_real:
    """Draw and table the estimates of real galaxies, or stars; judge what more data add."""
    input:
        metrics=f"{RUN}/metrics/joint_{{catalogue}}.csv",
        predictions=f"{RUN}/predictions/joint_{{catalogue}}.parquet",
    output:
        figure=f"{RUN}/figures/joint_{{catalogue}}.pdf",
        png=report(
            f"{RUN}/figures/joint_{{catalogue}}.png",
            caption="../report/joint_real.rst",
            category="Spectra",
            labels={"what": "Real data, {catalogue}"},
        ),
        table=f"{RUN}/tables/joint_{{catalogue}}.csv",
        page=report(
            f"{RUN}/tables/joint_{{catalogue}}.html",
            caption="../report/joint_real.rst",
            category="Spectra",
            labels={"what": "Table of real data, {catalogue}"},
        ),
        claims=f"{RUN}/tables/joint_{{catalogue}}_claims.csv",
    log:
        f"{LOGS}/plot_real_{{catalogue}}.log",
    benchmark:
        f"{RUN}/benchmarks/plot_real/{{catalogue}}.tsv"
    wildcard_constraints:
        catalogue="photometry|stars",
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        seed=config["seed"],
        code=code_of("plot_real"),
    script:
        "../scripts/plot_real.py"
