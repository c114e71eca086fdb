"""Draw galaxies beside the most similar ones, and write them down as a page."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.features.neighbour_figures import draw_similar
from galaxy_lvm.features.tables import similar_html
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import SHEET_DPI, save
from galaxy_lvm.survey.crop_store import read_crops

NEIGHBOURS_SHOWN = 8
QUERIES_SHOWN = 12


def main(
    metrics: str, neighbours: str, crops: str, pool_crops: str, figure: str, page: str
) -> None:
    """Draw the first queries as PDF and PNG; write the page of all.

    Parameters
    ----------
    metrics, neighbours
        Scores and neighbours of search_similar (CSV).
    crops, pool_crops
        Crops of the labelled dataset, and of the galaxies that were searched.
    figure, page
        Files to write, ending in .pdf and .html.
    """
    table = load_table(neighbours, numbers=("query_index", "index", "rank", "distance"))
    text = similar_html(table, read_results(metrics))
    with atomic_path(page) as path:
        path.write_text(text, encoding="utf-8")
    first = list(dict.fromkeys(table["query"]))[:QUERIES_SHOWN]
    shown = table[table["query"].isin(first) & (table["rank"] <= NEIGHBOURS_SHOWN)]
    groups = [lines for _, lines in shown.groupby("query", sort=False)]
    queries = read_crops(crops, [lines["query_index"].iloc[0] for lines in groups])
    found = [read_crops(pool_crops, lines["index"]) for lines in groups]
    save(draw_similar(queries, found, shown), figure, png_dpi=SHEET_DPI)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            neighbours=snakemake.input.neighbours,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            pool_crops=snakemake.input.pool_crops,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            page=snakemake.output.page,  # noqa: F821
        )
