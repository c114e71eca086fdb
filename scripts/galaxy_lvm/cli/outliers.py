"""`galaxy-lvm outliers`: the images of a folder by how unlike the others they are."""

from pathlib import Path

import click

from galaxy_lvm.cli.options import (
    CORES,
    ENCODER,
    FOLDER,
    KIND,
    SETTINGS,
    errors_in_words,
    output_option,
)

COMMAND = "outliers"
_SHOWN = 32


@click.command(COMMAND)
@FOLDER
@ENCODER
@KIND
@output_option(COMMAND)
@SETTINGS
@CORES
@errors_in_words
def outliers(
    folder: Path,
    encoder: str,
    kind: str | None,
    output: Path,
    cores: int | None,
    settings: tuple[str, ...],
) -> None:
    """Rank all images below FOLDER, the most unusual first.

    Writes a table (outliers.csv, outliers.parquet: place, id, a score per method), a gallery of the
    first, the vectors and skipped.csv.
    """
    from galaxy_lvm.cli.run import embed_folder, prepare, tell, write_tables
    from galaxy_lvm.features.of_folder import files_of, refuse_few_for_outliers, unusual_images
    from galaxy_lvm.features.outlier_figures import draw_unusual
    from galaxy_lvm.report.style import save

    out, reading = prepare(COMMAND, folder, output, cores, settings=settings)
    with out.log():
        network, source, embedded = embed_folder(
            folder, encoder, kind, out, reading, lambda images: refuse_few_for_outliers(len(images))
        )
        table = unusual_images(embedded, network.shape.n_fine)
        shown = table.head(_SHOWN)
        save(draw_unusual(source.crops(list(shown["id"])), shown), out / "gallery.pdf")
        table = table.drop(columns="label").assign(file=files_of(table, embedded))
        write_tables(out, COMMAND, table)
        tell(out, embedded, f"ranked by unusualness, first {table['id'].iloc[0]}")
