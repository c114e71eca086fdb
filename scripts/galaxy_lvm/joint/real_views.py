"""Figure and page of real galaxies and stars."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.joint.claims import ABOUT_VERDICTS
from galaxy_lvm.joint.tables import scores_html
from galaxy_lvm.report import style
from galaxy_lvm.report.tables import page_html
from galaxy_lvm.report.verdicts import verdicts_html
from galaxy_lvm.spectra.labels import NAMES as LABEL_NAMES
from galaxy_lvm.spectra.labels import UNITS as LABEL_UNITS

TARGET_NAMES = {"redshift": "redshift", **LABEL_NAMES}
UNITS = {"redshift": "", **LABEL_UNITS}
MODEL_NAMES = {
    "grz": "r, g - r, r - z",
    "ugriz": "r and colours of ugriz",
    "ugriz_jhk": "with J, H, K",
    "colours": "colours",
    "xp": "spectrum",
    "xp_colours": "spectrum and colours",
}
# What is asked to be better than what.
QUESTIONS = {
    "photometry": (("ugriz", ("grz",)), ("ugriz_jhk", ("ugriz",))),
    "stars": (("xp_colours", ("xp", "colours")),),
}


def real_html(table: pd.DataFrame, claims: pd.DataFrame, unit: str) -> str:
    """Return the table and the verdicts as a page; `unit` is what was asked, in the plural."""
    note = (
        f"Real test {unit} alone; in brackets the 95 % bootstrap interval over them. Regressors "
        "are the same for all and are chosen on validation."
    )
    body = (
        f"<p>{note}</p>{scores_html(table, TARGET_NAMES, UNITS, MODEL_NAMES)}"
        f"<h2>What more data add</h2><p>{ABOUT_VERDICTS.format(unit=unit)}</p>"
        f"{verdicts_html(claims)}"
    )
    return page_html(f"Real {unit}", body)


def draw_real(table: pd.DataFrame, predictions: pd.DataFrame) -> Figure:
    """Return a column a target: predicted from all against true, and R2 by what was seen.

    Parameters
    ----------
    table
        Of `joint_table`.
    predictions
        Columns `PREDICTION_COLUMNS`.
    """
    targets = list(dict.fromkeys(table["target"]))
    models = list(dict.fromkeys(table["model"]))
    width = max(style.COLUMN_WIDTH_INCH, style.PAGE_WIDTH_INCH * len(targets) / 4)
    fig, grid = style.figure(
        width, 3.4, nrows=2, ncols=len(targets), squeeze=False,
        gridspec_kw={"height_ratios": [1.6, 1]},
    )  # fmt: skip
    asked = predictions[(predictions["split"] == "test") & (predictions["model"] == models[-1])]
    asked = asked[asked["seed"] == asked["seed"].min()]
    for number, (target, (above, below)) in enumerate(zip(targets, grid.T, strict=True)):
        _draw_points(above, asked[asked["target"] == target], target, number == 0)
        rows = table[table["target"] == target].set_index("model").loc[models]
        place = np.arange(len(models))[::-1]
        ends = rows[["score_low95", "score_high95"]].to_numpy().T
        below.errorbar(rows["score"], place, xerr=np.abs(ends - rows["score"].to_numpy()), fmt="o",
                       color=style.COLOURS["blue"], lw=0.9)  # fmt: skip
        names = [MODEL_NAMES[name] if number == 0 else "" for name in models]
        below.set_yticks(place, names)
        below.set(xlabel="R2", ylim=(-0.5, len(models) - 0.5))
    return fig


def _draw_points(axes: Axes, asked: pd.DataFrame, target: str, first: bool) -> None:
    true, made = (asked[name].to_numpy() for name in ("true", "predicted"))
    axes.plot(true, made, "o", ms=1.2, alpha=0.4, mec="none", color=style.COLOURS["blue"],
              rasterized=True)  # fmt: skip
    low, high = np.percentile(np.concatenate([true, made]), (0.2, 99.8))
    axes.plot([low, high], [low, high], color=style.COLOURS["black"], lw=0.7)
    unit = f" [{UNITS[target]}]" if UNITS[target] else ""
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="catalogue",
             title=f"{TARGET_NAMES[target]}{unit}")  # fmt: skip
    if first:
        axes.set_ylabel(f"predicted, {MODEL_NAMES[str(asked['model'].iloc[0])]}")
