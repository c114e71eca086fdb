"""Images and spectra of the same galaxies: do both together say more than the better one?

Inputs: nothing, or the run's LVM where joint.encoder asks for it.
Outputs: data/{dataset}/cutouts.h5 and spectra.h5 of datasets of source populations.
Steps: simulate_populations, simulate_galaxy_spectra.
Nothing of it is part of the default targets.
"""

from galaxy_lvm.core.config.joint import GalaxySpectra


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
    conda:
        CPU_ENV
    threads: config["resources"]["data_threads"]
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        settings=part_of(Mock, config["mock"]),
        n_galaxies=config["joint"]["simulated"]["n_galaxies"],
        seed=config["seed"],
        recipe_version=1,
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
        settings=part_of(GalaxySpectra, config["joint"]["simulated"]["spectra"]),
        seed=config["seed"],
        code=code_of("simulate_galaxy_spectra"),
    script:
        "../scripts/simulate_galaxy_spectra.py"
