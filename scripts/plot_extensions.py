"""Draw and table what the features are good for: parameters, outliers, neighbours, the map."""

import pandas as pd
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.features.neighbour_figures import draw_map, draw_similar, thumbnail_rows
from galaxy_lvm.features.oddities import inject
from galaxy_lvm.features.outlier_figures import draw_oddities, draw_outliers, draw_unusual
from galaxy_lvm.features.outliers import METHODS, unusual_galaxies
from galaxy_lvm.features.parameter_figures import draw_parameters
from galaxy_lvm.features.tables import (
    outliers_html,
    outliers_table,
    parameters_html,
    parameters_table,
    similar_html,
)
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.crop_store import read_crops
from matplotlib.figure import Figure

EXAMPLES_PER_KIND = 8
UNUSUAL_SHOWN = 32
NEIGHBOURS_SHOWN = 8
QUERIES_SHOWN = 12


def main(inputs: dict[str, str], outputs: dict[str, str], settings: dict, seed: int) -> None:
    """Draw figures (PDF and PNG) and write tables (CSV and HTML).

    Parameters
    ----------
    inputs
        Metrics: `parameters`, `outliers`, `similarity`, `map`. What they score:
        `predictions`, `scores`, `oddities`, `neighbours`, `places`. Crops: `crops`, and
        `pool_crops` of the galaxies that were searched.
    outputs
        Figures (.pdf): `parameters_figure`, `outliers_figure`, `oddities_figure`,
        `unusual_figure`, `similar_figure`, `map_figure`. Tables (.csv, an HTML page beside
        each): `parameters_table`, `outliers_table`; `unusual_table` (.csv alone);
        `similar_page` (.html).
    settings
        The config's section `extensions`.
    seed
        The run's seed; oddities are made again from it.
    """
    _parameters(inputs, outputs, settings["parameters"])
    table = outliers_table(read_results(inputs["outliers"]))
    write_table(outputs["outliers_table"], table, outliers_html(table))
    save(draw_outliers(table), outputs["outliers_figure"])
    save(_oddities(inputs, seed), outputs["oddities_figure"])
    scores = pd.read_parquet(inputs["scores"])
    unusual = unusual_galaxies(scores, settings["outliers"]["n_listed"])
    with atomic_path(outputs["unusual_table"]) as path:
        unusual.to_csv(path, index=False)
    shown = unusual.head(UNUSUAL_SHOWN)
    save(
        draw_unusual(read_crops(inputs["crops"], shown["index"]), shown), outputs["unusual_figure"]
    )
    _similar(inputs, outputs)
    _map(inputs, outputs)


def _parameters(inputs: dict[str, str], outputs: dict[str, str], parameters: list[dict]) -> None:
    scales = {entry["column"]: entry.get("scale", "linear") for entry in parameters}
    table = parameters_table(read_results(inputs["parameters"]), scales)
    write_table(outputs["parameters_table"], table, parameters_html(table))
    predictions = pd.read_parquet(inputs["predictions"])
    save(draw_parameters(table, predictions), outputs["parameters_figure"])


def _oddities(inputs: dict[str, str], seed: int) -> Figure:
    """Return the first oddities of every kind, with the best place that a method gives them."""
    odd = pd.read_parquet(inputs["oddities"])
    rows, notes, names = [], [], []
    for kind, part in odd.groupby("kind", sort=False):
        part = part.head(EXAMPLES_PER_KIND)
        rows.append(inject(read_crops(inputs["crops"], part["index"]), part["id"], kind, seed))
        above = part[[f"share_above_{method}" for method in METHODS]].min(axis=1)
        notes.append([f"first {max(100 * share, 0.1):.1f} %" for share in above])
        names.append(str(kind))
    return draw_oddities(rows, notes, names)


def _similar(inputs: dict[str, str], outputs: dict[str, str]) -> None:
    table = pd.read_csv(inputs["neighbours"], dtype={"query": str, "id": str})
    table = table.fillna({"label": "", "query_label": ""})
    page = similar_html(table, read_results(inputs["similarity"]))
    with atomic_path(outputs["similar_page"]) as path:
        path.write_text(page, encoding="utf-8")
    first = list(dict.fromkeys(table["query"]))[:QUERIES_SHOWN]
    shown = table[table["query"].isin(first) & (table["rank"] <= NEIGHBOURS_SHOWN)]
    groups = [lines for _, lines in shown.groupby("query", sort=False)]
    queries = read_crops(inputs["crops"], [lines["query_index"].iloc[0] for lines in groups])
    neighbours = [read_crops(inputs["pool_crops"], lines["index"]) for lines in groups]
    save(draw_similar(queries, neighbours, shown), outputs["similar_figure"])


def _map(inputs: dict[str, str], outputs: dict[str, str]) -> None:
    places = pd.read_parquet(inputs["places"])
    cells = thumbnail_rows(places)
    crops = read_crops(inputs["crops"], places["index"].to_numpy()[list(cells.values())])
    results = read_results(inputs["map"]).set_index("metric")["value"]
    images = dict(zip(cells, crops, strict=True))
    save(draw_map(places, images, int(results["n_galaxies"])), outputs["map_figure"])


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            inputs=dict(snakemake.input.items()),  # noqa: F821
            outputs=dict(snakemake.output.items()),  # noqa: F821
            settings=snakemake.params.settings,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
