"""The simulated sky of WISE: cutouts with their truth, as a store."""

import os
from functools import partial

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.wise import WiseScene
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.workers import map_in_processes
from galaxy_lvm.survey.store import CutoutWriter
from galaxy_lvm.wise.bands import BANDS, PIXEL_SCALE_ARCSEC, pixel_noise
from galaxy_lvm.wise.colours import CLASSES
from galaxy_lvm.wise.render import Camera
from galaxy_lvm.wise.scene import (
    blend_shares,
    draw_neighbours,
    draw_targets,
    fluxes_of,
    shapes_of,
)

# Cutouts of one call of a process; each part has a seed of its own. A multiple of the classes.
_PART = 300


def simulate_part(
    part: tuple[int, int], scene: WiseScene, scatter_mag: float, seed: int
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return cutouts (n, 3, side, side) in Vega nanomaggies and their truth.

    Parameters
    ----------
    part
        Its number, which decides with the seed what is drawn, and n.
    scene
        The simulated sky.
    scatter_mag
        Scatter of the colours.
    seed
        The run's seed.
    """
    number, n = part
    rng = np.random.default_rng(derive_seed(seed, "wise", number))
    targets = draw_targets(n, scene, scatter_mag, rng)
    neighbours = draw_neighbours(n, scene, scatter_mag, rng)
    both = pd.concat([targets.assign(cutout=range(n)), neighbours], ignore_index=True)
    owner = both["cutout"].to_numpy()
    images = Camera(scene.side_pix).images(fluxes_of(both), shapes_of(both), owner, n)
    noise = pixel_noise(np.array(scene.depth_mag))[:, None, None]
    images += noise * rng.standard_normal(images.shape, np.float32)
    counts = np.bincount(neighbours["cutout"], minlength=n)
    return images, targets.assign(n_neighbours=counts, blend=blend_shares(targets, neighbours))


def write_simulated(
    path: str | os.PathLike, scene: WiseScene, scatter_mag: float, seed: int, cores: int = 1
) -> None:
    """Write a store of simulated cutouts; the same for any number of processes.

    Parameters
    ----------
    path
        HDF5 file: `images` float32 (N, 3, side, side), W1, W2, W3 in Vega nanomaggies, and the
        truth as columns (`draw_sources`, `x_pix`, `y_pix`, `n_neighbours`, `blend`).
    scene, scatter_mag, seed
        See `simulate_part`.
    cores
        Processes.
    """
    n_parts = -(-scene.n_sources // _PART)
    parts = [(k, min(_PART, scene.n_sources - k * _PART)) for k in range(n_parts)]
    make = partial(simulate_part, scene=scene, scatter_mag=scatter_mag, seed=seed)
    about = {
        "bands": ",".join(BANDS),
        "unit": "Vega nanomaggies",
        "pixel_scale_arcsec": PIXEL_SCALE_ARCSEC,
        "colour_scatter_mag": scatter_mag,
        "seed": seed,
    }
    side, start = scene.side_pix, 0
    with CutoutWriter(path, height_pix=side, width_pix=side, attributes=about) as writer:
        made = map_in_processes(make, parts, cores)
        for images, truth in progress(made, n_parts, "simulated sources", "parts"):
            ids = [f"wise_{number:07d}" for number in range(start, start + len(truth))]
            writer.append(images, {"id": ids, **truth.to_dict("list")})
            start += len(truth)
    log.info("%d sources (%s) with a scatter of %g mag in %s",
             start, ", ".join(CLASSES), scatter_mag, path)  # fmt: skip
