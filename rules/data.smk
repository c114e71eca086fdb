"""Data: every source ends in a cutout store (HDF5, schema of ssl-legacysurvey).

Inputs: the config's `datasets`; a user's folder for the source `folder`.
Outputs: results/{run}/data/{dataset}/cutouts.h5 and, for files, rejected_import.csv.
Steps: simulate_survey (source mock), import_folder (source folder), download_cutouts (source
legacysurvey), cut_bricks (source bricks) or list_shards (several files of source ssl_legacysurvey).
"""

from galaxy_lvm.core.config.bricks import BrickCuts
from galaxy_lvm.core.config.survey import Folder, Mock, Service
from galaxy_lvm.survey.image_state import images_state


def datasets_from(*sources):
    """Return a wildcard constraint that matches the datasets of these sources only."""
    names = [n for n, d in config["datasets"].items() if d["source"] in sources]
    return "|".join(names) or "(?!)"


def sharded(yes):
    """Return a wildcard constraint that matches the datasets in several files, or the others."""
    return "|".join(n for n in config["datasets"] if (n in SHARDS) == yes) or "(?!)"


def dataset_shards(wildcards):
    """Return the files of a dataset that lies in several."""
    if not SHARDS[wildcards.dataset]:
        raise WorkflowError(
            f"datasets.{wildcards.dataset}.path: no file is called "
            f"{config['datasets'][wildcards.dataset]['path']!r}"
        )
    return list(SHARDS[wildcards.dataset].values())


def shard_names(wildcards):
    """Return what the files of such a dataset are called."""
    return list(SHARDS[wildcards.dataset])


def shards_expected(wildcards):
    """Return how many files such a dataset has to have; None for any number."""
    return config["datasets"][wildcards.dataset]["n_shards"]


def leaves_out(wildcards):
    """Return whether files of such a dataset that are damaged or missing do not stop the run."""
    return config["datasets"][wildcards.dataset]["on_damaged_shard"] == "leave_out"


def dataset_folder(wildcards):
    """Return the user's folder of a dataset of source `folder`."""
    return config["datasets"][wildcards.dataset]["data_dir"] or config["data_dir"]


def dataset_table(wildcards):
    """Return the user's table of a dataset of source `folder`, `legacysurvey` or `bricks`."""
    return str(user_file(config, wildcards.dataset))


def folder_images(wildcards):
    """Return a hash of a dataset's image files: names, sizes, times."""
    folder, column = dataset_folder(wildcards), config["folder"]["file_column"]
    return images_state(str(folder or ""), dataset_table(wildcards), column)


def cutout_side_pix(wildcards):
    """Return the side of the cutouts to fetch or cut for a dataset of positions."""
    return config["datasets"][wildcards.dataset]["side_pix"]


def folder_settings(wildcards):
    """Return the config's section `folder` with the dataset's own column of labels.

    Classes by votes take its place. Only the galaxies of Table 1 have a second label.
    """
    dataset, changes = config["datasets"][wildcards.dataset], {}
    own = "" if dataset["classes"] is not None else dataset["label_column"]
    if own is not None:
        changes["label_column"] = own
    if wildcards.dataset != config["tasks_dataset"]:
        changes["second_label_column"] = None
    return {**part_of(Folder, config["folder"]), **changes, **survey_settings(wildcards)}


def service_settings(wildcards):
    """Return the config's section `legacysurvey` with the dataset's own layer."""
    layer = config["datasets"][wildcards.dataset]["survey"].get("layer")
    settings = part_of(Service, config["legacysurvey"])
    return {**settings, **({"layer": layer} if layer else {}), **survey_settings(wildcards)}


def brick_settings(wildcards):
    """Return where a dataset's bricks lie, and what is read of the config's section `legacysurvey`."""
    path = config["datasets"][wildcards.dataset]["bricks"]
    settings = part_of(BrickCuts, config["legacysurvey"])
    return {"path": path, **settings, **survey_settings(wildcards)}


rule simulate_survey:
    """Render the embedded survey with GalSim: g, r, z cutouts and their true parameters."""
    output:
        cutouts=f"{RUN}/data/{{dataset}}/cutouts.h5",
    log:
        f"{LOGS}/simulate_survey/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_survey/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=datasets_from("mock"),
    priority: 30  # all else waits, and beside a job of one core it would wait itself
    conda:
        CPU_ENV
    threads: config["resources"]["data_threads"]
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        settings=part_of(Mock, config["mock"]),
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/simulate_survey.py"


rule import_folder:
    """Read a user's JPEG, PNG or FITS images and their table; list what cannot be used."""
    input:
        table=dataset_table,
    output:
        cutouts=f"{RUN}/data/{{dataset}}/cutouts.h5",
        rejected=f"{RUN}/data/{{dataset}}/rejected_import.csv",
    log:
        f"{LOGS}/import_folder/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/import_folder/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=datasets_from("folder"),
    conda:
        CPU_ENV
    threads: config["resources"]["data_threads"]
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        data_dir=dataset_folder,
        images=folder_images,
        settings=folder_settings,
        recipe_version=2,
    script:
        "../scripts/import_folder.py"


rule download_cutouts:
    """Fetch a table's cutouts from the Legacy Surveys; list what cannot be used."""
    input:
        table=dataset_table,
    output:
        cutouts=f"{RUN}/data/{{dataset}}/cutouts.h5",
        rejected=f"{RUN}/data/{{dataset}}/rejected_import.csv",
    log:
        f"{LOGS}/download_cutouts/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/download_cutouts/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=datasets_from("legacysurvey"),
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=1440,
    params:
        cache_dir=f"{STATE}/legacysurvey",
        settings=service_settings,
        side_pix=cutout_side_pix,
        recipe_version=2,
    script:
        "../scripts/download_cutouts.py"


rule cut_bricks:
    """Cut a table's galaxies from coadded bricks on disk; list what cannot be used."""
    input:
        table=dataset_table,
    output:
        cutouts=f"{RUN}/data/{{dataset}}/cutouts.h5",
        rejected=f"{RUN}/data/{{dataset}}/rejected_import.csv",
    log:
        f"{LOGS}/cut_bricks/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/cut_bricks/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=datasets_from("bricks"),
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=1440,
    params:
        settings=brick_settings,
        side_pix=cutout_side_pix,
        recipe_version=1,
    script:
        "../scripts/cut_bricks.py"


rule list_shards:
    """List the files of a dataset that lies in several; nothing is copied."""
    input:
        shards=dataset_shards,
    output:
        cutouts=f"{RUN}/data/{{dataset}}/cutouts.h5",
    log:
        f"{LOGS}/list_shards/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/list_shards/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=sharded(True),
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        names=shard_names,
        n_shards=shards_expected,
        leave_out=leaves_out,
        code=code_of("list_shards"),
    script:
        "../scripts/list_shards.py"
