"""`galaxy-lvm classify`: classes of the images of a folder, by a run or by labels of some."""

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

COMMAND = "classify"


@click.command(COMMAND)
@FOLDER
@click.option("--run", help="Finished run (name or folder) whose classes are asked for.")
@click.option(
    "--strategy",
    default="multi_active",
    show_default=True,
    help="With --run: which of its multitask trainings.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="Table with an id, a file (below FOLDER) and a label of some images; classes are fitted.",
)
@click.option("--id-column", default="id", show_default=True, help="With --labels.")
@click.option("--file-column", default="file", show_default=True, help="With --labels.")
@click.option("--label-column", default="label", show_default=True, help="With --labels.")
@ENCODER
@KIND
@output_option(COMMAND)
@SETTINGS
@CORES
@errors_in_words
def classify(
    folder: Path,
    run: str | None,
    strategy: str,
    labels: Path | None,
    encoder: str,
    kind: str | None,
    output: Path,
    cores: int | None,
    settings: tuple[str, ...],
    **columns: str,
) -> None:
    """Give every image below FOLDER class probabilities.

    Either by the classes of a finished run (--run), or by logistic regression on the features of
    those that a table labels (--labels), with the score that cross-validation gives it. Writes a
    table (classify.csv, classify.parquet), a gallery, the vectors and skipped.csv.
    """
    if (run is None) == (labels is None):
        raise click.UsageError("give either --run NAME or --labels TABLE")
    from galaxy_lvm.cli.classes import by_labels, by_run
    from galaxy_lvm.cli.run import prepare, tell, write_tables
    from galaxy_lvm.features.class_gallery import draw_classes
    from galaxy_lvm.report.style import save

    out, reading = prepare(COMMAND, folder, output, cores, settings=settings)
    with out.log():
        if run is not None:
            found = by_run(folder, run, strategy, kind, out, reading)
        else:
            found = by_labels(folder, labels, columns, encoder, kind, out, reading)
        save(draw_classes(found.table, found.source.crops), out / "gallery.pdf")
        write_tables(out, COMMAND, found.table)
        tell(out, found.embedded, found.sentence)
