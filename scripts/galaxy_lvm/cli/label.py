"""`galaxy-lvm label`: label the images of a folder, or the galaxies of a run, on a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from galaxy_lvm.cli.options import CORES, ENCODER, KIND, SETTINGS, counted, output_option
from galaxy_lvm.ui.command import Serving, run_options, serving_options

if TYPE_CHECKING:
    from galaxy_lvm.ui.workplace import Workplace

COMMAND = "label"


@click.command(COMMAND)
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@run_options(required=False)
@ENCODER
@KIND
@output_option(COMMAND)
@SETTINGS
@CORES
@serving_options
def label(
    folder: Path | None,
    encoder: str,
    kind: str | None,
    output: Path,
    cores: int | None,
    settings: tuple[str, ...],
    serving: Serving,
    **of_run: Any,
) -> None:
    """Look for a kind of galaxy among the images below FOLDER, on a page in your browser.

    The images are embedded first; called again, the command embeds what is new or changed and goes
    on with the same labels. --target says in your words what you look for; labels are kept in the
    output folder, a file for each target. With --run instead of FOLDER, galaxies of a finished run.
    """
    if (folder is None) == (of_run["run"] is None):
        raise click.UsageError("give either FOLDER or --run NAME")
    from galaxy_lvm.ui.start import refuse_bad_serving, start, start_run

    if folder is None:
        if settings:
            raise click.UsageError("--set is for FOLDER; a run's images are read by its config")
        start_run(**of_run, serving=serving)
        return
    wanted = of_run["target"] or of_run["new"]
    if not wanted:
        raise click.UsageError("say what you look for: --target NAME, in your own words")
    refuse_bad_serving(serving)
    place, key = embedded(folder, wanted, encoder, kind, output, cores, settings)
    start(place, output / "labels", serving, key)


def embedded(
    folder: Path,
    target: str,
    encoder: str,
    kind: str | None,
    output: Path,
    cores: int | None,
    settings: tuple[str, ...] = (),
) -> tuple["Workplace", str]:
    """Return the images of a folder, embedded as far as they were not, and what made the vectors.

    Parameters
    ----------
    folder
        The images.
    target
        What is looked for.
    encoder, kind, output, cores, settings
        As the command's options.
    """
    from galaxy_lvm.cli.run import reading_settings
    from galaxy_lvm.ui.image_folder import embed_folder, open_folder, own_output

    how = reading_settings(settings)
    out = own_output(output)
    with out.log():
        kept = embed_folder(folder, encoder, out, kind, cores, how)
        place = open_folder(kept, target)
        skipped = len(kept.source) - len(place.pool)
        where = f", {skipped} skipped (listed in {kept.skipped})" if skipped else ""
        click.echo(f"{counted(len(place.pool), 'image')}{where}, {kept.n_new} embedded now")
    return place, kept.key
