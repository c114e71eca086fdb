"""Find lenses in images one after the other: a table of detections, and what was refused."""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.cards import read_card_of
from galaxy_lvm.core.config.lens_search import ImageReading, Search, Tiles
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.lenses.images import SkyImage
from galaxy_lvm.lenses.scores import box_scores
from galaxy_lvm.lenses.sources import Item, Loader
from galaxy_lvm.lenses.tiles import Detector, detect_tiled
from galaxy_lvm.report.results import read_results
from galaxy_lvm.survey.fields import BOX_COLUMNS
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC

log = logging.getLogger("galaxy_lvm")

STAGE = "search"
FOUND_COLUMNS = ("id", "file", "ra", "dec", "score", *BOX_COLUMNS, "half_size_arcsec")
# Detections of which more than this lies on missing pixels are left out.
_MAX_MISSING = 0.5


def search_key(
    search: Search, score_threshold: float, service: Service | None = None
) -> list[object]:
    """Return the settings that what is found depends on; a search goes on under the same ones.

    What an image is, its item's version says, with a cutout's position and side. How many are
    drawn, or how often a service that failed is asked again, may change in between.

    Parameters
    ----------
    search
        The config's section `lenses.search`.
    score_threshold
        Smallest score.
    service
        Where cutouts come from: another release, or another tolerance for missing pixels, gives
        other images.
    """
    how = search.model_dump(include={*Tiles.model_fields, *ImageReading.model_fields, "images"})
    cutouts = None
    if search.positions and service:
        cutouts = service.model_dump(include={"layer", "max_bad_fraction"})
    return [how, score_threshold, cutouts]


def search_image(
    detector: Detector, name: str, image: SkyImage, tiles: Tiles, score_threshold: float
) -> list[dict[str, object]]:
    """Return one row with `FOUND_COLUMNS` for every detection of an image, best first.

    Boxes are edges in the file's pixels. `half_size_arcsec`, half of a box's mean side, is that of
    a ring's outer edge: a little more than its Einstein radius.
    """
    boxes, scores = detect_tiled(detector, image.rgb, tiles, score_threshold)
    measured = np.array([_missing_share(image, box) <= _MAX_MISSING for box in boxes], dtype=bool)
    if not measured.all():
        log.info("%s: %d detections on missing pixels left out", name, (~measured).sum())
    boxes, scores = boxes[measured], scores[measured]
    half = (boxes[:, 2:] - boxes[:, :2]).mean(axis=1) / 2 * PIXEL_SCALE_ARCSEC
    rows = []
    for number, (score, edges, sky, size) in enumerate(
        zip(scores, image.in_file(boxes), image.sky(boxes), half, strict=True), start=1
    ):
        row = {"id": f"{name}#{number}", "file": name, "ra": float(sky[0]), "dec": float(sky[1])}
        row |= {"score": float(score), "half_size_arcsec": float(size)}
        rows.append(row | dict(zip(BOX_COLUMNS, edges.tolist(), strict=True)))
    return rows


def _missing_share(image: SkyImage, box: np.ndarray) -> float:
    x_min, y_min = np.floor(box[:2]).astype(int)
    x_max, y_max = np.ceil(box[2:]).astype(int)
    inside = image.missing[y_min:y_max, x_min:x_max]
    return float(inside.mean()) if inside.size else 1.0


def search_items(
    detector: Detector,
    items: Sequence[Item],
    load: Loader,
    tiles: Tiles,
    score_threshold: float,
    state: Path | None = None,
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Search images one after the other; goes on where an interrupted search stopped.

    Parameters
    ----------
    detector
        With a method `detect`.
    items
        What to search.
    load
        Yields the images of some items.
    tiles, score_threshold
        How to search.
    state
        File of the images that are done; what could not be read is tried again. None keeps none.

    Returns
    -------
    table : DataFrame
        `FOUND_COLUMNS`, best first; ra and dec are NaN where the file does not tell them.
    rejections : list of dict
        Images that could not be searched, for `rejected.write_rejected`.
    """
    done = _read_state(state)
    left = [item for item in items if (item.name, item.version) not in done]
    if len(left) < len(items):
        log.info("%d of %d images were searched before", len(items) - len(left), len(items))
    rejections = []
    for item, image in zip(left, progress(load(left), len(left), "search", "images"), strict=True):
        if isinstance(image, DataError):
            rejections.append(rejection(STAGE, str(image), item.shown, item.shown))
            continue
        rows = search_image(detector, item.shown, image, tiles, score_threshold)
        done[item.name, item.version] = rows
        _append_state(state, item, rows)
    rows = [row for item in items for row in done.get((item.name, item.version), [])]
    table = pd.DataFrame(rows, columns=list(FOUND_COLUMNS))
    log.info(
        "%d images searched, %d rejected; %d detections with a score of at least %.3f",
        *(len(items) - len(rejections), len(rejections), len(table), score_threshold),
    )
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True), rejections


def _read_state(path: Path | None) -> dict[tuple[str, str], list[dict]]:
    if path is None or not path.exists():
        return {}
    done = {}
    # Bytes that are no text make a line that cannot be read, not a file that cannot.
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):  # a kill can leave half of the last line
            continue
        try:
            record = json.loads(line)
            done[record["name"], record["version"]] = record["rows"]
        except (ValueError, KeyError, TypeError) as error:
            log.warning(
                "%s: line %d is damaged (%s); its image is searched again", path, number, error
            )
    # What is no whole line goes, so that the next one begins on its own.
    with atomic_path(path) as temporary:
        temporary.write_text(
            "".join(_line(*key, rows) for key, rows in done.items()), encoding="utf-8"
        )
    return done


def _append_state(path: Path | None, item: Item, rows: list[dict]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(_line(item.name, item.version, rows))


def _line(name: str, version: str, rows: list[dict]) -> str:
    return json.dumps({"name": name, "version": version, "rows": rows}) + "\n"


def gallery_images(
    table: pd.DataFrame, items: Sequence[Item], load: Loader, side_pix: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for every row, its surroundings uint8 (side, side, 3) and its box (4,) in them.

    Their first row is the highest one, whatever it is in the file.
    """
    wanted = set(table["file"])
    chosen = [item for item in items if item.shown in wanted]
    rows = table.reset_index(drop=True)
    pictures: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(rows)
    for item, image in zip(chosen, load(chosen), strict=True):
        if isinstance(image, DataError):
            raise DataError(f"{item.shown}: could be read before, and now {image}")
        for place, row in rows[rows["file"] == item.shown].iterrows():
            box = row[list(BOX_COLUMNS)].to_numpy(float) * np.tile(image.zoom, 2)
            picture, box = _surroundings(image.rgb, box, side_pix)
            if image.bottom_up:
                picture, box = picture[::-1], _upside_down(box, len(picture))
            pictures[place] = (picture, box)
    return pictures


def _surroundings(rgb: np.ndarray, box: np.ndarray, side_pix: int) -> tuple[np.ndarray, np.ndarray]:
    side = max(side_pix, int(np.ceil(1.2 * (box[2:] - box[:2]).max())))
    x, y = np.round((box[:2] + box[2:]) / 2 - side / 2).astype(int)
    picture = np.empty((side, side, 3), np.uint8)
    picture[:] = np.median(rgb, axis=(0, 1)).round()
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
    picture[y0 - y : y1 - y, x0 - x : x1 - x] = rgb[y0:y1, x0:x1]
    return picture, box - np.tile((x, y), 2)


def _upside_down(box: np.ndarray, height_pix: int) -> np.ndarray:
    return np.array([box[0], height_pix - box[3], box[2], height_pix - box[1]])


def find_threshold(weights: str | os.PathLike, metrics: str | os.PathLike | None = None) -> float:
    """Return the score threshold that was chosen for a detector on the validation fields.

    Parameters
    ----------
    weights
        The detector's weights; their card says how it was trained.
    metrics
        Scores of the evaluation; None takes `metrics/lenses.csv` of the run that the weights lie
        in (`models/lenses/`).

    Raises
    ------
    ConfigError
        If there are no scores.
    DataError
        If they are of other detectors, or the card does not say of which training it is.
    """
    path = Path(weights).resolve()
    card = read_card_of(weights, ("architecture", "n_train", "seed"))
    place = Path(metrics) if metrics else Path(*path.parts[:-3]) / "metrics" / "lenses.csv"
    if not place.exists():
        raise ConfigError(
            f"no score threshold: {place} is not there; set lenses.search.score_threshold "
            "(--score-threshold), or name the scores of the evaluation (--metrics)"
        )
    run = {"model": card["architecture"]["backbone"]}
    run |= {"n_train": card["n_train"], "seed": card["seed"]}
    threshold = box_scores(read_results(place), run)["threshold"]
    log.info("score threshold %.3f, chosen on validation fields (%s)", threshold, place)
    return threshold
