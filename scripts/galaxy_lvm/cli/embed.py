"""`galaxy-lvm embed`: a feature vector for every image of a folder."""

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

COMMAND = "embed"
_COLUMNS = 8


@click.command(COMMAND)
@FOLDER
@ENCODER
@KIND
@output_option(COMMAND)
@SETTINGS
@CORES
@errors_in_words
def embed(
    folder: Path,
    encoder: str,
    kind: str | None,
    output: Path,
    cores: int | None,
    settings: tuple[str, ...],
) -> None:
    """Turn every image below FOLDER into a feature vector.

    Writes features.npy (float32, one row per image; ids in features.parquet), a table of the images
    (embed.csv, embed.parquet), skipped.csv with reasons, and a gallery of crops.
    """
    from galaxy_lvm.cli.run import embed_folder, prepare, tell, write_tables
    from galaxy_lvm.report.mosaic import draw_mosaic
    from galaxy_lvm.report.style import save

    out, reading = prepare(COMMAND, folder, output, cores, settings=settings)
    with out.log():
        _, _, embedded = embed_folder(folder, encoder, kind, out, reading)
        write_tables(out, COMMAND, embedded.table)
        names, crops = list(embedded.samples), list(embedded.samples.values())
        save(draw_mosaic(crops, _COLUMNS, titles=names), out / "gallery.pdf")
        tell(out, embedded, f"vectors of {embedded.store.dim} numbers")
