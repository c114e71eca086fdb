"""Features of one file of crops as a job: on all GPUs that it has."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.features.extract import extract_features
from galaxy_lvm.features.store import write_features
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.training.launch import launch
from galaxy_lvm.training.model_specs import model_specs


def extract_shard(crops: str, features: str, **job: Any) -> None:
    """Write the features of a shard as `extract_job` does; none of one that was left out."""
    with CropStore(crops) as store:
        is_empty = not len(store)
    if not is_empty:
        extract_job(crops=crops, features=features, **job)
        return
    write_features(features, np.empty((0, 1), np.float32), [], [])


def extract_job(
    crops: str,
    model: Mapping[str, Any],
    features: str,
    state_root: str,
    recipe_version: int,
    settings: Features,
    lvm: str | None = None,
    threads: int = 1,
    n_gpus: int = 0,
) -> None:
    """Write the features (`.npy`) and their ids (`.parquet`).

    Parameters
    ----------
    crops
        Crops file.
    model
        Entry of the config's list `fewshot.models`.
    features
        `.npy` to write; the ids lie beside it.
    state_root, recipe_version
        Folder for finished shards; the version of the rule that it belongs to.
    settings
        The config's section `features`.
    lvm
        The run's LVM, for the models that need it.
    threads, n_gpus
        What the job may use.
    """
    launch(
        extract_features,
        n_gpus,
        threads,
        crops_path=crops,
        spec=model_specs([model])[0],
        lvm_weights=lvm,
        features_path=features,
        state_root=state_root,
        recipe_version=recipe_version,
        settings=settings,
    )
