"""A search for lenses from images or positions to table, rejections and gallery."""

import os
from pathlib import Path

import pandas as pd
import torch

from galaxy_lvm.core.config.lens_search import Search
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.lenses.detector import load_detector
from galaxy_lvm.lenses.gallery import draw_gallery
from galaxy_lvm.lenses.search import find_threshold, gallery_images, search_items, search_key
from galaxy_lvm.lenses.sources import open_source
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.rejected import write_rejected

GALLERY_SIDE_PIX = 64
# As in rules/lenses.smk: a search that was interrupted goes on only under the same one.
RECIPE_VERSION = 2


def search_for_lenses(
    weights: str | os.PathLike,
    table: str | os.PathLike,
    rejected: str | os.PathLike,
    gallery: str | os.PathLike,
    search: Search,
    state_root: str | os.PathLike,
    recipe_version: int,
    metrics: str | None = None,
    service: Service | None = None,
    threads: int = 1,
) -> tuple[pd.DataFrame, int, list[dict[str, object]]]:
    """Write the detections (CSV), the rejections (CSV) and a gallery (PDF and PNG).

    Parameters
    ----------
    weights
        A detector's weights; its card lies beside them.
    table, rejected, gallery
        Files to write; the gallery's name ends in .pdf.
    search
        The config's section `lenses.search`; `images` or `positions` has to be set.
    state_root, recipe_version
        Folder for cutouts and an interrupted search; the version of the rule that it belongs to.
    metrics
        Scores of the evaluation, for the threshold where the settings have none.
    service
        The config's section `legacysurvey`, for positions.
    threads
        CPU threads; a GPU is used where there is one.

    Returns
    -------
    found : DataFrame
        The detections, best first.
    n_searched : int
        Images that were searched.
    rejections : list of dict
        What could not be searched.
    """
    torch.set_num_threads(threads)
    detector = load_detector(weights).to("cuda" if torch.cuda.is_available() else "cpu")
    if (threshold := search.score_threshold) is None:
        threshold = find_threshold(weights, metrics)
    own, cache = (table, rejected, gallery, state_root), Path(state_root) / "cutouts"
    items, load, rejections = open_source(search, cache, service, own)
    key = search_key(search, threshold, service)
    state = state_folder(state_root, recipe_version, key, [weights])
    found, refused = search_items(detector, items, load, search, threshold, state / "found.jsonl")
    best = found.head(search.n_gallery)
    pictures = gallery_images(best, items, load, GALLERY_SIDE_PIX)
    save(draw_gallery(pictures, best, len(found)), gallery)
    refused = [*rejections, *refused]
    write_rejected(rejected, refused)
    save_table(table, found)
    return found, len(items) + len(rejections) - len(refused), refused


def detector_of_run(run: Path, backbone: str = "lvm") -> Path:
    """Return the weights of a run's detector: of the largest training set, the first repetition.

    Raises
    ------
    DataError
        If the run has none on this backbone.
    """
    there = sorted(run.glob("models/lenses/*.safetensors"))
    # models/lenses/{backbone}_{n_train}_{part}.safetensors
    parts = {path: path.stem.rsplit("_", 2) for path in there}
    known = [(int(p[1]), -int(p[2]), path) for path, p in parts.items() if p[0] == backbone]
    if not known:
        backbones = sorted({p[0] for p in parts.values()})
        has = ", ".join(backbones) or "none; let its target `lenses` finish"
        raise DataError(f"{run}: no lens detector on {backbone!r} (models/lenses/); it has {has}")
    return max(known)[2]
