"""The labelling page without a web server: a widget in Jupyter, VS Code or Colab.

from galaxy_lvm.ui.notebook import label_run
page = label_run("demo", "spiral")
page
"""

from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.hitl.store_locks import refuse_without_locks
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.names import annotator_name, owner_name
from galaxy_lvm.ui.start import file_name_of
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
) -> "LabelWidget":
    """Return a widget on the galaxies of a finished run.

    Parameters
    ----------
    run, target, new, dataset
        As for `ui.workplace.open_run`.
    store
        File of the labels; that of the page where None, so that both go on with the same.
    annotator
        Who labels; the name of who is logged in where None.
    per_round
        Galaxies of a round; what the config says where None.

    Raises
    ------
    DataError
        If there is no such run, or the store is of another one.
    ConfigError
        If the target is unknown, or anywidget is not installed.
    """
    place = open_run(run, target, new, dataset)
    return label_place(place, store, Path("labels") / Path(run).name, annotator, per_round)


def label_folder(
    folder: str | Path,
    target: str,
    encoder: str = "released",
    output: str | Path = "galaxy-lvm-label",
    annotator: str | None = None,
    per_round: int | None = None,
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
    annotator, per_round
        As for `label_run`.
    """
    from galaxy_lvm.features.encoder import load_encoder
    from galaxy_lvm.features.images import folder_images
    from galaxy_lvm.features.kept_folder import keep_folder
    from galaxy_lvm.ui.image_folder import open_folder

    network = load_encoder(encoder)
    source = folder_images(folder, network.reading, own=[output])
    place = open_folder(keep_folder(network, source, output), target)
    return label_place(place, None, Path(output) / "labels", annotator, per_round)


def label_place(
    place: Workplace,
    store: str | Path | None,
    labels: Path,
    annotator: str | None,
    per_round: int | None,
) -> "LabelWidget":
    """Return a widget on galaxies; parameters as for `label_run` and `ui.start.start`."""
    try:
        from galaxy_lvm.ui.widget import LabelWidget
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the widget needs {error.name}: `pip install '.[label,notebook]'` in the "
            "project's folder, restart the kernel; or use the page, `python -m galaxy_lvm.ui`"
        ) from error
    path = Path(store) if store else labels / f"{file_name_of(place.name)}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    refuse_without_locks(path.parent)
    who = annotator_name(annotator) if annotator else owner_name()
    return LabelWidget(Labelling(place, path, per_round).start(), who)
