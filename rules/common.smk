"""Config check, paths and helpers that the chapters share."""

import os
import sys
from pathlib import Path

# The library lies beside the scripts; rules need its config check and class list.
sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from galaxy_lvm.core.closure import code_hash
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.training.model_specs import model_specs, reference_specs
from galaxy_lvm.core.config import resolve
from galaxy_lvm.core.config.profile import check_profile, profiles_of

try:
    if workflow.is_main_process:
        profiles = profiles_of(sys.argv, os.environ)
        check_profile(config, profiles, [Path(workflow.basedir), Path(workflow.workdir_init)])
    complete = resolve(config, workflow.overwrite_configfiles)
    config.clear()
    config.update(complete)
    FEWSHOT_SPECS = {spec.label: spec for spec in model_specs(config["fewshot"]["models"])}
    REFERENCE_SPECS = {s.label: s for s in reference_specs(config["reference"]["models"])}
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{config['run']}"
LOGS = f"logs/{config['run']}"
STATE = f"results/{config['run']}/state"
TASKS_DATA = f"{RUN}/data/{config['tasks_dataset']}"
PRETRAIN_DATA = f"{RUN}/data/{config['pretrain_dataset']}"
FEWSHOT_DATASET = config["fewshot"]["dataset"] or config["tasks_dataset"]
FEWSHOT_DATA = f"{RUN}/data/{FEWSHOT_DATASET}"
HITL_COMPARISON = config["hitl"]["comparison_dataset"] or config["tasks_dataset"]
HITL_DISCOVERY = config["hitl"]["discovery_dataset"] or config["tasks_dataset"]
STRATEGIES = ["pre_train", "multi_uniform", "multi_active"]
if config["multitask"]["from_scratch"]:
    STRATEGIES.append("from_scratch")
# Repetitions of the trainings behind Tables 1 to 4.
TRAINING_PARTS = range(config["multitask"]["n_seeds"])
CPU_ENV = str(Path(workflow.basedir) / "envs" / "cpu.yaml")
TRAIN_ENV = str(Path(workflow.basedir) / "envs" / ("gpu.yaml" if config["gpus"] else "cpu.yaml"))

TABLES = {
    "table1": f"{RUN}/tables/table1_classification.csv",
    "table2": f"{RUN}/tables/table2_restoration.csv",
    "table3": f"{RUN}/tables/table3_reconstruction.csv",
    "table4": f"{RUN}/tables/table4_patch_size.csv",
}
FIGURES = {
    "fig1": f"{RUN}/figures/fig01_lvm.pdf",
    "fig2": f"{RUN}/figures/fig02_swin_layers.pdf",
    "fig3": f"{RUN}/figures/fig03_multitask.pdf",
    "fig4": f"{RUN}/figures/fig04_reconstruction.pdf",
    "fig5": f"{RUN}/figures/fig05_few_shot.pdf",
    "fig7": f"{RUN}/figures/fig07_hitl_targets.pdf",
    "fig8": f"{RUN}/figures/fig08_hitl_module.pdf",
    "fig10": f"{RUN}/figures/fig10_hitl.pdf",
    "hitl_discovery": f"{RUN}/figures/hitl_discovery.pdf",
    "hitl_alpha": f"{RUN}/figures/hitl_alpha.pdf",
    "survey": f"{RUN}/figures/{config['tasks_dataset']}_contact_sheet.pdf",
    "crops": f"{RUN}/figures/{config['tasks_dataset']}_adaptive_crops.pdf",
    "training": f"{RUN}/figures/multitask_training.pdf",
    "objectives": f"{RUN}/figures/objectives.pdf",
    "confusion": f"{RUN}/figures/classification.pdf",
    "disagreements": f"{RUN}/figures/label_disagreements.pdf",
}

EXTENSIONS = {
    "parameters": f"{RUN}/figures/parameters.pdf",
    "outliers": f"{RUN}/figures/outliers.pdf",
    "oddities": f"{RUN}/figures/oddities.pdf",
    "unusual": f"{RUN}/figures/unusual_galaxies.pdf",
    "similar": f"{RUN}/figures/similar_galaxies.pdf",
    "map": f"{RUN}/figures/feature_map.pdf",
}
LENS_FIELDS = f"{RUN}/data/lens_fields"
DETECTOR, LENS_SEARCH = config["lenses"]["detector"], config["lenses"]["search"]
LENSES = {
    "fig6": f"{RUN}/figures/fig06_lens_detection.pdf",
    "lens_curves": f"{RUN}/figures/lens_detection_curves.pdf",
    "lens_fields": f"{RUN}/figures/lens_fields.pdf",
    "lens_table": f"{RUN}/tables/lens_detection.csv",
}
if config["lenses"]["fields"]["source"] == "mock":
    LENSES["lens_masks"] = f"{RUN}/figures/lens_masks.pdf"
if config["lenses"]["search"]["images"] or config["lenses"]["search"]["positions"]:
    LENSES["lens_search"] = f"{RUN}/tables/lens_search.csv"
if config["lenses"]["fields"]["source"] == "none":
    LENSES = {}
SEARCH_DATASET = config["extensions"]["search_dataset"] or config["tasks_dataset"]


wildcard_constraints:
    dataset="[a-z0-9_]+",
    variant="(reconstruct|masked|contrastive)_(skips|noskips)",
    strategy="|".join(STRATEGIES),
    model="[a-z0-9_]+",
    backbone="[a-z0-9_]+",
    n_train=r"\d+",
    part=r"\d+",


def code_of(script):
    """Return a hash of a script and all that it imports, as a param: its edits rerun the rule."""
    return code_hash(Path(workflow.basedir) / "scripts" / f"{script}.py")


def datasets_from(*sources):
    """Return a wildcard constraint that matches the datasets of these sources only."""
    names = [n for n, d in config["datasets"].items() if d["source"] in sources]
    return "|".join(names) or "(?!)"


def dataset_folder(wildcards):
    """Return the user's folder of a dataset of source `folder`."""
    return config["datasets"][wildcards.dataset]["data_dir"] or config["data_dir"]


def dataset_table(wildcards):
    """Return the user's table of a dataset of source `folder`."""
    dataset = config["datasets"][wildcards.dataset]
    return str(Path(dataset_folder(wildcards) or "") / dataset["table"])


def cutout_side_pix(wildcards):
    """Return the side of the cutouts to fetch for a dataset of source `legacysurvey`."""
    return config["datasets"][wildcards.dataset]["side_pix"]


def cutouts_path(name):
    """Return the cutout store of a dataset: made by a rule, or a user's file read in place."""
    dataset = config["datasets"][name]
    if dataset["source"] == "ssl_legacysurvey":
        return dataset["path"]
    return f"{RUN}/data/{name}/cutouts.h5"


def cutouts_of(wildcards):
    """Return the cutout store of a wildcard's dataset."""
    return cutouts_path(wildcards.dataset)


def crop_settings(wildcards):
    """Return the config's section `crop` with what differs for a dataset."""
    return {**config["crop"], **config["datasets"][wildcards.dataset]["crop"]}


def earlier_rejections(wildcards):
    """Return the tables of what the import (of sources with files) and the crops rejected."""
    folder = f"{RUN}/data/{wildcards.dataset}"
    imported = config["datasets"][wildcards.dataset]["source"] in ("folder", "legacysurvey")
    stages = ["import", "crop"] if imported else ["crop"]
    return [f"{folder}/rejected_{stage}.csv" for stage in stages]


def needs_labels(wildcards):
    """Return whether tasks are trained on this dataset."""
    return wildcards.dataset in (config["tasks_dataset"], FEWSHOT_DATASET, HITL_COMPARISON)


def pretrain_splits(wildcards):
    """Return the splits to respect in pretraining: those of the labelled dataset, if it is that."""
    if config["pretrain_dataset"] == config["tasks_dataset"]:
        return [f"{TASKS_DATA}/splits.parquet"]
    return []


def variant_name(objective, skips):
    """Return the name of a pretraining variant."""
    return f"{objective}_{'skips' if skips else 'noskips'}"


def lvm_settings(wildcards):
    """Return the config's section `lvm` for a variant."""
    return {**config["lvm"], "skip_connections": wildcards.variant.endswith("_skips")}


def pretrain_settings(wildcards):
    """Return the config's section `pretrain` for a variant."""
    settings = {k: v for k, v in config["pretrain"].items() if k != "compare"}
    return {**settings, "objective": wildcards.variant.split("_")[0]}


# Not what a training reads: more repetitions or test images leave finished trainings alone.
TASK_SECTIONS = {
    name: {
        key: value
        for key, value in config[name].items()
        if key not in ("n_seeds", "from_scratch", "n_test_images", "n_orientations", "zooms")
    }
    for name in ("multitask", "classification", "restoration", "reconstruction", "baselines")
}
MAIN_VARIANT = variant_name(config["pretrain"]["objective"], config["lvm"]["skip_connections"])
VARIANTS = sorted({MAIN_VARIANT, *config["pretrain"]["compare"]})
LVM_WEIGHTS = f"{RUN}/models/pretrain/{MAIN_VARIANT}/lvm.safetensors"


def folder_settings(wildcards):
    """Return the config's section `folder`; classes by votes take the place of a label column."""
    by_columns = config["datasets"][wildcards.dataset]["classes"] is not None
    return {**config["folder"], **({"label_column": ""} if by_columns else {})}


def class_scheme(wildcards):
    """Return the name and the rules of a dataset's class scheme, or None for plain labels."""
    name = config["datasets"][wildcards.dataset]["classes"]
    return name and {"scheme": name, "schemes": config["class_schemes"]}


def reference_model(wildcards):
    """Return the config's entry of a network of Table 1."""
    return config["reference"]["models"][list(REFERENCE_SPECS).index(wildcards.model)]


def own_weights(spec):
    """Return the weights file that the config names for a network, as an input."""
    return {"weights": spec.weights_file} if spec.weights_file else {}


def reference_sources(wildcards):
    """Return the weights that a network of Table 1 starts from."""
    return own_weights(REFERENCE_SPECS[wildcards.model])


REFERENCE_SECTIONS = {
    "reference": {key: value for key, value in config["reference"].items() if key != "models"},
    "classification": {
        key: config["classification"][key] for key in ("label_smoothing", "view_side_pix", "views")
    },
    "multitask": {key: config["multitask"][key] for key in ("n_orientations", "zooms")},
}
# What Tables 1 to 4 show.
TABLE_METRICS = [
    f"{RUN}/metrics/baselines.csv",
    f"{RUN}/metrics/multitask.csv",
    *expand(
        f"{RUN}/metrics/reference/{{model}}_{{part}}.csv",
        model=REFERENCE_SPECS,
        part=TRAINING_PARTS,
    ),
]
TABLE_GALAXIES = [
    f"{RUN}/predictions/baselines_per_galaxy.parquet",
    f"{RUN}/predictions/multitask_per_galaxy.parquet",
    *expand(
        f"{RUN}/predictions/reference/{{model}}_{{part}}_per_galaxy.parquet",
        model=REFERENCE_SPECS,
        part=TRAINING_PARTS,
    ),
]


def fewshot_model(wildcards):
    """Return the config's entry of a model of the few-shot comparison."""
    return config["fewshot"]["models"][list(FEWSHOT_SPECS).index(wildcards.model)]


def features_model(wildcards):
    """Return the entry of the model whose features are wanted; `lvm` is the run's own encoder."""
    return {"model": "lvm_frozen"} if wildcards.model == "lvm" else fewshot_model(wildcards)


def features_sources(wildcards):
    """Return the weights that an extraction needs: those of the run, for the LVM alone."""
    spec = model_specs([features_model(wildcards)])[0]
    return {"lvm": spec.weights_path(LVM_WEIGHTS)} if spec.is_lvm else {}


def fewshot_sources(wildcards):
    """Return the features or the weights that a model of the few-shot comparison needs."""
    spec = FEWSHOT_SPECS[wildcards.model]
    if spec.frozen:
        return {"features": f"{RUN}/features/{FEWSHOT_DATASET}/{spec.features_label}.npy"}
    return {"lvm": spec.weights_path(LVM_WEIGHTS)} if spec.is_lvm else own_weights(spec)


def fewshot_seeds(wildcards):
    """Return the seeds of one job of the few-shot comparison."""
    settings = config["fewshot"]
    first = int(wildcards.part) * settings["seeds_per_job"]
    numbers = range(first, min(first + settings["seeds_per_job"], settings["n_seeds"]))
    return [config["seed"] + number for number in numbers]


FEWSHOT_SECTIONS = {name: config[name] for name in ("fewshot", "features")}
FEWSHOT_PARTS = range(-(-config["fewshot"]["n_seeds"] // config["fewshot"]["seeds_per_job"]))
FEWSHOT_PREDICTIONS = expand(
    f"{RUN}/predictions/fewshot/{{model}}_{{part}}.parquet",
    model=FEWSHOT_SPECS,
    part=FEWSHOT_PARTS,
)


def candidate_tables(wildcards):
    """Return the tables of lens candidates that lie on this machine; others are downloaded."""
    tables = config["lenses"]["candidates"]["tables"]
    return [table for table in tables if not table.startswith(("http://", "https://"))]


def detector_weights(wildcards):
    """Return the LVM's weights for a detector on its encoder; other backbones need none."""
    return {"lvm": DETECTOR["lvm_weights"] or LVM_WEIGHTS} if wildcards.backbone == "lvm" else {}


def detector_seed(wildcards):
    """Return the seed of one repetition of a detector's training."""
    return config["seed"] + int(wildcards.part)


LENS_RUNS = [
    {"model": backbone, "n_train": n_train, "seed": config["seed"] + part}
    for backbone in DETECTOR["backbones"]
    for n_train in DETECTOR["train_sizes"]
    for part in range(DETECTOR["n_seeds"])
]
LENS_FIELD_SETTINGS = {
    key: value for key, value in config["lenses"]["fields"].items() if key != "source"
}
# Seeing, depth and what else is in the sky are those of the simulated survey.
LENS_SURVEY = {
    key: value
    for key, value in config["mock"].items()
    if key not in ("n_galaxies", "class_fractions", "distant_red_share", "n_lenses")
}
LENS_SEARCH_WEIGHTS = (
    f"{RUN}/models/lenses/{LENS_SEARCH['backbone']}_{max(DETECTOR['train_sizes'])}_0.safetensors"
)
DETECTOR_ENV = (
    str(Path(workflow.basedir) / "envs" / "detectron2.yaml")
    if DETECTOR["backend"] == "detectron2"
    else TRAIN_ENV
)
DETECTIONS = expand(
    f"{RUN}/predictions/lenses/{{backbone}}_{{n_train}}_{{part}}.parquet",
    backbone=DETECTOR["backbones"],
    n_train=DETECTOR["train_sizes"],
    part=range(DETECTOR["n_seeds"]),
)
