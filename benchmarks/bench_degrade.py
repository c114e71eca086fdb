"""Speed of the degradations that feed training: 32 images of 128 x 128 x 3 on one core.

The batched cosine-transform path against `scipy.signal.fftconvolve` image by image with the same
kernels and mirrored borders, interleaved in one run, so that the ratio does not depend on what
else the machine does. Run `python benchmarks/bench_degrade.py`; the medians go to
`benchmarks/results/degrade.json`.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np  # noqa: E402
from galaxy_lvm.core.config.tasks import Blur, Mask  # noqa: E402
from galaxy_lvm.multitask.degrade import (  # noqa: E402
    apply_transfer,
    blur_images,
    mask_images,
    moffat_psf,
    psf_side_pix,
    psf_transfer,
)
from scipy import signal  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "degrade.json"


def milliseconds(function: Callable[[], object]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def convolve_batched(images: np.ndarray, fwhm: np.ndarray, recipe: Blur) -> np.ndarray:
    """Blur as `blur_images` does, without the noise."""
    psf = moffat_psf(fwhm, recipe.moffat_beta, psf_side_pix(recipe))
    return apply_transfer(images, psf_transfer(psf, *images.shape[1:3]))


def convolve_one_by_one(images: np.ndarray, fwhm: np.ndarray, recipe: Blur) -> np.ndarray:
    """Blur with a padded Fourier convolution per image."""
    results, edge = [], psf_side_pix(recipe) // 2
    for image, width in zip(images, fwhm, strict=True):
        psf = moffat_psf(width, recipe.moffat_beta, psf_side_pix(recipe))[..., None]
        padded = np.pad(image, ((edge, edge), (edge, edge), (0, 0)), mode="symmetric")
        results.append(signal.fftconvolve(padded, psf, mode="valid", axes=(0, 1)))
    return np.stack(results)


def main() -> None:
    """Measure, check that both paths agree, and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.random((arguments.images, 128, 128, 3), dtype=np.float32)
    recipe = Blur()
    fwhm = rng.uniform(recipe.fwhm_min_pix, recipe.fwhm_max_pix, len(images))
    paths = {
        "blur_and_noise_ms": lambda: blur_images(images, recipe, 0),
        "mask_ms": lambda: mask_images(images, Mask(), 0),
        "convolution_batched_ms": lambda: convolve_batched(images, fwhm, recipe),
        "convolution_scipy_per_image_ms": lambda: convolve_one_by_one(images, fwhm, recipe),
    }
    outputs = [paths[name]() for name in list(paths)[2:]]  # also warms up
    times: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(arguments.repeats):
        for name, function in paths.items():
            times[name].append(milliseconds(function))
    medians = {name: round(statistics.median(values), 2) for name, values in times.items()}
    slow, fast = times["convolution_scipy_per_image_ms"], times["convolution_batched_ms"]
    results = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, 1 used",
        "load_average_before": round(os.getloadavg()[0], 2),
        "n_images": arguments.images,
        "repeats": arguments.repeats,
        **medians,
        "ratio_scipy_to_batched": round(
            statistics.median(s / f for s, f in zip(slow, fast, strict=True)), 2
        ),
        "largest_difference": float(np.abs(outputs[0] - outputs[1]).max()),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
