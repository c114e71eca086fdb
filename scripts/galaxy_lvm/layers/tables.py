"""Rank that is enough, and what the singular values say, as a table and as a page."""

import pandas as pd

from galaxy_lvm.layers.names import METHOD_NAMES, layer_text
from galaxy_lvm.report.tables import page_html, plain_table
from galaxy_lvm.spectra.labels import NAMES

_ABOUT = (
    "This tests consequences of the theorem of Ng Shyh-Chang et al. (2023) on one network and "
    "proves none. Skill is 1 minus the mean absolute error of the stellar parameters over "
    "that of the training labels' mean. Enough is the smallest rank from which on "
    "{:g} % of the whole network's skill on validation stars is kept; skills are "
    "of test stars."
)
_SPECTRA = (
    "Effective rank is the exponential of the entropy of the squared singular values; the "
    "edge is the largest singular value that independent numbers of the same size would have "
    "(Marchenko and Pastur). Trained / untrained."
)
_CAPACITY = (
    "The network of stage 1, trained on few stars with their own labels or with those of others, "
    "which can only be learned by heart. Skill is that on the stars that were learned from, and on "
    "validation stars; enough is the share of the rank that keeps {:g} % of the former, one matrix "
    "at a time (mean) and all at once. Moved: change of all singular values within the last tenth "
    "of the updates, in which the learning rate falls to nothing; below {:g} % they stand still."
)
STANDS_STILL = 0.01


def layers_table(results: pd.DataFrame, kinds: pd.DataFrame) -> pd.DataFrame:
    """Return a row per matrix, after those of all matrices at once by method.

    Parameters
    ----------
    results
        Long table, experiment `layers`.
    kinds
        Columns `layer`, `kind`: the matrices in their order.
    """
    enough = results[results["condition"] == "enough"]
    wide = enough.pivot(index=["task", "model"], columns="metric", values="value")
    wide = wide.reset_index().rename_axis(columns=None)
    whole = wide[wide["task"] == "all"].set_index("model").loc[list(METHOD_NAMES)].reset_index()
    single = wide[wide["task"] != "all"].set_index("task").loc[kinds["layer"]].reset_index()
    spectrum = results[results["condition"] == "spectrum"]
    for network in ("trained", "untrained"):
        own = spectrum[spectrum["model"] == network]
        own = own.pivot(index="task", columns="metric", values="value").loc[kinds["layer"]]
        single["rank"] = own["rank"].to_numpy()
        for name in ("effective_rank", "above_edge"):
            single[f"{name}_{network}"] = own[name].to_numpy()
    single.insert(1, "kind", kinds["kind"].to_numpy())
    of_all = ["test", "test_whole", "numbers", "numbers_whole"]
    single = single.drop(columns=of_all, errors="ignore")
    table = pd.concat([whole, single], ignore_index=True)
    return table.rename(columns={"task": "layer", "share": "enough_share"})


def capacity_html(results: pd.DataFrame, enough: float) -> str:
    """Return the part of the page on few stars; `results` is of experiment `layers_capacity`."""
    wide = results.pivot(index=["condition", "task"], columns="metric", values="value")
    wide = wide.reset_index().assign(n=lambda t: t["condition"].str.removeprefix("train="))
    wide = wide.astype({"n": int}).sort_values(["n", "task"], ascending=[True, False])
    shown = [
        [
            str(row["n"]), row["task"], f"{row['own']:.3f}", f"{row['val']:.3f}",
            f"{100 * row['share_single']:.0f} %", f"{100 * row['share_all']:.0f} %",
            f"{100 * row['moved']:.2g} %"
            + ("" if row["moved"] < STANDS_STILL else ", still moving"),
        ]
        for row in wide.to_dict("records")
    ]  # fmt: skip
    heads = ("Stars", "Labels", "Skill, own", "validation", "Enough, one", "all", "Moved")
    about = _CAPACITY.format(100 * enough, 100 * STANDS_STILL)
    return f"<h2>Few stars, true and shuffled labels</h2><p>{about}</p>{plain_table(heads, shown)}"


def _single_html(table: pd.DataFrame) -> str:
    single = [
        [
            layer_text(row["layer"]),
            row["layer"],
            row["kind"],
            f"{row['rank']:.0f}",
            f"{100 * row['enough_share']:.0f} %",
            f"{row['effective_rank_trained']:.1f} / {row['effective_rank_untrained']:.1f}",
            f"{row['above_edge_trained']:.0f} / {row['above_edge_untrained']:.0f}",
        ]
        for row in table[table["layer"] != "all"].to_dict("records")
    ]
    heads = ("Matrix", "In the network", "Kind", "Rank", "Enough", "Effective rank",
             "Above the edge")  # fmt: skip
    return f"<h2>One matrix at a time</h2><p>{_SPECTRA}</p>{plain_table(heads, single)}"


def layers_html(
    table: pd.DataFrame,
    results: pd.DataFrame,
    enough: float,
    few_stars: pd.DataFrame | None = None,
) -> str:
    """Return the tables as a page; `few_stars` is the long table `layers_capacity`."""
    whole = [
        [
            METHOD_NAMES[row["model"]],
            f"{100 * row['enough_share']:.0f} %",
            f"{row['numbers']:.0f} of {row['numbers_whole']:.0f}",
            f"{row['test']:.3f} of {row['test_whole']:.3f}",
        ]
        for row in table[table["layer"] == "all"].to_dict("records")
    ]
    body = (
        f"<p>{_ABOUT.format(100 * enough)}</p>"
        + plain_table(("All matrices cut to", "Enough", "Numbers", "Skill there"), whole)
        + _single_html(table)
        + _latent_html(results)
    )
    if few_stars is not None:
        body += capacity_html(few_stars, enough)
    return page_html("What is written in the weights", body)


def _latent_html(results: pd.DataFrame) -> str:
    latent = results[results["task"] == "latent"]
    wide = latent.pivot(index="condition", columns="metric", values="value")
    labels = [name for name in NAMES if name in wide]
    seen = [
        [name.replace("_", " "), *(f"{row[k]:+.2f}" for k in labels)]
        for name, row in wide.iterrows()
    ]
    return (
        "<h2>Leading directions in front of the head</h2><p>Spearman's correlation with the "
        f"labels of test stars.</p>{plain_table(('', *(NAMES[k] for k in labels)), seen)}"
    )
