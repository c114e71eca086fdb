"""A folder of images as a place to label: no run, no table, no positions."""

import numpy as np
import pandas as pd

from galaxy_lvm.features.kept_folder import KeptFolder
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.ui.workplace import Workplace


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
