"""From what a command was given to the page that is served."""

from pathlib import Path

import click

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.hitl.store_locks import refuse_without_locks
from galaxy_lvm.ui.command import Serving
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.security import access_of, refuse_open_door
from galaxy_lvm.ui.serve import serve
from galaxy_lvm.ui.workplace import Workplace, open_run


def start_run(
    run: str,
    target: str | None,
    new: str | None,
    dataset: str | None,
    configfile: tuple[str, ...],
    serving: Serving,
) -> None:
    """Open a finished run, and serve it; parameters as for `open_run`."""
    place = open_run(run, target, new, dataset, configfile)
    start(place, Path("labels") / Path(run).name, serving)


def start(place: Workplace, labels: Path, serving: Serving, vectors: str = "") -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    place
        What is to be labelled.
    labels
        Folder of the labels, where no file was named. Not in the run, which may be made again.
    serving
        How.
    vectors
        What made the features, of a pool that may grow: as long as that is the same, the store is
        taken up with more galaxies. Kept beside the store.

    Raises
    ------
    DataError
        If the store is of other features, or lies where locks do not work.
    ConfigError
        If the token cannot be read, others could come in without one, or the port is in use.
    """
    path = label_file(place, labels, serving.store)
    keys, names = path.with_suffix(".key"), serving.allow_host
    access = access_of(serving.host, serving.port, _token(serving), keys, names)
    labelling, warning = open_labels(
        place, path, serving.per_round, serving.new_features, vectors, own_process=True
    )
    if warning:
        click.echo(warning, err=True)
    serve(labelling, access, serving.browser)


def label_file(place: Workplace, labels: Path, store: str | Path | None = None) -> Path:
    """Return the file of a place's labels: `store` where one is named, else its own in `labels`."""
    return Path(store) if store else labels / f"{file_name_of(place.name)}.sqlite"


def open_labels(
    place: Workplace,
    path: Path,
    per_round: int | None = None,
    new_features: bool = False,
    vectors: str = "",
    own_process: bool = False,
) -> tuple[Labelling, str]:
    """Open the labels of a place, for the page and for the widget.

    Parameters
    ----------
    place
        What is to be labelled.
    path
        File of the labels.
    per_round, new_features, own_process
        As for `Labelling`.
    vectors
        As for `start`.

    Returns
    -------
    labelling
        Not yet started.
    warning
        What is to be said of the file system, "" for nothing.

    Raises
    ------
    DataError
        If the store is of other features or of another search, or lies where locks do not work.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    warning = refuse_without_locks(path.parent)
    known = _vectors_of(path)
    same = bool(vectors) and known.exists() and known.read_text() == vectors
    labelling = Labelling(place, path, per_round, new_features or same, own_process)
    if vectors and not labelling.store.read_only:
        known.write_text(vectors)
    return labelling, warning


def _vectors_of(path: Path) -> Path:
    """Return the file that says what made the vectors of a store; no other store's."""
    if path.suffix == ".sqlite":
        return path.with_suffix(".vectors")
    return path.with_name(f"{path.name}.vectors")


def file_name_of(target: str) -> str:
    """Return what is looked for as a part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in target)


def refuse_bad_serving(serving: Serving) -> None:
    """Refuse what `start` would refuse, before long work: see there."""
    refuse_open_door(serving.host, _token(serving))


def _token(serving: Serving) -> str | None:
    if serving.token_file is None:
        return serving.token
    try:
        return serving.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {serving.token_file}: {error}") from error
