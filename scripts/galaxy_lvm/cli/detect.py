"""`galaxy-lvm detect`: strong lenses in the images of a folder."""

from pathlib import Path

import click

from galaxy_lvm.cli.options import CORES, FOLDER, counted, errors_in_words, output_option

COMMAND = "detect"


@click.command(COMMAND)
@FOLDER
@click.option("--run", required=True, help="Finished run (name or folder) with a lens detector.")
@click.option(
    "--backbone", default="lvm", show_default=True, help="Which of the run's detectors to use."
)
@click.option(
    "--pixel-scale",
    type=click.FloatRange(min=0, min_open=True),
    help="Arcsec per pixel of JPEG and PNG images, and of FITS without a WCS.",
)
@click.option(
    "--score-threshold",
    type=click.FloatRange(0, 1),
    help="Smallest score.  [default: what the run chose on validation fields]",
)
@output_option(COMMAND)
@CORES
@errors_in_words
def detect(
    folder: Path,
    run: str,
    backbone: str,
    pixel_scale: float | None,
    score_threshold: float | None,
    output: Path,
    cores: int | None,
) -> None:
    """Search the images below FOLDER for strong lenses.

    Writes a table (detect.csv, detect.parquet: id, file, ra, dec, score, box), a gallery and
    skipped.csv; goes on after a kill with the images that are left.
    """
    from galaxy_lvm.core.config.lens_search import Search
    from galaxy_lvm.core.encoder_files import run_folder
    from galaxy_lvm.core.output import Output
    from galaxy_lvm.core.tables import save_table
    from galaxy_lvm.core.workers import available_cores
    from galaxy_lvm.lenses.detect import RECIPE_VERSION, detector_of_run, search_for_lenses

    names = ["detect.csv", "detect.parquet", "skipped.csv", "gallery.pdf", "gallery.png", "state"]
    weights = detector_of_run(run_folder(run), backbone)
    out = Output(output, names)
    search = Search(
        images=str(folder), pixel_scale_arcsec=pixel_scale, score_threshold=score_threshold
    )
    with out.log():
        out.clear()
        found, n_searched, refused = search_for_lenses(
            weights, out / "detect.csv", out / "skipped.csv", out / "gallery.pdf",
            search, out / "state", RECIPE_VERSION, threads=cores or available_cores(),
        )  # fmt: skip
        save_table(out / "detect.parquet", found)
        where = f" (listed in {out / 'skipped.csv'})" if refused else ""
        click.echo(
            f"{counted(n_searched, 'image')} searched, {len(refused)} skipped{where}; "
            f"{counted(len(found), 'detection')}; written to {out.folder}"
        )
