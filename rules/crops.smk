"""Crops: every galaxy cut out at its own size (paper II.B), and the splits.

Inputs: results/{run}/data/{dataset}/cutouts.h5.
Outputs: crops.h5, splits.parquet, rejected.csv, the figures of the survey, of the crops and of health.
Steps: crop_cutouts, or crop_shard for each file of a dataset in several and gather_crops; make_splits,
plot_survey, plot_health.
"""

from galaxy_lvm.core.config.survey import Crop, Splits


def crop_settings(wildcards):
    """Return the config's section `crop` with what differs for a dataset."""
    own = config["datasets"][wildcards.dataset]["crop"]
    return {**part_of(Crop, config["crop"]), **own, **survey_settings(wildcards, colours=True)}


def shard_settings(wildcards):
    """Return what crop_settings does, and `leave_out` where a damaged shard does not stop the run."""
    leave_out = {"leave_out": True} if leaves_out(wildcards) else {}
    return {**crop_settings(wildcards), **leave_out}


def earlier_rejections(wildcards):
    """Return the tables of what the import (of sources with files) and the crops rejected."""
    folder = f"{RUN}/data/{wildcards.dataset}"
    source = config["datasets"][wildcards.dataset]["source"]
    imported = source in ("folder", "legacysurvey", "bricks")
    stages = ["import", "crop"] if imported else ["crop"]
    return [f"{folder}/rejected_{stage}.csv" for stage in stages]


def shard_file(wildcards):
    """Return one file of a dataset that lies in several."""
    return SHARDS[wildcards.dataset][wildcards.shard]


def crops_of_shards(wildcards):
    """Return the crops of all shards of a dataset."""
    folder = f"{RUN}/data/{wildcards.dataset}/shards"
    return [f"{folder}/{shard}_crops.h5" for shard in SHARDS[wildcards.dataset]]


def rejected_of_shards(wildcards):
    """Return the tables of what the crops of all shards rejected."""
    folder = f"{RUN}/data/{wildcards.dataset}/shards"
    return [f"{folder}/{shard}_rejected.csv" for shard in SHARDS[wildcards.dataset]]


def needs_labels(wildcards):
    """Return whether tasks are trained on this dataset."""
    return wildcards.dataset in LABELLED


def class_scheme(wildcards):
    """Return the name and the rules of a dataset's class scheme, or None for plain labels."""
    name = config["datasets"][wildcards.dataset]["classes"]
    return name and {"name": name, "rules": config["class_schemes"][name]}


rule crop_cutouts:
    """Find the area that the galaxy occupies, cut it with a margin, resize it to 128 x 128."""
    input:
        cutouts=cutouts_of,
    output:
        crops=f"{RUN}/data/{{dataset}}/crops.h5",
        rejected=f"{RUN}/data/{{dataset}}/rejected_crop.csv",
    log:
        f"{LOGS}/crop_cutouts/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/crop_cutouts/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=sharded(False),
    priority: 20  # much waits for it
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        settings=crop_settings,
        recipe_version=2,
    script:
        "../scripts/crop_cutouts.py"


rule crop_shard:
    """Crop one file of a dataset that lies in several, as crop_cutouts does."""
    input:
        cutouts=shard_file,
    output:
        crops=f"{RUN}/data/{{dataset}}/shards/{{shard}}_crops.h5",
        rejected=f"{RUN}/data/{{dataset}}/shards/{{shard}}_rejected.csv",
    log:
        f"{LOGS}/crop_shard/{{dataset}}_{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/crop_shard/{{dataset}}_{{shard}}.tsv"
    wildcard_constraints:
        dataset=sharded(True),
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=720,
    params:
        settings=shard_settings,
        recipe_version=1,
    script:
        "../scripts/crop_shard.py"


rule gather_crops:
    """Put the crops of all shards behind one file that lists them; refuse galaxies met twice."""
    input:
        cutouts=cutouts_of,
        crops=crops_of_shards,
        rejected=rejected_of_shards,
    output:
        crops=f"{RUN}/data/{{dataset}}/crops.h5",
        rejected=f"{RUN}/data/{{dataset}}/rejected_crop.csv",
    log:
        f"{LOGS}/gather_crops/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/gather_crops/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=sharded(True),
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=120,
    params:
        names=shard_names,
        code=code_of("gather_crops"),
    script:
        "../scripts/gather_crops.py"


rule make_splits:
    """Split by galaxy into train, val and test, near-duplicates on one side; count what is lost."""
    input:
        cutouts=cutouts_of,
        crops=f"{RUN}/data/{{dataset}}/crops.h5",
        rejected=earlier_rejections,
    output:
        splits=f"{RUN}/data/{{dataset}}/splits.parquet",
        rejected=report(
            f"{RUN}/data/{{dataset}}/rejected.csv",
            caption="../report/rejected.rst",
            category="1 Data",
            labels={"dataset": "{dataset}", "what": "Galaxies that could not be used (CSV)"},
        ),
    log:
        f"{LOGS}/make_splits/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/make_splits/{{dataset}}.tsv"
    priority: 20  # much waits for it
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        settings=part_of(Splits, config["splits"]),
        seed=config["seed"],
        require_labels=needs_labels,
        classes=class_scheme,
        recipe_version=1,  # all trainings follow from it: an edit of the library alone reruns none
    script:
        "../scripts/make_splits.py"


rule plot_survey:
    """Contact sheet of the survey by class, and cutouts beside their adaptive crops."""
    input:
        cutouts=cutouts_of,
        crops=f"{RUN}/data/{{dataset}}/crops.h5",
        splits=f"{RUN}/data/{{dataset}}/splits.parquet",
    output:
        contact_sheet=f"{RUN}/figures/{{dataset}}_contact_sheet.pdf",
        contact_sheet_png=report(
            f"{RUN}/figures/{{dataset}}_contact_sheet.png",
            caption="../report/survey.rst",
            category="1 Data",
            labels={"dataset": "{dataset}", "what": "Galaxies by class"},
        ),
        crop_figure=f"{RUN}/figures/{{dataset}}_adaptive_crops.pdf",
        crop_figure_png=report(
            f"{RUN}/figures/{{dataset}}_adaptive_crops.png",
            caption="../report/crops.rst",
            category="1 Data",
            labels={"dataset": "{dataset}", "what": "Cutouts and adaptive crops"},
        ),
    log:
        f"{LOGS}/plot_survey/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/plot_survey/{{dataset}}.tsv"
    priority: 20  # the first pictures
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        seed=config["seed"],
        code=code_of("plot_survey"),
    script:
        "../scripts/plot_survey.py"


rule plot_health:
    """Galaxies at every step, losses by reason, sky, sizes, magnitudes, extreme pixels."""
    input:
        cutouts=cutouts_of,
        crops=f"{RUN}/data/{{dataset}}/crops.h5",
        splits=f"{RUN}/data/{{dataset}}/splits.parquet",
        rejected=f"{RUN}/data/{{dataset}}/rejected.csv",
    output:
        figure=f"{RUN}/figures/{{dataset}}_health.pdf",
        png=report(
            f"{RUN}/figures/{{dataset}}_health.png",
            caption="../report/health.rst",
            category="1 Data",
            labels={"dataset": "{dataset}", "what": "Health of the data"},
        ),
        table=f"{RUN}/tables/{{dataset}}_health.csv",
    log:
        f"{LOGS}/plot_health/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/plot_health/{{dataset}}.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        seed=config["seed"],
        code=code_of("plot_health"),
    script:
        "../scripts/plot_health.py"
