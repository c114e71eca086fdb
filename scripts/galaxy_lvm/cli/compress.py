"""`galaxy-lvm compress`: a smaller encoder, and what it loses on the images of a folder."""

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

COMMAND = "compress"
_WEIGHTS = "compressed.safetensors"


@click.command(COMMAND)
@FOLDER
@click.option(
    "--tolerance",
    default=0.01,
    show_default=True,
    help="Share of the variance of a layer's output that may be lost.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="Table with an id, a file (below FOLDER) and a label of some images: accuracies too, and "
    "only these images are looked at.",
)
@click.option("--id-column", default="id", show_default=True, help="With --labels.")
@click.option("--file-column", default="file", show_default=True, help="With --labels.")
@click.option("--label-column", default="label", show_default=True, help="With --labels.")
@click.option(
    "--max-images",
    default=1000,
    show_default=True,
    help="Images that are looked at, spread evenly over them.",
)
@ENCODER
@KIND
@output_option(COMMAND)
@SETTINGS
@CORES
@errors_in_words
def compress(
    folder: Path,
    tolerance: float,
    labels: Path | None,
    max_images: int,
    encoder: str,
    kind: str | None,
    output: Path,
    cores: int | None,
    settings: tuple[str, ...],
    **columns: str,
) -> None:
    """Write a smaller encoder, made for images like those below FOLDER.

    Layers keep the directions that their outputs vary in, where that spares numbers. Every second
    image is learned from, on the others the loss is measured: squared difference of the vectors,
    nearest neighbours that stay, accuracy (--labels). Writes compressed.safetensors with its card
    (for --encoder of the other commands) and a table of the layers.
    """
    from galaxy_lvm.cli.compressing import compress_folder
    from galaxy_lvm.cli.run import prepare

    more = [_WEIGHTS, str(Path(_WEIGHTS).with_suffix(".json"))]
    out, reading = prepare(COMMAND, folder, output, cores, more, settings)
    with out.log():
        found = compress_folder(
            folder, encoder, kind, out, reading, tolerance, max_images, labels, columns
        )
        for line in found:
            click.echo(line)
