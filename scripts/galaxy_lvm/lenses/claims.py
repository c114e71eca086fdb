"""What the summary says of strong lenses: rows of figure 6, and whether the LVM is ahead."""

import math

import pandas as pd

from galaxy_lvm.report.tables import Line, score_line
from galaxy_lvm.report.verdicts import Difference, verdict_row


def summary_lines(detectors: pd.DataFrame) -> list[Line]:
    """Return the models of a table of `detector_table`, at the most training fields."""
    return [
        score_line(
            f"figure 6, {row['n_train']} fields", row, "boxes_ap", "AP of boxes", row["paper_ap"]
        )
        for row in _most_fields(detectors).to_dict("records")
        if " - " not in row["model"]
    ]


def detector_claims(detectors: pd.DataFrame) -> pd.DataFrame:
    """Judge whether the LVM finds lenses better than each other backbone (paper IV.B).

    Parameters
    ----------
    detectors
        Table of `detector_table`, with rows `lvm - NAME`.

    Returns
    -------
    DataFrame
        `claim`, `verdict`, `detail`, at the most training fields.
    """
    largest = _most_fields(detectors)
    pairs = largest[largest["model"].str.startswith("lvm - ")]
    rows = []
    for row in pairs.to_dict("records"):
        single = row["interval"] == "fields"
        how = "paired by fields" if single else f"{row['n_seeds']} trainings"
        low, high = _ends(row["boxes_ap_low95"], row["boxes_ap_high95"])
        first, second = row["model"].split(" - ")
        found = Difference(row["boxes_ap"], low, high, how)
        text = f"lenses: {first} above {second}, AP of boxes"
        text += " (one training each)" if single else ""
        rows.append(verdict_row(text, "ap", [(first, second, found)]))
    return pd.DataFrame(rows, columns=["claim", "verdict", "detail"])


def _most_fields(detectors: pd.DataFrame) -> pd.DataFrame:
    return detectors[detectors["n_train"] == detectors["n_train"].max()]


def _ends(low: float, high: float) -> tuple[float, float]:
    """Return the ends of an interval; without one nothing can be told apart."""
    return (-math.inf, math.inf) if math.isnan(low) or math.isnan(high) else (low, high)
