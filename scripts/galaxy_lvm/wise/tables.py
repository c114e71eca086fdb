"""Accuracy by sky and method, as a table and as a page."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from galaxy_lvm.report.tables import page_html, plain_table
from galaxy_lvm.report.verdicts import verdicts_html
from galaxy_lvm.wise.scores import ALL, FLOORS

FLOOR_NAMES = {
    "quadratic": "quadratic discriminant on PSF photometry",
    "boosting": "boosted trees on PSF photometry and its chi²",
}
_OF_NETWORK = ("n_weights", "images_per_s", "loss_val")


def sky_text(sky: str) -> str:
    """Return what a sky is, for readers: the scatter that was assumed, or files."""
    return (
        f"colour scatter {int(sky.removesuffix('mmag')) / 1000:g} mag"
        if sky != "files"
        else "tiles"
    )


def wise_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return a row per sky, method and bin of W1.

    Parameters
    ----------
    results
        Long table, experiment `wise`.

    Returns
    -------
    DataFrame
        `sky`, `colour_scatter_mag` (NaN for tiles), `model`, `condition`, `n_trainings`; means over
        trainings of every score and of the ends of its interval over sources; `accuracy_sd`, the
        standard deviation over trainings (NaN for one); `n_weights`, `images_per_s`, `loss_val` of
        networks.
    """
    keys = ["task", "model", "condition"]
    scored = results[results["condition"] != "network"]
    wide = scored.pivot_table(index=keys, columns="metric", values="value", aggfunc="mean")
    groups = scored[scored["metric"] == "accuracy"].groupby(keys)["value"]
    wide = wide.assign(n_trainings=groups.count(), accuracy_sd=groups.std()).reset_index()
    network = results[results["metric"].isin(_OF_NETWORK)]
    known = network.pivot_table(index=keys[:2], columns="metric", values="value", aggfunc="mean")
    known = known.reindex(columns=list(_OF_NETWORK)).reset_index()
    wide = wide.merge(known, on=keys[:2], how="left")
    scatter = [int(s.removesuffix("mmag")) / 1000 if s != "files" else np.nan for s in wide["task"]]
    wide.insert(1, "colour_scatter_mag", scatter)
    # Floors first, then networks as they came; all sources before the bins, bright to faint.
    models = [*FLOORS, *(m for m in dict.fromkeys(results["model"]) if m not in FLOORS)]
    order = {"_sky": wide["colour_scatter_mag"], "_model": wide["model"].map(models.index),
             "_bin": [_bin_order(c) for c in wide["condition"]]}  # fmt: skip
    wide = wide.assign(**order).sort_values(list(order)).drop(columns=list(order))
    return wide.rename(columns={"task": "sky"}).rename_axis(columns=None).reset_index(drop=True)


def _bin_order(condition: str) -> float:
    return -1 if condition == ALL else float(condition.removeprefix("w1=").partition("-")[0])


def wise_html(
    table: pd.DataFrame, claims: pd.DataFrame, names: Mapping[str, str], faint: str
) -> str:
    """Return the table and the verdicts as a page.

    Parameters
    ----------
    table
        Of `wise_table`.
    claims
        Of `claims_table`.
    names
        Names to show of networks.
    faint
        Name of the faintest bin.
    """
    names = {**FLOOR_NAMES, **names}
    classes = [
        c.removeprefix("recall_") for c in table if c.startswith("recall_") and c[-2:] != "95"
    ]
    heads = ["Sky", "Method", "Accuracy", *classes, f"Accuracy at {faint.removeprefix('w1=')} mag",
             "Weights", "Images/s", "Trainings"]  # fmt: skip
    lines = []
    for row in table[table["condition"] == ALL].to_dict("records"):
        same = (table["sky"] == row["sky"]) & (table["model"] == row["model"])
        dim = table[same & (table["condition"] == faint)].to_dict("records")
        cells = [
            sky_text(row["sky"]),
            names.get(row["model"], row["model"]),
            _score(row, "accuracy"),
            *(_score(row, f"recall_{name}") for name in classes),
            _score(dim[0], "accuracy") if dim else "",
            *(_number(row.get(name)) for name in ("n_weights", "images_per_s")),
            f"{row['n_trainings']:.0f}",
        ]
        lines.append(cells)
    note = (
        "Shares of test sources whose class is right; in brackets the 95 % bootstrap interval over "
        "sources. The scatter of colours is assumed, and decides these numbers: rows of one sky "
        "compare with each other and not with accuracies on other data. Steps and rates were "
        "chosen on validation sources. Images/s: one forward pass of the encoder on the machine "
        "of this run."
    )
    body = f"<p>{note}</p>{plain_table(heads, lines)}<h2>Verdicts</h2>{verdicts_html(claims)}"
    return page_html("Stars, galaxies and quasars in WISE", body)


def _score(row: Mapping, metric: str) -> str:
    if pd.isna(row.get(metric)):
        return ""
    return f"{row[metric]:.3f} ({row[f'{metric}_low95']:.3f} to {row[f'{metric}_high95']:.3f})"


def _number(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:,.0f}"
