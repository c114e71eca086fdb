"""Tables 1 to 4, ours beside the paper's: views of the long result tables."""

import html
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report.metrics import CLASSIFICATION_METRICS, NOISE_FREE_METRICS, SECOND_METRICS
from galaxy_lvm.report.names import INPUTS, MODEL_NAMES, NETWORKS
from galaxy_lvm.report.results import summarise
from galaxy_lvm.report.tables import Line, interval_of, number_text, page_html

_HEADINGS = {
    "mse": "MSE", "psnr": "PSNR [dB]", "ssim": "SSIM", "f1": "F1",
    "psnr_noise_free": "PSNR against noise-free [dB]",
    "ssim_noise_free": "SSIM against noise-free",
    "accuracy_second": "accuracy, second label", "f1_second": "F1, second label",
}  # fmt: skip


@dataclass(frozen=True)
class TableSpec:
    """What one of the paper's tables shows."""

    item: str
    """Name of the item in the paper's values."""
    stem: str
    """File name without its ending."""
    title: str
    task: str
    metrics: tuple[str, ...]
    by_patch: bool = False
    """True: one block per patch size."""
    if_there: tuple[str, ...] = ()
    """Metrics that only some runs have: shown where the results hold them."""

    def shown(self, found: Collection[str]) -> tuple[str, ...]:
        """Return the metrics to show of a run that has the metrics or columns `found`."""
        return self.metrics + tuple(name for name in self.if_there if name in found)


TABLES = (
    TableSpec(
        "table1", "table1_classification", "Table 1. Classification of test galaxies",
        "classification", CLASSIFICATION_METRICS, if_there=SECOND_METRICS,
    ),
    TableSpec(
        "table2", "table2_restoration", "Table 2. Restoration of blurred, noisy images",
        "restoration", ("mse", "psnr", "ssim"), if_there=NOISE_FREE_METRICS,
    ),
    TableSpec(
        "table3", "table3_reconstruction", "Table 3. Reconstruction of masked images",
        "reconstruction", ("mse", "psnr", "ssim"),
    ),
    TableSpec(
        "table4", "table4_patch_size", "Table 4. Reconstruction by patch size",
        "reconstruction", ("mse", "psnr", "ssim"), by_patch=True,
    ),
)  # fmt: skip


def reference_models(results: pd.DataFrame) -> list[str]:
    """Return the networks of the config's `reference.models` that a long table has scores of."""
    ours = results[(results["experiment"] == "multitask") & (results["task"] == "classification")]
    return sorted(set(ours["model"]) - set(MODEL_NAMES))


def model_name(model: str) -> str:
    """Return a model's name for a table."""
    return MODEL_NAMES.get(model, f"{model}, same galaxies")


def build_table(spec: TableSpec, results: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Put our numbers, their intervals and the paper's numbers side by side.

    Parameters
    ----------
    spec
        Which table.
    results
        Long table with experiment 'multitask'; see `read_results`.
    paper
        The item's rows of `paper_values`.

    Returns
    -------
    DataFrame
        One row per model (and patch size): `patch_pix` (by_patch only), `model`, `n_seeds`,
        `interval` ('galaxies': bootstrap over test galaxies of a single seed; 'seeds': t interval
        over seeds; '' for none), and for every metric its mean, `<metric>_interval` (text) and
        `<metric>_paper` (NaN where the paper has none). Table 1 has further metrics where the
        galaxies have a second label, Table 2 where they are simulated: against noise-free images.

    Raises
    ------
    DataError
        If the results have no row for this table.
    """
    ours = results[(results["experiment"] == "multitask") & (results["task"] == spec.task)]
    ours = ours[ours["condition"].str.fullmatch(r"patch=\d+" if spec.by_patch else "")]
    if ours.empty:
        raise DataError(f"no {spec.task} result for {spec.item}; run the evaluations first")
    summary = summarise(ours).set_index(["condition", "model", "metric"]).sort_index()
    metrics, rows = spec.shown(set(ours["metric"])), []
    for condition in sorted(ours["condition"].unique(), key=_patch):
        models = set(ours.loc[ours["condition"] == condition, "model"])
        for model in sorted(models, key=_model_rank):
            row = {"patch_pix": _patch(condition)} if spec.by_patch else {}
            values = summary.loc[condition, model]
            rows.append(row | _row(metrics, values, paper, spec.task, condition, model))
    return pd.DataFrame(rows)


def _patch(condition: str) -> int:
    return int(condition.partition("=")[2] or 0)


def _model_rank(model: str) -> tuple[int, int, str]:
    known = list(MODEL_NAMES)
    group = 2 if model in NETWORKS else 0 if model in INPUTS else 1
    return group, known.index(model) if model in known else len(known), model


def _row(
    metrics: Sequence[str],
    values: pd.DataFrame,
    paper: pd.DataFrame,
    task: str,
    condition: str,
    model: str,
) -> dict:
    missing = set(metrics) - set(values.index)
    if missing:
        raise DataError(f"{task}, {model} {condition}: no metric {sorted(missing)}")
    n_seeds = int(values.loc[metrics[0], "n_seeds"])
    row, kinds = {"model": model, "n_seeds": n_seeds, "interval": ""}, set()
    for metric in metrics:
        low, high, kind = interval_of(values, metric)
        kinds.add(kind)
        row[metric] = values.loc[metric, "mean"]
        ends = number_text(low, metric), number_text(high, metric)
        row[f"{metric}_interval"] = f"{ends[0]} to {ends[1]}" if kind else ""
        printed = paper[
            (paper["model"] == model) & (paper["condition"] == condition)
            & (paper["metric"] == metric)
        ]  # fmt: skip
        row[f"{metric}_paper"] = float(printed["value"].iloc[0]) if len(printed) else math.nan
    row["interval"] = kinds.pop() if len(kinds) == 1 else ""
    return row


def table_html(spec: TableSpec, table: pd.DataFrame, n_galaxies: int = 0) -> str:
    """Return a table as a page of its own, without any other file, for the report.

    Parameters
    ----------
    spec, table
        What it shows, and the table of `build_table`.
    n_galaxies
        Test galaxies that were scored; 0 where that is not known.
    """
    scored = f"{n_galaxies} test galaxies. " if n_galaxies else ""
    head = "".join(
        f"<th>{html.escape(_heading(m))}<br>{'&darr;' if m == 'mse' else '&uarr;'}</th>"
        '<th class="paper">paper</th>'
        for m in spec.shown(table.columns)
    )
    blocks = table.groupby("patch_pix") if spec.by_patch else [(None, table)]
    body = "".join(_html_block(spec, patch, block) for patch, block in blocks)
    return page_html(
        spec.title,
        f"<table><thead><tr><th>model</th>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{html.escape(scored + note(table))}</p>",
    )


def _html_block(spec: TableSpec, patch: int | None, block: pd.DataFrame) -> str:
    metrics = spec.shown(block.columns)
    width = 1 + 2 * len(metrics)
    parts = []
    if patch is not None:
        parts.append(
            f'<tr class="block"><td colspan="{width}">{patch} &times; {patch} pixels</td></tr>'
        )
    best = {m: block[m].min() if m == "mse" else block[m].max() for m in metrics}
    for _, row in block.iterrows():
        cells = [f"<td>{html.escape(model_name(row['model']))}</td>"]
        for m in metrics:
            mark = ' class="best"' if row[m] == best[m] else ""
            interval = html.escape(row[f"{m}_interval"])
            cells.append(
                f"<td><span{mark}>{number_text(row[m], m)}</span>"
                f'<span class="interval">{interval}</span></td>'
                f'<td class="paper">{number_text(row[f"{m}_paper"], m) or "&ndash;"}</td>'
            )
        kind = ' class="network"' if row["model"] in NETWORKS else ""
        parts.append(f"<tr{kind}>{''.join(cells)}</tr>")
    return "".join(parts)


def _heading(metric: str) -> str:
    return _HEADINGS.get(metric, metric)


def note(table: pd.DataFrame, bold: bool = True) -> str:
    """Return a sentence or two on what the intervals of a table mean, and its bold numbers."""
    kinds = set(table["interval"]) - {""}
    parts = []
    if "galaxies" in kinds:
        who = "" if kinds == {"galaxies"} else " for models with one seed"
        parts.append(
            f"Single seed{who}: the 95 % intervals are bootstraps over test galaxies and do not "
            "contain the scatter between trainings."
        )
    if "seeds" in kinds:
        seeds = sorted(set(table.loc[table["interval"] == "seeds", "n_seeds"]))
        count = " or ".join(str(n) for n in seeds)
        parts.append(f"Mean and 95 % t interval over {count} seeds.")
    if not kinds:
        parts.append("Single seed, no interval.")
    parts += ["Bold: best of the column."] if bold else []
    parts.append(
        "The paper's numbers are for its own test images. Classical baselines are tuned on the "
        "validation split."
    )
    return " ".join(parts)


def summary_lines(tables: Sequence[tuple[TableSpec, pd.DataFrame]]) -> list[Line]:
    """Return the rows of the summary: accuracy or PSNR of every model of every table."""
    return [line for spec, table in tables for line in _lines(spec, table)]


def _lines(spec: TableSpec, table: pd.DataFrame) -> list[Line]:
    metric = "accuracy" if "accuracy" in spec.metrics else "psnr"
    label = "PSNR [dB]" if metric == "psnr" else metric
    lines = []
    for row in table.to_dict("records"):
        patch = f", {row['patch_pix']} pix" if spec.by_patch else ""
        lines.append(
            (
                spec.item.replace("table", "table ") + patch,
                row["model"],
                label,
                number_text(row[metric], metric),
                row[f"{metric}_interval"],
                number_text(row[f"{metric}_paper"], metric) or "-",
            )
        )
    return lines


def summary_note(tables: Sequence[tuple[TableSpec, pd.DataFrame]]) -> str:
    """Say once what the intervals are, whichever tables they are in."""
    columns = ["interval", "n_seeds"]
    said = note(pd.concat([table[columns] for _, table in tables]), bold=False)
    return f"Tables 1 to 4: {said[0].lower()}{said[1:]} Figures 5, 6 and 10 say theirs."
