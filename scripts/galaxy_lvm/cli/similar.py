"""`galaxy-lvm similar`: the images of a folder that look most like given ones."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from galaxy_lvm.cli.options import (
    CORES,
    ENCODER,
    FOLDER,
    KIND,
    SETTINGS,
    counted,
    errors_in_words,
    output_option,
)

if TYPE_CHECKING:
    import numpy as np

COMMAND = "similar"
_QUERIES_SHOWN, _NEIGHBOURS_SHOWN = 12, 8


@click.command(COMMAND)
@FOLDER
@click.option(
    "--query",
    "queries",
    multiple=True,
    required=True,
    help="Id (path below FOLDER) or image file to find similar ones of; may be repeated.",
)
@click.option(
    "--number",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Similar images per query.",
)
@ENCODER
@KIND
@output_option(COMMAND)
@SETTINGS
@CORES
@errors_in_words
def similar(
    folder: Path,
    queries: tuple[str, ...],
    number: int,
    encoder: str,
    kind: str | None,
    output: Path,
    cores: int | None,
    settings: tuple[str, ...],
) -> None:
    """Find the images below FOLDER that are most similar to given ones.

    Writes a table (similar.csv, similar.parquet: query, rank, id, distance), a gallery, the vectors
    and skipped.csv.
    """
    from galaxy_lvm.cli.run import embed_folder, prepare, tell, write_tables
    from galaxy_lvm.features.images import FileImages
    from galaxy_lvm.features.neighbour_figures import draw_similar
    from galaxy_lvm.features.of_folder import (
        files_of,
        query_crops,
        query_images,
        similar_images,
    )
    from galaxy_lvm.report.style import save

    out, reading = prepare(COMMAND, folder, output, cores, settings=settings)
    with out.log():
        asked: dict[str, Path | None] = {}
        crops: dict[str, np.ndarray] = {}

        def resolve(source: FileImages) -> None:
            asked.update(query_images(source, queries))
            crops.update(query_crops(source, asked))

        network, source, embedded = embed_folder(folder, encoder, kind, out, reading, resolve)
        table = similar_images(network, embedded, asked, crops, number)
        shown = table[table["query"].isin(list(asked)[:_QUERIES_SHOWN])]
        shown = shown[shown["rank"] <= _NEIGHBOURS_SHOWN]
        groups = [(name, rows) for name, rows in shown.groupby("query", sort=False)]
        pictures = [source.crops(list(rows["id"])) for _, rows in groups]
        save(draw_similar([crops[n] for n, _ in groups], pictures, shown), out / "gallery.pdf")
        table = table.assign(file=files_of(table, embedded))
        write_tables(out, COMMAND, table[["query", "rank", "id", "file", "distance"]])
        tell(out, embedded, f"{counted(len(table), 'neighbour')} of {counted(len(asked), 'image')}")
