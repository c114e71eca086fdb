"""What the subcommands on features do alike: read, embed, list what was skipped, say so."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click
import pandas as pd
import yaml
from pydantic import ValidationError

from galaxy_lvm.cli.options import counted
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.errors import ConfigError, DataError, in_short
from galaxy_lvm.core.output import Output
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.core.workers import available_cores
from galaxy_lvm.features.embed_files import EmbeddedFiles, embed_files
from galaxy_lvm.features.encoder import ImageEncoder, load_encoder
from galaxy_lvm.features.images import Chunk, FileImages, Reading, folder_images

COMMON = ("features.npy", "features.parquet", "skipped.csv", "gallery.pdf", "gallery.png")


def prepare(
    command: str,
    folder: Path,
    output: Path,
    cores: int | None,
    more: Sequence[str] = (),
    settings: Sequence[str] = (),
) -> tuple[Output, Reading]:
    """Return the folder to write into, and how images are read.

    Parameters
    ----------
    command
        Subcommand; its tables bear its name.
    folder, output
        The images; where the results go.
    cores
        Threads; None for all.
    more
        Further files that will be written.
    settings
        KEY=VALUE of the config's section `folder`.

    Raises
    ------
    DataError
        If the folder of images is not there, or a file to write is another's.
    ConfigError
        If a setting is none.
    """
    how = reading_settings(settings)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of images")
    out = Output(output, [f"{command}.csv", f"{command}.parquet", *COMMON, *more])
    return out, Reading(how, cores=cores or available_cores())


def reading_settings(given: Sequence[str]) -> Folder:
    """Return how files are read, by texts KEY=VALUE.

    Raises
    ------
    ConfigError
        If one is no such text, its key is none of files, or its value not allowed.
    """
    keys = [key for key in Folder.model_fields if not key.endswith("_column")]
    keys.remove("shard_images")
    values = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or key not in keys:
            raise ConfigError(f"--set {text}: give KEY=VALUE, KEY one of {', '.join(keys)}")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {text}: no value ({in_short(error)})") from error
    try:
        return Folder(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"--set {first['loc'][0]}={first['input']}: {first['msg']}") from error


def embed_folder(
    folder: Path,
    which: str,
    kind: str | None,
    out: Output,
    reading: Reading,
    check: Callable[[FileImages], None] = lambda source: None,
    each: Callable[[Chunk], None] | None = None,
) -> tuple[ImageEncoder, FileImages, EmbeddedFiles]:
    """Return the encoder, the images of a folder and their vectors; writes what all write.

    `check` is called with the images before any is read: what was asked for has to be among them.
    `each` is called with every chunk of them.
    """
    encoder, source = encoder_and_images(folder, which, kind, out, reading)
    check(source)
    out.clear()
    paths = (out / "features.npy", out / "skipped.csv")
    embedded = embed_files(encoder, source, *paths, each=each)
    return encoder, source, embedded


def encoder_and_images(
    folder: Path, which: str, kind: str | None, out: Output, reading: Reading
) -> tuple[ImageEncoder, FileImages]:
    """Return the encoder, and the images below a folder as they are read for it."""
    encoder = load_encoder(which, reading=reading)
    return encoder, folder_images(folder, encoder.reading, kind, own=[out.folder])


def write_tables(out: Output, command: str, table: pd.DataFrame) -> None:
    """Write the table of a subcommand as CSV and as parquet."""
    for suffix in (".csv", ".parquet"):
        save_table(out / f"{command}{suffix}", table)


def tell(out: Output, embedded: EmbeddedFiles, what: str) -> None:
    """Print the last sentence: what was read, skipped, made, and where it lies."""
    skipped = len(embedded.skipped)
    where = f" (listed in {out / 'skipped.csv'})" if skipped else ""
    click.echo(
        f"{counted(len(embedded.table), 'image')} read, {skipped} skipped{where}; {what}; "
        f"written to {out.folder}"
    )
