"""What the leading directions of the released encoder's layers mean: correlations with parameters.

    python benchmarks/layer_directions.py CROPS.h5 CUTOUTS.h5 COLUMN [COLUMN ...]

CROPS and CUTOUTS are a run's files of simulated galaxies, the columns those of their catalogue. A
layer's output is averaged over the map of a galaxy; its principal directions are those of every
second galaxy, the rank correlations (Spearman) those of the others. Floor: the same shape with
weights that have learned nothing. Writes benchmarks/results/layer_directions.json.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from galaxy_lvm.features.encoder import load_encoder
from galaxy_lvm.features.extract import FeatureExtractor
from galaxy_lvm.lvm.low_rank import in_two_parts, layers_to_cut
from galaxy_lvm.lvm.model import Encoder
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.store import CutoutStore
from galaxy_lvm.training.backbones import PooledLVM
from scipy import stats
from sklearn.decomposition import PCA

N_DIRECTIONS = 4
RESULT = Path(__file__).parent / "results" / "layer_directions.json"


def layer_means(encoder, settings, crops):
    """Return, by layer, outputs (n, n_out) averaged over every galaxy's map."""
    module, parts = in_two_parts(encoder)
    found = defaultdict(list)
    n_images = [1]  # the extractor looks at an empty one for the length of a vector

    def add(name):
        def keep(_, inputs):
            # Windows are rows of their own, in the order of the images.
            per_image = inputs[0].float().reshape(n_images[-1], -1, inputs[0].shape[-1])
            found[name].append(per_image.mean(dim=1).numpy())

        return keep

    for name, part in parts.items():
        part.expand.register_forward_pre_hook(add(name))
    extract = FeatureExtractor(PooledLVM(module), settings)
    found.clear()
    for first in range(0, len(crops), settings.batch_size):
        batch = crops[first : first + settings.batch_size]
        n_images.append(len(batch))
        extract(batch)
    return {name: np.concatenate(values) for name, values in found.items()}


def correlations(values, table):
    """Return the correlation of each direction with each column, of every second galaxy."""
    directions = PCA(N_DIRECTIONS).fit(values[::2]).transform(values[1::2])
    return {
        name: [round(float(stats.spearmanr(column[1::2], d).statistic), 3) for d in directions.T]
        for name, column in table.items()
    }


def main(crops_path, cutouts_path, *columns):
    """Measure and write; see above."""
    torch.set_num_threads(1)
    with CropStore(crops_path) as store:
        crops, ids = store[:], list(store.ids)
    with CutoutStore(cutouts_path) as store:
        catalogue = store.catalogue().set_index("id").loc[ids]
    table = {name: catalogue[name].to_numpy(float) for name in columns}
    whole = load_encoder("released", precision="float32")
    settings = whole.settings.model_copy(update={"n_orientations": 1})
    torch.manual_seed(0)
    networks = {
        "released": whole.extract.encoder.encoder,
        "untrained": Encoder(whole.shape).eval(),
    }
    rows = []
    for network, encoder in networks.items():
        means = layer_means(encoder, settings, crops)
        for name, layer in layers_to_cut(encoder).items():
            kind = "linear" if isinstance(layer, torch.nn.Linear) else "convolution"
            found = correlations(means[name], table)
            rows.append({"network": network, "layer": name, "kind": kind, **found})
    what = f"{len(crops)} simulated galaxies, half to find directions and half asked, one view each"
    RESULT.write_text(json.dumps({"what": what, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
