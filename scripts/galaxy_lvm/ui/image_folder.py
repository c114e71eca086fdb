"""A folder of images as a place to label: no run, no table, no positions."""

from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.output import Output
from galaxy_lvm.core.workers import available_cores
from galaxy_lvm.features.encoder import load_encoder
from galaxy_lvm.features.images import Reading, folder_images
from galaxy_lvm.features.kept_folder import SIDE, KeptFolder, keep_folder
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.ui.workplace import Workplace

_WRITTEN = ("pools", "parts", "labels", "skipped.csv")


def own_output(folder: str | Path) -> Output:
    """Return the folder of vectors, crops and labels, which page and widget share.

    Raises
    ------
    DataError
        If something is in it that is not galaxy-lvm's.
    """
    # The widget kept no record once.
    own = _WRITTEN if any(Path(folder).glob(f"pools/*/{SIDE}")) else ()
    return Output(Path(folder), _WRITTEN, own)


def embed_folder(
    folder: str | Path,
    encoder: str | Path,
    out: Output,
    kind: str | None = None,
    cores: int | None = None,
    how: Folder | None = None,
) -> KeptFolder:
    """Return the vectors and crops of a folder of images, embedded as far as they were not.

    Parameters
    ----------
    folder
        JPEG and PNG, or FITS images; its sub-folders belong to it, `out` does not.
    encoder
        `released`, weights (`.safetensors`), or a run's name or folder.
    out
        Of `own_output`.
    kind
        "image" (JPEG and PNG) or "fits", where a folder holds both.
    cores
        That read images; None for all.
    how
        How files are read, the config's section `folder`; defaults where None.

    Raises
    ------
    DataError
        If no image can be used.
    ConfigError
        If the encoder is unknown.
    """
    network = load_encoder(
        encoder, reading=Reading(how or Folder(), cores=cores or available_cores())
    )
    source = folder_images(folder, network.reading, kind, own=[out.folder])
    return keep_folder(network, source, out.folder)


def open_folder(kept: KeptFolder, target: str) -> Workplace:
    """Return the images of a folder, ready to be labelled.

    Parameters
    ----------
    kept
        Their vectors and crops.
    target
        What is looked for, in words.
    """
    store = FeatureStore.open(kept.features)
    pool = Pool(store.ids, store.rows)
    ids = pool.ids_of(np.arange(len(pool)))
    rows = np.arange(len(pool))
    known = pd.DataFrame({"id": ids, "label": "", "cutout_index": rows, "in_splits": False})
    return Workplace(
        name=target, pool=pool, crops=kept.crops, crop_rows=rows, cutouts=None, catalogue=known,
        files=kept.source,
    )  # fmt: skip
