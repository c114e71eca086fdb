"""Tables of the extensions: views of the long result tables, as CSV and as pages."""

import html
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from galaxy_lvm.report.class_looks import drawn
from galaxy_lvm.report.tables import page_html

_SKIPPED = "skipped: "
PARAMETER_NAMES = {
    "half_light_radius_arcsec": "Half-light radius [arcsec]",
    "sersic_index": "Sérsic index",
    "axis_ratio": "Axis ratio",
    "mag_g": "Magnitude in g [mag]",
    "mag_r": "Magnitude in r [mag]",
    "mag_z": "Magnitude in z [mag]",
    "redshift": "Redshift",
}
INPUT_NAMES = {
    "constant": "nothing (median)",
    "box": "box side alone",
    "features": "features",
    "features+box": "features and box side",
}


def parameters_table(results: pd.DataFrame, scales: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per parameter and kind of inputs; skipped parameters have a note.

    Parameters
    ----------
    results
        Long table, experiment `parameters`.
    scales
        Scale by parameter; residuals are in dex (log10), over 1 + value (one_plus), or as the
        catalogue has it (linear).
    """
    table = _wide(results, ["task", "condition"])
    table = table.rename(columns={"task": "parameter", "condition": "inputs"})
    table["note"] = [text if text.startswith(_SKIPPED) else "" for text in table["inputs"]]
    table["inputs"] = table["inputs"].where(table["note"] == "", "")
    table.insert(2, "scale", [scales.get(name, "linear") for name in table["parameter"]])
    order = {name: i for i, name in enumerate(scales)}
    inputs = {"constant": 0, "box": 1, "features": 2, "features+box": 3}
    keys = table["parameter"].map(order), table["inputs"].map(inputs).fillna(9)
    table = table.assign(a=keys[0], b=keys[1]).sort_values(["a", "b"]).drop(columns=["a", "b"])
    return table.reset_index(drop=True)


def outliers_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per kind of oddity and method: AUC and recalls with their intervals."""
    chosen = results[(results["experiment"] == "outliers") & (results["model"] != "none")]
    table = _wide(chosen, ["task", "condition", "model"])
    table = table.rename(columns={"condition": "kind", "model": "method"})
    mixed = (table["kind"] == "all kinds").astype(int)
    table = table.assign(mixed=-mixed).sort_values(["task", "mixed", "kind", "method"])
    return table.drop(columns="mixed").reset_index(drop=True)


def _wide(results: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return one row per combination of keys and one column per metric."""
    wide = results.pivot_table(index=list(keys), columns="metric", values="value", aggfunc="mean")
    return wide.reset_index().rename_axis(columns=None)


def parameter_name(column: str) -> str:
    """Return a readable name of a catalogue column."""
    return PARAMETER_NAMES.get(column) or drawn(column)


def residual_unit(parameter: str, scale: str) -> str:
    """Return the unit of a parameter's residuals, by its scale or its column's name; else ""."""
    if scale != "linear":
        return {"log10": "dex", "one_plus": "over 1 + value"}[scale]
    words = parameter.split("_")
    return next((unit for unit in ("mag", "arcsec", "pix", "deg") if unit in words), "")


def parameters_html(table: pd.DataFrame) -> str:
    """Return the table of parameters as a page."""
    lines = []
    for row in table.itertuples():
        if row.note:
            lines.append([parameter_name(row.parameter), row.note, "", "", "", "", "", ""])
            continue
        lines.append(
            [
                parameter_name(row.parameter),
                INPUT_NAMES.get(row.inputs, row.inputs),
                residual_unit(row.parameter, row.scale) or "no unit",
                _cell(row.bias, row.bias_low95, row.bias_high95),
                _cell(row.sigma_nmad, row.sigma_nmad_low95, row.sigma_nmad_high95),
                _cell(row.rms, row.rms_low95, row.rms_high95),
                f"{100 * row.outlier_fraction:.1f} %",
                f"{row.n_train:.0f} / {row.n_val:.0f} / {row.n_test:.0f}",
            ]
        )
    heads = ("Parameter", "Inputs", "Residuals", "Bias", "sigma NMAD", "RMS", "Outliers",
             "N train / val / test")  # fmt: skip
    note = (
        "Regression on frozen features, chosen on the validation split, scored on test galaxies. "
        "The box side is that of the adaptive crop: crops show all galaxies at a similar size, so "
        "that sizes and magnitudes cannot be read off them alone. 'nothing' predicts the median "
        "of the training split. Intervals: 95 % bootstrap over test galaxies."
    )
    return _page("Parameters from features", heads, lines, note)


def outliers_html(table: pd.DataFrame) -> str:
    """Return the table of outlier detection as a page."""
    recalls = [name for name in table if name.startswith("recall") and name.endswith("pct")]
    recalls.sort(key=lambda name: float(name.removeprefix("recall_at_").removesuffix("pct")))
    lines = []
    for row in table.to_dict("records"):
        cells = [row["task"], row["kind"].replace("_", " "), row["method"].replace("_", " ")]
        for name in (*recalls, "auc"):
            cells.append(_cell(row[name], row[f"{name}_low95"], row[f"{name}_high95"]))
        lines.append([*cells, f"{row['n_odd']:.0f}"])
    shares = [name.removeprefix("recall_at_").removesuffix("pct") for name in recalls]
    heads = ["", "Kind", "Method", *[f"Recall, first {share} %" for share in shares], "AUC", "N"]
    note = (
        "Recall: share of the oddities among the first per cent of a list of all test galaxies in "
        "which one per cent are oddities of this kind, averaged over many such lists; guessing "
        "gives that per cent. Rare kinds of real galaxies are taken out of what the detectors "
        "learn from. Intervals: 95 % bootstrap over galaxies and oddities."
    )
    return _page("Detection of outliers", heads, lines, note)


def similar_html(neighbours: pd.DataFrame, results: pd.DataFrame) -> str:
    """Return the neighbours of every query, and how well the search does, as a page."""
    lines = [
        [row.query, row.query_label, row.rank, row.id, f"{row.distance:.4g}", row.label]
        for row in neighbours.fillna("").itertuples()
    ]
    heads = ("Query", "Class", "Rank", "Galaxy", "Distance", "Class")
    return _page("Similar galaxies", heads, lines, search_note(results))


def search_note(results: pd.DataFrame) -> str:
    """Return a few sentences on size, speed, recall and purity of the search."""
    search = results[results["task"] == "search"].set_index(["model", "metric"])["value"]
    index = search["index"]
    k = results.loc[results["task"] == "search", "condition"].iloc[0].removeprefix("k=")
    exact_s, index_s = search["exact"]["seconds_per_query"], index["seconds_per_query"]
    used = "by the approximate index" if index["in_use"] else "exactly"
    text = (
        f"Searched {used} among {index['n_galaxies']:,.0f} galaxies. The exact search takes "
        f"{1e3 * exact_s:.2g} ms a query; the approximate index, {1e3 * index_s:.2g} ms and "
        f"{index['bytes_per_galaxy']:.0f} bytes a galaxy, finds {100 * index['recall']:.1f} % of "
        f"the {k} nearest ({index['n_queries']:.0f} test galaxies as queries)."
    )
    if exact_s <= index_s:
        text += " The index is for larger sets: among so few the exact search is the faster one."
    purity = results[(results["task"] == "classes") & (results["condition"] == "all classes")]
    if len(purity):
        value = purity.set_index("metric")["value"]
        text += (
            f" {100 * value['same_class']:.0f} % of the {k} nearest have the query's class; "
            f"chance gives {100 * value['chance']:.0f} %."
        )
    return text


def _cell(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _page(title: str, heads: Iterable[str], lines: Iterable[Sequence], note: str) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in line) + "</tr>"
        for line in lines
    )
    return page_html(
        title,
        f"<p>{html.escape(note)}</p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>",
    )
