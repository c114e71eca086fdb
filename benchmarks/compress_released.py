"""What low rank costs the released encoder on real galaxies, beside cutting its weights blindly.

    python benchmarks/compress_released.py FOLDER LABELS.csv

FOLDER holds images, LABELS.csv their `id`, `file`, `label`. Every second of 800 images is learned
from, the others are asked. `outputs`: directions that the layers' outputs vary in (`galaxy-lvm
compress`); `weights`: the leading singular directions of the weights, layer by layer of the same
rank. Writes benchmarks/results/compress.json.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.features.compress import loss_of
from galaxy_lvm.features.encoder import load_encoder
from galaxy_lvm.features.extract import FeatureExtractor
from galaxy_lvm.features.images import Reading, folder_images
from galaxy_lvm.features.label_classes import labels_by_table
from galaxy_lvm.lvm.low_rank import Outputs, cut, layers_to_cut, outputs_of
from galaxy_lvm.training.backbones import PooledLVM

TOLERANCES = (0.003, 0.01, 0.03, 0.1)
N_IMAGES = 800
RESULT = Path(__file__).parent / "results" / "compress.json"


def main(folder: str, labels: str) -> None:
    """Measure and write; see above."""
    torch.set_num_threads(1)
    whole = load_encoder("released", reading=Reading(), precision="float32")
    source = folder_images(Path(folder), whole.reading, "image")
    given, _ = labels_by_table(labels, Path(folder), source, Folder())
    names = sorted(given)
    names = [names[i] for i in np.linspace(0, len(names) - 1, N_IMAGES).astype(int)]
    chunks = list(source.only(names).chunks())
    crops = np.concatenate([chunk.images for chunk in chunks])
    ids = np.concatenate([chunk.table["id"].to_numpy(dtype=object) for chunk in chunks])
    learned, asked = crops[::2], crops[1::2]
    classes = np.array([given[name] for name in ids[1::2]], dtype=object)
    encoder = whole.extract.encoder.encoder
    one_view = whole.settings.model_copy(update={"n_orientations": 1})

    outputs = outputs_of(encoder, lambda m: FeatureExtractor(PooledLVM(m), one_view)(learned))
    blind = {
        name: Outputs(
            outputs[name].mean,
            torch.linalg.svd(layer.weight.detach().flatten(1).double())[0],
            outputs[name].variances,
        )
        for name, layer in layers_to_cut(encoder).items()
    }
    true, rows = whole.vectors(asked), []
    n_whole = sum(p.numel() for p in encoder.parameters())
    for tolerance in TOLERANCES:
        for by, directions in (("outputs", outputs), ("weights", blind)):
            small, ranks = cut(encoder, directions, tolerance)
            found = FeatureExtractor(PooledLVM(small), whole.settings)(asked)
            rows.append({
                "tolerance": tolerance, "by": by, "n_layers": len(ranks),
                "numbers": sum(p.numel() for p in small.parameters()), "numbers_whole": n_whole,
                **{k: round(v, 4) for k, v in loss_of(true, found, classes).items()},
            })  # fmt: skip
            print(rows[-1], flush=True)
    about = (
        f"released encoder in float32, {len(learned)} images to learn from, {len(asked)} others "
        "asked; accuracy: logistic regression, 5-fold cross-validation on those asked"
    )
    RESULT.write_text(json.dumps({"what": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
