"""The table of lens detectors, beside the average precision that the paper prints."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses.curves import AP_METRICS
from galaxy_lvm.lenses.match import KINDS
from galaxy_lvm.lenses.scores import n_train_of, wrong_metric
from galaxy_lvm.report.results import summarise
from galaxy_lvm.report.tables import page_html

DETECTOR_NAMES = {"lvm": "LVM + Mask R-CNN", "resnet50": "ResNet50 + Mask R-CNN"}
TABLE_METRICS = (
    *((kind, metric) for kind in KINDS for metric in AP_METRICS),
    *(("boxes", metric) for metric in ("purity", "completeness")),
)
_HEADINGS = {"ap": "AP", "ap50": "AP50", "ap75": "AP75"}


def detector_names(runs: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return model -> name to show of the detectors that were trained, in their order."""
    return {run["model"]: DETECTOR_NAMES.get(run["model"], run["model"]) for run in runs}


def detector_table(results: pd.DataFrame, paper: pd.DataFrame, completeness: float) -> pd.DataFrame:
    """Return one row per model and number of training fields.

    Parameters
    ----------
    results
        Long table of the experiment.
    paper
        The paper's values of figure 6.
    completeness
        That of the wrong detections per field.

    Returns
    -------
    DataFrame
        `model`, `n_train`, `n_seeds`, `interval` ('fields': bootstrap over test fields of a single
        seed; 'seeds': t interval over seeds), every metric with its ends, `max_completeness`, and
        `paper_ap` beside the most training fields. Wrong detections per field are NaN where the
        completeness is not reached by every seed.
    """
    plain = results[results["condition"].str.fullmatch(r"train=\d+")]
    if plain.empty:
        raise DataError("no result of a lens detector; run evaluate_detectors first")
    summary = summarise(plain)
    summary["n_train"] = summary["condition"].map(n_train_of)
    wanted = (*TABLE_METRICS, ("boxes", wrong_metric(completeness)))
    rows = []
    for (model, n_train), block in summary.groupby(["model", "n_train"]):
        row = {"model": model, "n_train": n_train} | _row(block, wanted)
        printed = paper[(paper["model"] == f"{model}_mask_rcnn") & (paper["metric"] == "ap")]
        # The paper trained on one number of fields; ours beside it is the largest.
        compared = len(printed) and n_train == summary["n_train"].max()
        row["paper_ap"] = float(printed["value"].iloc[0]) if compared else math.nan
        rows.append(row)
    table = pd.DataFrame(rows)
    rank = table["model"].str.contains(" - ").astype(int)
    return table.iloc[np.lexsort((table["n_train"], table["model"], rank))].reset_index(drop=True)


def _row(block: pd.DataFrame, wanted: Sequence[tuple[str, str]]) -> dict[str, object]:
    """Return the table's entries of one model and number of training fields."""
    values = block.set_index(["task", "metric"])
    n_seeds = int(values.loc[("boxes", "ap"), "n_seeds"])
    row = {"n_seeds": n_seeds, "interval": "seeds" if n_seeds > 1 else "fields"}
    for kind, metric in wanted:
        row |= _entry(values, kind, metric, n_seeds)
    return row | {"max_completeness": _mean(values, "boxes", "max_completeness")}


def _mean(values: pd.DataFrame, kind: str, metric: str) -> float:
    return float(values.loc[(kind, metric), "mean"]) if (kind, metric) in values.index else math.nan


def _entry(values: pd.DataFrame, kind: str, metric: str, n_seeds: int) -> dict[str, float]:
    name = f"{kind}_{metric}"
    found = (kind, metric) in values.index and values.loc[(kind, metric), "n_seeds"] == n_seeds
    if not found:
        return dict.fromkeys((name, f"{name}_low95", f"{name}_high95"), math.nan)
    line = values.loc[(kind, metric)]
    ends = (line["low95"], line["high95"])
    if n_seeds == 1:
        ends = tuple(_mean(values, kind, f"{metric}_{end}") for end in ("low95", "high95"))
    return {name: line["mean"], f"{name}_low95": ends[0], f"{name}_high95": ends[1]}


def detectors_html(table: pd.DataFrame, completeness: float, scored_on: str = "") -> str:
    """Return the table of `detector_table` as a page; `scored_on` is a sentence on its fields."""
    wrong = f"boxes_{wrong_metric(completeness)}"
    note = f"{scored_on} {_note(table)}".strip()
    last = f"<th>wrong per field at {completeness:.0%} completeness</th>"
    return page_html(
        "Strong lenses in wide fields (figure 6)",
        f"<h2>Boxes</h2>{_html_table(table, 'boxes', wrong, last)}"
        f"<h2>Masks</h2>{_html_table(table, 'masks', None, '')}<p>{html.escape(note)}</p>",
    )


def _html_table(table: pd.DataFrame, kind: str, wrong: str | None, last: str) -> str:
    """Return the metrics of boxes or of masks; both beside each other are wider than a page."""
    names = [f"{kind}_{metric}" for of, metric in TABLE_METRICS if of == kind]
    head = "".join(f"<th>{html.escape(_heading(name))}</th>" for name in names)
    models = table[~table["model"].str.contains(" - ")]
    body = "".join(_html_row(row, names, wrong, models) for row in table.to_dict("records"))
    return (
        '<table><thead><tr><th>detector</th><th>training fields</th><th class="paper">paper, AP'
        f"</th>{head}{last}</tr></thead><tbody>{body}</tbody></table>"
    )


def _heading(name: str) -> str:
    metric = name.partition("_")[2]
    return _HEADINGS.get(metric, metric)


def _html_row(row: Mapping, names: Sequence[str], wrong: str | None, models: pd.DataFrame) -> str:
    paper = "&ndash;" if pd.isna(row["paper_ap"]) else f"{row['paper_ap']:.3f}"
    difference = " - " in row["model"]
    cells = [f"<td>{row['n_train']}</td>", f'<td class="paper">{paper}</td>']
    same = models[models["n_train"] == row["n_train"]]
    for name in names:
        best = not difference and len(same) > 1 and row[name] == same[name].max()
        cells.append(_html_cell(row, name, best, difference))
    if wrong is None:
        pass
    elif difference or not pd.isna(row[wrong]):
        cells.append(_html_cell(row, wrong, False, difference))
    else:
        cells.append(
            '<td>not reached<span class="interval">at most '
            f"{row['max_completeness']:.0%} found</span></td>"
        )
    model = " - ".join(DETECTOR_NAMES.get(m, m).split(" + ")[0] for m in row["model"].split(" - "))
    model = model if difference else DETECTOR_NAMES.get(row["model"], row["model"])
    return f"<tr><td>{html.escape(model)}</td>{''.join(cells)}</tr>"


def _html_cell(row: Mapping, name: str, best: bool, signed: bool) -> str:
    if pd.isna(row[name]):
        return "<td>&ndash;</td>"
    form = "{:+.3f}" if signed else "{:.3f}"
    ends = [row[f"{name}_{end}"] for end in ("low95", "high95")]
    texts = ["not reached" if pd.isna(end) else form.format(end) for end in ends]
    mark = ' class="best"' if best else ""
    interval = f'<span class="interval">{" to ".join(texts)}</span>'
    return f"<td><span{mark}>{form.format(row[name])}</span>{interval}</td>"


def _note(table: pd.DataFrame) -> str:
    parts = []
    if (table["interval"] == "fields").any():
        parts.append(
            "Single seed: 95 % bootstrap intervals over test fields, which do not contain the "
            "scatter between trainings."
        )
    if (table["interval"] == "seeds").any():
        seeds = sorted(set(table.loc[table["interval"] == "seeds", "n_seeds"]))
        parts.append(f"Mean and 95 % t interval over {' or '.join(map(str, seeds))} seeds.")
    parts.append(
        "AP is the mean over IoU 0.5 to 0.95 (COCO), AP50 and AP75 are at one IoU; purity and "
        "completeness are those of boxes (IoU 0.5) at a score threshold that was chosen on the "
        "validation fields. Empty fields count. Bold: best with as many training fields. The paper "
        "does not say which AP it prints, and its fields are its own."
    )
    return " ".join(parts)
