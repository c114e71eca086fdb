"""Draw the map of the features, with galaxies drawn in."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.features.neighbour_figures import draw_map, thumbnail_rows
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.crop_store import read_crops


def main(metrics: str, places: str, crops: str, figure: str) -> None:
    """Draw it as PDF and PNG.

    Parameters
    ----------
    metrics, places
        Scores (CSV) and places (parquet) of map_features.
    crops
        Crops of the labelled dataset.
    figure
        File to write, ending in .pdf.
    """
    table = load_table(places)
    cells = thumbnail_rows(table)
    found = read_crops(crops, table["index"].to_numpy()[list(cells.values())])
    results = read_results(metrics).set_index("metric")["value"]
    images = dict(zip(cells, found, strict=True))
    save(draw_map(table, images, int(results["n_galaxies"])), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            places=snakemake.input.places,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
        )
