"""Results of Tables 1 to 4 whose answer is known, for tests of tables and of the summary."""

from pathlib import Path

import numpy as np
import pandas as pd
from galaxy_lvm.report.results import (
    long_rows,
    per_galaxy_rows,
)

ROOT = Path(__file__).parents[1]
PAPER = ROOT / "config" / "paper_values.csv"
NETWORKS = ("pre_train", "multi_uniform", "multi_active")


def scored(task, model, values, condition="", seed=1, half=0.01):
    """Rows of one model with intervals of `half`, relative to the value."""
    metrics = {}
    for name, value in values.items():
        metrics[name] = value
        metrics[f"{name}_low95"], metrics[f"{name}_high95"] = value * (1 - half), value * (1 + half)
    return long_rows("multitask", task, model, condition, seed, metrics)


def example(seed=1, shift=0.0):
    """Results in which restoration has no clear order and a baseline wins reconstruction."""
    rows = []
    for i, model in enumerate(NETWORKS):
        accuracy = dict.fromkeys(("accuracy", "precision", "recall", "f1"), 0.6 + 0.1 * i + shift)
        rows += scored("classification", model, accuracy, seed=seed)
        image = {"mse": 0.001, "psnr": 33 + 0.05 * i + shift, "ssim": 0.8}
        rows += scored("restoration", model, image, seed=seed)
        for condition in ("", "patch=16", "patch=4", "patch=8"):
            image = {"mse": 0.001, "psnr": 30 - 2 * i + shift, "ssim": 0.8}
            rows += scored("reconstruction", model, image, condition, seed)
    return rows


def baselines():
    rows = scored(
        "classification",
        "hog_logistic",
        dict.fromkeys(("accuracy", "precision", "recall", "f1"), 0.5),
    )
    for model, psnr in (("wiener", 31.0), ("richardson_lucy", 30.0), ("blurred", 28.0)):
        rows += scored("restoration", model, {"mse": 0.002, "psnr": psnr, "ssim": 0.7})
        if model != "blurred":
            rows += long_rows("multitask", "restoration", model, "", 1, {"psnr_val": psnr})
    for condition in ("", "patch=4", "patch=8", "patch=16"):
        for model, psnr in (("masked", 15.0), ("inpainting_telea", 38.0)):
            image = {"mse": 0.02, "psnr": psnr, "ssim": 0.4}
            rows += scored("reconstruction", model, image, condition)
    return rows


def galaxy_scores(gain, seed=0):
    """Galaxies that differ much from each other while `multi_active` gains a little on each."""
    rng = np.random.default_rng(seed)
    frozen = rng.normal(33, 4, 60)
    uniform = frozen + 0.1 + rng.normal(0, 0.05, 60)
    active = uniform + gain + rng.normal(0, 0.05, 60)
    models = {"blurred": frozen - 5, "pre_train": frozen}
    models |= {"multi_uniform": uniform, "multi_active": active}
    ids = [f"g{i}" for i in range(60)]
    return pd.concat(
        per_galaxy_rows("restoration", model, "", 1, ids, pd.DataFrame({"psnr": psnr}))
        for model, psnr in models.items()
    )
