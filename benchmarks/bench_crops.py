"""Time the way from cutouts to crops on one core, against a plain form of the same steps.

Run as `python benchmarks/bench_crops.py`; writes benchmarks/results/crops.json. Every figure is
the median of several repeats on simulated cutouts held in memory.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from galaxy_lvm.core.config.survey import Crop  # noqa: E402
from galaxy_lvm.survey.colour import grz_to_rgb  # noqa: E402
from galaxy_lvm.survey.crops import adaptive_box, crop_chunk  # noqa: E402
from galaxy_lvm.survey.duplicates import copies_by_pixels  # noqa: E402
from scipy import ndimage  # noqa: E402

REPEATS = 5


def cutouts(count: int, side_pix: int, seed: int = 1) -> np.ndarray:
    """Return noisy discs of many sizes, float32 (count, 3, side, side), nanomaggies."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side_pix, side_pix), dtype=np.float32) - side_pix / 2
    images = rng.normal(0, 0.01, (count, 3, side_pix, side_pix)).astype(np.float32)
    for image in images:
        radius = side_pix * rng.uniform(0.015, 0.06)
        distance = np.hypot(columns, rows / rng.uniform(0.3, 1.0))
        image += (rng.uniform(0.2, 3) * np.exp(-distance / radius)).astype(np.float32)
    return images


def plain(images: np.ndarray, settings: Crop) -> np.ndarray:
    """Do the same steps with numpy and scipy at full size, as one would first write them."""
    scaled = images.astype(np.float64) * np.array([6.0, 3.4, 2.2])[:, None, None] + 0.03
    scaled = np.maximum(np.nan_to_num(scaled), 0)
    mean = np.maximum(scaled.mean(axis=1, keepdims=True), 1e-6)
    rgb = scaled * np.arcsinh(20 * mean) / np.sqrt(20) / mean
    rgb = np.round(255 * np.clip(rgb, 0, 1)[:, ::-1].transpose(0, 2, 3, 1)).astype(np.uint8)
    crops = []
    for frame in rgb:
        grey = ndimage.gaussian_filter(frame.mean(axis=2), 1.2)
        dark = grey[grey <= np.percentile(grey, 25)]
        centre = grey.shape[0] // 2
        threshold = dark.mean() + max(
            4, 3 * dark.std(), 0.06 * (grey[centre, centre] - dark.mean())
        )
        numbers, _ = ndimage.label(grey > threshold)
        where = np.argwhere(numbers == numbers[centre, centre])
        low, high = where.min(axis=0), where.max(axis=0) + 1
        side = int(np.clip(settings.margin * (high - low).max(), 24, grey.shape[0]))
        y0, x0 = np.clip((low + high - side) // 2, 0, grey.shape[0] - side)
        cut = frame[y0 : y0 + side, x0 : x0 + side]
        zoom = settings.side_pix / side
        crops.append(ndimage.zoom(cut, (zoom, zoom, 1), order=3)[:128, :128])
    return np.stack(crops)


def rate(count: int, work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return items per second, the median of the repeats."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return count / statistics.median(seconds)


def main() -> None:
    """Measure and write the results."""
    cv2.setNumThreads(1)
    settings = Crop()
    small = cutouts(512, 152)
    small_rgb = grz_to_rgb(small)
    large_rgb = grz_to_rgb(cutouts(64, 424))
    crops = crop_chunk(grz_to_rgb(cutouts(1500, 152)), settings)[0]
    results = {
        "grz_152_to_crops_per_s": rate(512, lambda: crop_chunk(grz_to_rgb(small), settings)),
        "grz_152_colours_per_s": rate(512, lambda: grz_to_rgb(small)),
        "rgb_152_boxes_per_s": rate(512, lambda: [adaptive_box(x, settings) for x in small_rgb]),
        "rgb_424_to_crops_per_s": rate(64, lambda: crop_chunk(large_rgb, settings)),
        "plain_grz_152_to_crops_per_s": rate(64, lambda: plain(small[:64], settings)),
        "copies_by_pixels_crops_per_s": rate(1500, lambda: copies_by_pixels(crops), 3),
    }
    results = {name: round(value, 1) for name, value in results.items()}
    ours, theirs = results["grz_152_to_crops_per_s"], results["plain_grz_152_to_crops_per_s"]
    results["ratio_to_plain"] = round(ours / theirs, 2)
    results |= {"cores": 1, "repeats": REPEATS, "opencv": cv2.__version__}
    path = ROOT / "benchmarks" / "results" / "crops.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    main()
