"""Simulated wide fields with none, one or two strong lenses, with true boxes and masks.

PSF, depth, noise and colours are those of the simulated survey (`mock`). What stands beside the
lenses is in `mock_scenery`, what a lens is in `mock_lenses`, where it may stand in `mock_placing`.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator

import numpy as np

from galaxy_lvm.core.config.lenses import MockFields, MockLenses
from galaxy_lvm.core.config.survey import MockSky
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.workers import map_in_processes
from galaxy_lvm.simulation.placing import REDRAWN, Canvas, Placed, add_lens
from galaxy_lvm.simulation.scenery import draw_scenery
from galaxy_lvm.simulation.survey import add_noise
from galaxy_lvm.survey.colour import grz_to_rgb
from galaxy_lvm.survey.fields import SPLITS, lens_row, write_fields
from galaxy_lvm.survey.store import BANDS

log = logging.getLogger("galaxy_lvm")

CHUNK = 8


def lens_counts(count: int, empty_share: float, two_lens_share: float, seed: int) -> np.ndarray:
    """Return how many lenses each of `count` fields has, in random order.

    Shares are kept to within half a field; `two_lens_share` is of those that have any.
    """
    n_empty = round(empty_share * count)
    n_two = round(two_lens_share * (count - n_empty))
    numbers = np.repeat([0, 2, 1], [n_empty, n_two, count - n_empty - n_two])
    return np.random.default_rng(seed).permutation(numbers)


def simulate_field(
    split: str,
    number: int,
    n_lenses: int,
    side_pix: int,
    settings: MockLenses,
    survey: MockSky,
    seed: int,
) -> tuple[np.ndarray, dict[str, object], list[Placed], Counter]:
    """Simulate one field; it depends on these arguments alone.

    Parameters
    ----------
    split, number
        Which field.
    n_lenses
        Lenses in it.
    side_pix
        Side of the field.
    settings, survey
        Settings of the lenses and of the survey.
    seed
        Seed of all fields.

    Returns
    -------
    tuple
        Image uint8 (S, S, 3), the field's columns, its lenses, and why others were drawn again.
    """
    rng = np.random.default_rng(derive_seed(seed, "lens_fields", split, number))
    canvas = Canvas(side_pix, survey, rng)
    row: dict[str, object] = {"id": f"mock_{split}_{number:05d}", "split": split}
    row["ra"] = float(rng.uniform(0, 360))
    row["dec"] = float(np.degrees(np.arcsin(rng.uniform(-0.26, 0.53))))
    row["n_lenses"] = int(n_lenses)
    widths = zip(BANDS, canvas.fwhm_arcsec, strict=True)
    row |= {f"psf_fwhm_arcsec_{band}": float(width) for band, width in widths}
    for thing in draw_scenery(rng, side_pix, settings, survey):
        canvas.add(thing.light, thing.x_pix, thing.y_pix, thing.size_arcsec)
    lenses: list[Placed] = []
    redrawn: Counter = Counter()
    for _ in range(n_lenses):
        lenses.append(add_lens(canvas, rng, settings, lenses, redrawn))
    image = add_noise(canvas.image, survey, rng)
    return grz_to_rgb(image[None])[0], row, lenses, redrawn


Task = tuple[list[tuple[str, int, int]], int, MockLenses, MockSky, int]


def _simulate_chunk(task: Task) -> list[tuple]:
    which, *rest = task
    return [simulate_field(*field, *rest) for field in which]


def simulate_all(
    plan: MockFields, survey: MockSky, seed: int, cores: int = 1
) -> Iterator[list[tuple]]:
    """Yield blocks of what `simulate_field` returns, in order whatever the number of workers."""
    which = [
        (split, number, int(n_lenses))
        for split in SPLITS
        for number, n_lenses in enumerate(
            lens_counts(
                plan.counts[split],
                plan.empty_share,
                plan.mock.two_lens_share,
                derive_seed(seed, "lens_fields", "counts", split),
            )
        )
    ]
    tasks = [
        (which[i : i + CHUNK], plan.side_pix, plan.mock, survey, seed)
        for i in range(0, len(which), CHUNK)
    ]
    return map_in_processes(_simulate_chunk, tasks, cores)


def simulate_fields(
    path: str | os.PathLike,
    plan: MockFields,
    survey: MockSky,
    seed: int,
    cores: int = 1,
) -> None:
    """Write simulated fields and their lenses as a field store.

    Parameters
    ----------
    path
        HDF5 file to write; the lenses go to the parquet beside it.
    plan
        Numbers and side of the fields, and what the lenses are like.
    survey
        Depth, seeing, neighbours and stars.
    seed
        Seed; the fields do not depend on `cores`.
    cores
        Number of processes.
    """
    images, columns, lenses = [], [], []
    redrawn: Counter = Counter()
    n_blocks = -(-sum(plan.counts.values()) // CHUNK)
    blocks = simulate_all(plan, survey, seed, cores)
    for block in progress(blocks, n_blocks, "simulating lens fields", f"blocks of {CHUNK}"):
        for image, row, placed, again in block:
            for number, lens in enumerate(placed):
                lenses.append(_lens_row(len(images), f"{row['id']}_{number}", lens))
            images.append(image)
            columns.append(row)
            redrawn.update(again)
    attributes = {"source": "mock", "seed": seed, "empty_share": plan.empty_share}
    attributes |= plan.mock.model_dump()
    attributes |= {f"redrawn_{reason}": redrawn[reason] for reason in REDRAWN}
    table = {key: [row[key] for row in columns] for key in columns[0]}
    write_fields(path, np.stack(images), table, lenses, attributes)
    log.info(
        "simulated %d fields with %d lenses into %s; lenses drawn again: %s",
        *(len(images), len(lenses), path),
        ", ".join(f"{redrawn[reason]} {reason}" for reason in REDRAWN),
    )


def _lens_row(field: int, id: str, placed: Placed) -> dict[str, object]:
    return lens_row(
        field,
        id,
        placed.mask,
        einstein_radius_arcsec=placed.lens.deflector.einstein_radius_arcsec,
        arc_mag_r=placed.mag_r,
        arc_snr=placed.snr,
    )
