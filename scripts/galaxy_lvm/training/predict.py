"""Running a model on images, in batches; the only torch in this package."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from galaxy_lvm.training.augment import dihedral, resize, to_float
from galaxy_lvm.training.feed import CropImages


def predict_in_batches(
    function: Callable[[Tensor], Tensor],
    images: np.ndarray | CropImages,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    autocast: Callable = torch.no_grad,
) -> np.ndarray:
    """Apply `function` to (B, 3, H, W) batches of images (N, H, W, 3); return the stacked results.

    Parameters
    ----------
    function
        Maps a float batch in [0, 1] to a tensor with B rows.
    images
        uint8, or float32 in [0, 1].
    device, batch_size
        Where and how many at a time.
    autocast
        Context manager for lower precision, for instance `Accelerator.autocast`.
    """
    results = []
    with torch.no_grad(), autocast():
        for first in range(0, len(images), batch_size):
            batch = to_float(images[first : first + batch_size], device)
            results.append(function(batch).float().cpu().numpy())
    return np.concatenate(results)


def class_probabilities(
    model: nn.Module,
    images: np.ndarray | CropImages,
    side_pix: int,
    n_orientations: int = 8,
    zooms: Sequence[float] = (1.0,),
    **kwargs,
) -> np.ndarray:
    """Return class probabilities (N, n_classes), averaged over views of each galaxy.

    The model's method `classify` maps images (B, 3, side, side) to class scores (B, n_classes).

    The sky has no up and down, and a crop is never exact: all `n_orientations` (1 to 8) symmetries
    of the square are asked at every one of the `zooms` (1 shows the whole crop, 2 its inner half).
    """
    model.eval()

    def average(batch: Tensor) -> Tensor:
        scaled = [resize(_inner(batch, zoom), side_pix) for zoom in zooms]
        views = [dihedral(view, k) for view in scaled for k in range(n_orientations)]
        return torch.stack([model.classify(v).float().softmax(dim=1) for v in views]).mean(dim=0)

    return predict_in_batches(average, images, **kwargs)


def _inner(batch: Tensor, zoom: float) -> Tensor:
    """Return the central part of (B, 3, H, W) that is a `zoom`-th of the side."""
    side = batch.shape[-1]
    margin = round((side - side / zoom) / 2)
    return batch[..., margin : side - margin, margin : side - margin]
