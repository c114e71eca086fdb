"""A finished run in miniature, made by the workflow's own scripts: what the page starts on."""

from pathlib import Path

import crop_cutouts
import numpy as np
import pandas as pd
import simulate_survey
from galaxy_lvm.core.config.survey import Crop, Mock
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.features.store import write_features
from galaxy_lvm.survey.crop_store import CropStore

DIM = 16


def make_run(root: Path, n_galaxies: int = 24, name: str = "made", seed: int = 1) -> Path:
    """Simulate, crop and write splits and features; return the run's folder.

    The features know the class, so that a search finds it.
    """
    run = root / name
    data = run / "data" / "galaxies"
    data.mkdir(parents=True)
    simulate_survey.main(str(data / "cutouts.h5"), Mock(n_galaxies=n_galaxies), seed)
    crop_cutouts.main(
        str(data / "cutouts.h5"), str(data / "crops.h5"), str(data / "rejected.csv"), Crop()
    )
    with CropStore(data / "crops.h5") as crops:
        ids, labels = crops.ids, crops.column("label")
    table = pd.DataFrame({"index": range(len(ids)), "id": ids, "split": "train", "label": labels})
    save_table(data / "splits.parquet", table)
    values = np.random.default_rng(seed).normal(size=(len(ids), DIM)).astype(np.float32)
    for number, kind in enumerate(sorted(set(labels))):
        values[labels == kind, number] += 3
    features = run / "features" / "galaxies"
    features.mkdir(parents=True)
    write_features(features / "lvm.npy", values, ids, range(len(ids)))
    return run
