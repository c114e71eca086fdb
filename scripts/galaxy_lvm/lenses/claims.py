"""What the summary says of strong lenses: rows of figure 6, and whether the LVM is ahead."""

import pandas as pd

from galaxy_lvm.lenses.scores import n_train_of
from galaxy_lvm.report.differences import by_seed_with_ends
from galaxy_lvm.report.tables import Line, score_line
from galaxy_lvm.report.verdicts import Claim, judge, verdict_table


def summary_lines(detectors: pd.DataFrame) -> list[Line]:
    """Return the models of a table of `detector_table`, at the most training fields."""
    return [
        score_line(
            f"figure 6, {row['n_train']} fields", row, "boxes_ap", "AP of boxes", row["paper_ap"]
        )
        for row in _most_fields(detectors).to_dict("records")
        if " - " not in row["model"]
    ]


def detector_claims(results: pd.DataFrame) -> pd.DataFrame:
    """Judge whether the LVM finds lenses better than each other backbone (paper IV.B).

    Parameters
    ----------
    results
        Long table of the detectors, with the differences of `difference_rows`: their interval
        over test fields for every training.

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`; at the most training fields.
    """
    boxes = results[(results["task"] == "boxes") & results["condition"].str.fullmatch(r"train=\d+")]
    pairs = boxes[boxes["model"].str.startswith("lvm - ")]
    sizes = pairs["condition"].map(n_train_of)
    rows = []
    for model, block in pairs[sizes == sizes.max()].groupby("model"):
        wide = block.pivot(index="seed", columns="metric", values="value")
        ends = wide[["ap_low95", "ap_high95"]].to_numpy()
        first, second = model.split(" - ")
        claim = Claim(f"lenses: {first} above {second}, AP of boxes", "ap", ((first, second),))
        rows.append(judge(claim, [by_seed_with_ends(wide["ap"].to_numpy(), ends, "test fields")]))
    return verdict_table(rows)


def under_printed_names(results: pd.DataFrame) -> pd.DataFrame:
    """Return the detectors' AP of boxes with task and model named as in the paper's values."""
    boxes = results[(results["task"] == "boxes") & results["condition"].str.fullmatch(r"train=\d+")]
    boxes = boxes[~boxes["model"].str.contains(" - ", regex=False)]
    return boxes.assign(task="detection", model=boxes["model"] + "_mask_rcnn")


def _most_fields(detectors: pd.DataFrame) -> pd.DataFrame:
    return detectors[detectors["n_train"] == detectors["n_train"].max()]
