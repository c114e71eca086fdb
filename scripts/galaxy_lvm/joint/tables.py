"""Estimates by view, as a table and as a page."""

from collections.abc import Mapping

import pandas as pd

from galaxy_lvm.joint.claims import ABOUT_VERDICTS, interval
from galaxy_lvm.joint.names import CLASSES, TARGET_NAMES, UNITS
from galaxy_lvm.joint.skills import skills
from galaxy_lvm.report.tables import page_html, plain_table
from galaxy_lvm.report.verdicts import verdicts_html

MODEL_NAMES = {
    "photometry": "r, g - r, r - z",
    "image": "image",
    "spectrum": "spectrum",
    "image_aligned": "image, aligned",
    "spectrum_aligned": "spectrum, aligned",
    "joint_aligned": "both, aligned",
    "joint": "image and spectrum",
    "all": "all three",
}


def joint_table(results: pd.DataFrame, predictions: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return a row per target and model.

    Parameters
    ----------
    results
        Long table, experiment `joint`.
    predictions
        Columns `PREDICTION_COLUMNS`.
    seed
        Of the bootstrap.

    Returns
    -------
    DataFrame
        `target`, `model`, `score` (R2 or accuracy, mean over repetitions) with the ends of its
        95 % interval over test galaxies, `beside` (mean absolute error, or area under the ROC
        curve), `n_seeds`, `n_test`.
    """
    means = results.groupby(["task", "model", "metric"])["value"].mean()
    rows = []
    for target in dict.fromkeys(predictions["target"]):
        found = skills(predictions, target, "test")
        second = "auc" if target in CLASSES else "mae"
        for model in found:
            low, high = interval(found[model], seed)
            rows.append({
                "target": target, "model": model, "score": found[model].to_numpy().mean(),
                "score_low95": low, "score_high95": high, "beside": means[target, model, second],
                "n_seeds": len(found[model]), "n_test": found[model].shape[1],
            })  # fmt: skip
    return pd.DataFrame(rows)


def joint_html(table: pd.DataFrame, search: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Return the table, the search across images and spectra, and the verdicts as a page."""
    note = (
        "Simulated galaxies, test galaxies alone; in brackets the 95 % bootstrap interval over "
        "them. Numbers: R2 and the mean absolute error; classes: accuracy and the area under the "
        "ROC curve. For scale only, of other galaxies, bands and networks and so not comparable: "
        "AstroCLIP (Parker et al. 2024) prints R2 of the redshift 0.79 from images, 0.99 from "
        "spectra, 0.68 from photometry."
    )
    body = (
        f"<p>{note}</p>{scores_html(table, TARGET_NAMES, UNITS, MODEL_NAMES)}"
        f"<h2>Galaxies found by their other half</h2>{_search_html(search)}"
        f"<h2>Do both say more than one?</h2><p>{ABOUT_VERDICTS.format(unit='galaxies')}</p>"
        f"{verdicts_html(claims)}"
    )
    return page_html("Images and spectra of the same galaxies", body)


def scores_html(
    table: pd.DataFrame,
    targets: Mapping[str, str],
    units: Mapping[str, str],
    models: Mapping[str, str],
) -> str:
    """Return the rows of `joint_table` in HTML, with these names and units."""
    lines = []
    for row in table.to_dict("records"):
        of_class = row["target"] in CLASSES
        cells = [
            targets[row["target"]],
            models[row["model"]],
            f"{row['score']:.3f} ({row['score_low95']:.3f} to {row['score_high95']:.3f})",
            f"AUC {row['beside']:.3f}" if of_class
            else f"error {row['beside']:.4g} {units[row['target']]}",
            f"{row['n_seeds']}",
            f"{row['n_test']}",
        ]  # fmt: skip
        lines.append(cells)
    heads = ("Asked", "From", "R2, or accuracy", "Beside", "Repetitions", "N test")
    return plain_table(heads, lines)


def _search_html(search: pd.DataFrame) -> str:
    keys = ["condition", "model"]
    wide = search.pivot_table(index=keys, columns="metric", values="value").reset_index()
    lines = [
        [
            row["condition"].replace("a_to_b", "spectrum by image")
            .replace("b_to_a", "image by spectrum").replace("_", " "),
            row["model"],
            f"{row['recall10']:.3f} ({row['recall10_low95']:.3f} to {row['recall10_high95']:.3f})",
            f"{row['median_rank']:.0f} of {row['gallery_size']:.0f}",
        ]
        for row in wide.to_dict("records")
    ]  # fmt: skip
    heads = ("Way, gallery", "Method", "Among the first 10", "Median rank")
    return plain_table(heads, lines)
