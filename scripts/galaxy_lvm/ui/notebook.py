"""The labelling page without a web server: a widget in Jupyter, VS Code or Colab.

from galaxy_lvm.ui.notebook import label_run
page = label_run("demo", "spiral")
page
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.ui.names import annotator_name, owner_name
from galaxy_lvm.ui.start import label_file, open_labels
from galaxy_lvm.ui.workplace import Workplace, open_run

if TYPE_CHECKING:
    from galaxy_lvm.ui.widget import LabelWidget


def label_run(
    run: str,
    target: str | None = None,
    new: str | None = None,
    dataset: str | None = None,
    store: str | Path | None = None,
    annotator: str | None = None,
    per_round: int | None = None,
    new_features: bool = False,
    configfiles: Sequence[str] = (),
) -> "LabelWidget":
    """Return a widget on the galaxies of a finished run.

    Parameters
    ----------
    run, target, new, dataset, configfiles
        As for `ui.workplace.open_run`.
    store
        File of the labels; that of the page where None, so that both go on with the same.
    annotator
        Who labels; the name of who is logged in where None.
    per_round
        Galaxies of a round; what the config says where None.
    new_features
        Go on with other features than the labels were given by; all labels stay.

    Raises
    ------
    DataError
        If there is no such run, or the store is of another one or of another target.
    ConfigError
        If the target is unknown, or anywidget is not installed.
    """
    place = open_run(run, target, new, dataset, tuple(configfiles))
    path = label_file(place, Path("labels") / Path(run).name, store)
    return label_place(place, path, annotator, per_round, new_features)


def label_folder(
    folder: str | Path,
    target: str,
    encoder: str = "released",
    output: str | Path = "galaxy-lvm-label",
    annotator: str | None = None,
    per_round: int | None = None,
    store: str | Path | None = None,
    new_features: bool = False,
    kind: str | None = None,
    cores: int | None = None,
) -> "LabelWidget":
    """Return a widget on a folder of images, which are embedded first, as by `galaxy-lvm label`.

    Parameters
    ----------
    folder
        JPEG and PNG, or FITS images; its sub-folders belong to it.
    target
        What is looked for, in words.
    encoder
        `released`, weights (`.safetensors`), or a run's name or folder.
    output
        Folder of vectors, crops and labels.
    annotator, per_round, store, new_features
        As for `label_run`. Images that were added, changed or removed are no other features as
        long as the encoder is the same.
    kind
        "image" (JPEG and PNG) or "fits", where a folder holds both.
    cores
        That read images; None for all.

    Raises
    ------
    DataError
        If no image can be used, or the store is of other features or of another target.
    ConfigError
        If the encoder is unknown, or anywidget is not installed.
    """
    from galaxy_lvm.ui.image_folder import embed_folder, open_folder, own_output

    _widget()  # what is missing is said before the long work
    out = own_output(output)
    with out.log():
        kept = embed_folder(folder, encoder, out, kind, cores)
    place = open_folder(kept, target)
    path = label_file(place, Path(output) / "labels", store)
    return label_place(place, path, annotator, per_round, new_features, kept.key)


def label_place(
    place: Workplace,
    path: Path,
    annotator: str | None,
    per_round: int | None,
    new_features: bool = False,
    vectors: str = "",
) -> "LabelWidget":
    """Return a widget on galaxies; parameters as for `label_run` and `ui.start.open_labels`."""
    widget = _widget()
    who = annotator_name(annotator) if annotator else owner_name()
    labelling, warning = open_labels(place, path, per_round, new_features, vectors)
    if warning:
        warnings.warn(warning, stacklevel=3)
    return widget(labelling.start(), who)


def _widget() -> type["LabelWidget"]:
    try:
        from galaxy_lvm.ui.widget import LabelWidget
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the widget needs {error.name}: `pip install '.[label,notebook]'` in the "
            "project's folder, restart the kernel; or use the page, `python -m galaxy_lvm.ui`"
        ) from error
    return LabelWidget
