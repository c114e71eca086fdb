"""Detections against true lenses: which lens each one is, by COCO's rules (pycocotools).

Every number of figure 6 follows from these matches, whichever backend made the detections: a
detection is right where its intersection over union (IoU) with a lens that no better one has taken
reaches a threshold (Lin et al. 2014, Microsoft COCO).
"""

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.survey.fields import (
    BOX_COLUMNS,
    CATEGORY,
    DETECTION_COLUMNS,
    FieldStore,
    coco_ground_truth,
    coco_rle,
)

log = logging.getLogger("galaxy_lvm")

# One trained detector: backbone, training fields, seed.
RUN_COLUMNS = ("model", "n_train", "seed")
KINDS = {"boxes": "bbox", "masks": "segm"}
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class Matches:
    """What one detector found in the fields of a split, best first.

    Attributes
    ----------
    score
        (D,) in [0, 1], falling.
    label
        (D,) the detection's label in the index of its table.
    field
        (D,) position of the detection's field in `rows`.
    lens
        (T, D) position of the lens that a detection is, in `lenses`; -1 where it is none. One row
        for each of `IOU_THRESHOLDS`.
    lens_field
        (L,) position of the lens's field in `rows`.
    rows
        (N,) rows of the fields in their store, with those without lens or detection.
    lenses
        L rows of the store's list of lenses.
    """

    score: np.ndarray
    label: np.ndarray
    field: np.ndarray
    lens: np.ndarray
    lens_field: np.ndarray
    rows: np.ndarray
    lenses: pd.DataFrame


def read_detections(paths: Sequence[str | Path], store: FieldStore) -> pd.DataFrame:
    """Read detections and refuse those that cannot be of these fields.

    Parameters
    ----------
    paths
        Parquet files with `RUN_COLUMNS` and `DETECTION_COLUMNS`; files without a row are fine.
    store
        The fields that were searched.

    Raises
    ------
    DataError
        If a column is missing, a score is outside [0, 1], a box has no area, or a field is not in
        the store under this id and split.
    """
    tables = []
    for path in paths:
        table = load_table(path)
        missing = [name for name in (*RUN_COLUMNS, *DETECTION_COLUMNS) if name not in table]
        if missing:
            raise DataError(f"{path}: no column {missing}, but {list(table.columns)}")
        _check_detections(path, table, store)
        tables.append(table)
    filled = [table for table in tables if len(table)] or tables[:1]
    if not filled:
        raise DataError("no file of detections given")
    return pd.concat(filled, ignore_index=True)


def _check_detections(path: str | Path, table: pd.DataFrame, store: FieldStore) -> None:
    x_min, y_min, x_max, y_max = (table[name].to_numpy(float) for name in BOX_COLUMNS)
    known = table["field"].between(0, len(store) - 1).to_numpy(bool)
    places = store.columns.iloc[np.where(known, table["field"], 0).astype(int)]
    same = (places["id"].to_numpy() == table["id"].astype(str).to_numpy()) & (
        places["split"].to_numpy() == table["split"].to_numpy()
    )
    checks = {
        "score is outside [0, 1]": table["score"].between(0, 1).to_numpy(bool),
        "box has no area": (x_max > x_min) & (y_max > y_min),
        f"field is not in {store.path} under this id and split; detect again": known & same,
    }
    for problem, good in checks.items():
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            what = table.iloc[row][["split", "field", "id", "score", *BOX_COLUMNS]].to_dict()
            raise DataError(f"{path}: row {row}: the {problem}: {what}")


def of_run(detections: pd.DataFrame, run: Mapping[str, object]) -> pd.DataFrame:
    """Return the detections of one trained detector; a detector that found nothing has none."""
    chosen = np.logical_and.reduce([(detections[key] == run[key]) for key in RUN_COLUMNS])
    if not chosen.any():
        log.warning("%s: no detection at all", ", ".join(f"{k} {run[k]}" for k in RUN_COLUMNS))
    return detections[chosen]


def check_runs(detections: pd.DataFrame, runs: Sequence[Mapping[str, object]]) -> None:
    """Refuse detections of a detector that nobody asked for, lest they go uncounted."""
    expected = {tuple(run[key] for key in RUN_COLUMNS) for run in runs}
    found = detections[list(RUN_COLUMNS)].drop_duplicates().itertuples(index=False, name=None)
    unknown = sorted(set(found) - expected)
    if unknown:
        raise DataError(f"detections of {unknown[0]}, which is none of the runs {sorted(expected)}")


def match_fields(
    store: FieldStore,
    split: str,
    detections: pd.DataFrame,
    kind: str = "boxes",
    max_detections: int = 100,
) -> Matches:
    """Match the detections of one detector with the lenses of a split.

    Parameters
    ----------
    store
        Fields and lenses.
    split
        `val` or `test`; all its fields count, also those without lens or detection.
    detections
        Rows with `DETECTION_COLUMNS` of one detector; other splits are left out.
    kind
        Compare `boxes` or `masks`.
    max_detections
        Best detections of a field that count (COCO: 100).

    Raises
    ------
    DataError
        If the split has no field or no lens: nothing could be found.
    """
    rows = store.rows(split)
    truth = coco_ground_truth(store, rows)
    if not truth["annotations"]:
        raise DataError(f"{store.path}: no lens in the {len(rows)} fields of split {split!r}")
    found = detections[detections["split"] == split]
    images = _evaluate(truth, _coco_results(found, store), KINDS[kind], max_detections)
    lens_ids = np.array([annotation["id"] for annotation in truth["annotations"]])
    scores, labels, fields = [np.zeros(0)], [np.zeros(0, int)], [np.zeros(0, int)]
    lenses = [np.zeros((len(IOU_THRESHOLDS), 0), int)]
    for place, image in enumerate(images):
        if image is None or not len(image["dtScores"]):
            continue
        ids = np.asarray(image["dtMatches"], dtype=int)
        scores.append(np.asarray(image["dtScores"], dtype=float))
        labels.append(found.index.to_numpy()[np.asarray(image["dtIds"], dtype=int) - 1])
        fields.append(np.full(ids.shape[1], place))
        lenses.append(np.where(ids > 0, np.searchsorted(lens_ids, ids), -1))
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    table = store.lenses[store.lenses["field"].isin(rows)].reset_index(drop=True)
    return Matches(
        score=score[order],
        label=np.concatenate(labels)[order],
        field=np.concatenate(fields)[order],
        lens=np.concatenate(lenses, axis=1)[:, order],
        lens_field=np.searchsorted(rows, table["field"].to_numpy()),
        rows=rows,
        lenses=table,
    )


def _coco_results(found: pd.DataFrame, store: FieldStore) -> list[dict[str, object]]:
    results = []
    for number, row in enumerate(found.itertuples(), start=1):
        width, height = row.x_max_pix - row.x_min_pix, row.y_max_pix - row.y_min_pix
        result = {"id": number, "image_id": int(row.field), "category_id": CATEGORY["id"]}
        result |= {"bbox": [float(v) for v in (row.x_min_pix, row.y_min_pix, width, height)]}
        result |= {"area": float(width * height), "score": float(row.score), "iscrowd": 0}
        results.append({**result, "segmentation": coco_rle(row.mask_rle, *store.side_pix)})
    return results


def _evaluate(
    truth: dict[str, object], results: list[dict[str, object]], iou_type: str, max_detections: int
) -> list[dict | None]:
    """Return pycocotools' matches of every field, in the order of the rows."""
    # Not `loadRes`, which fails where there is no result at all.
    found = {**truth, "annotations": results}
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(truth), _coco(found), iou_type)
        evaluation.params.iouThrs = IOU_THRESHOLDS
        evaluation.params.maxDets = [max_detections]
        # The one range of areas that we use: all.
        evaluation.params.areaRng = [[0, float("inf")]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
    return evaluation.evalImgs


def _coco(dataset: dict[str, object]) -> COCO:
    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco
