"""Trials of the outlier detectors: oddities put into test galaxies, and rare kinds held back."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.extensions import Outliers
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.encode import check_same_encoder, lvm_extractor
from galaxy_lvm.features.file_rows import ChosenRows
from galaxy_lvm.features.oddities import inject
from galaxy_lvm.features.outlier_detectors import PixelResidual
from galaxy_lvm.features.outliers import (
    BASELINE,
    METHODS,
    Detectors,
    method_scores,
    rare_kinds,
    score_as_novelty,
    share_above,
)
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.survey.crop_store import CropStore, read_crops
from galaxy_lvm.survey.rows import row_blocks, sample_rows
from galaxy_lvm.survey.store import CutoutStore

_BLOCK_ROWS = 8192
_BLOCK_CROPS = 512
_PIXEL_GALAXIES = 5000


def score_in_blocks(
    detectors: Detectors, values: np.ndarray | ChosenRows, in_reference: np.ndarray
) -> pd.DataFrame:
    """Return the scores of many vectors; see `OutlierDetectors`."""
    blocks = list(row_blocks(len(values), _BLOCK_ROWS))
    parts = [
        detectors(values[block], in_reference[block])
        for block in progress(blocks, desc="unusualness", unit="blocks")
    ]
    return pd.concat(parts, ignore_index=True)


def pixel_baseline(crops_path: str | os.PathLike, rows: np.ndarray, seed: int) -> PixelResidual:
    """Return the baseline, fitted on at most `_PIXEL_GALAXIES` crops of these rows."""
    chosen = rows[sample_rows(len(rows), _PIXEL_GALAXIES, derive_seed(seed, "pixels"))]
    return PixelResidual(read_crops(crops_path, chosen))


def baseline_scores(
    baseline: PixelResidual, crops_path: str | os.PathLike, rows: np.ndarray
) -> np.ndarray:
    """Return the baseline's scores of crops, (n,), read block by block."""
    blocks = list(row_blocks(len(rows), _BLOCK_CROPS))
    return np.concatenate(
        [
            baseline(read_crops(crops_path, rows[block]))
            for block in progress(blocks, desc="pixel baseline", unit="blocks")
        ]
    )


def score_oddities(
    plain: pd.DataFrame,
    baseline: PixelResidual,
    crops_path: str | os.PathLike,
    store: FeatureStore,
    lvm: str | os.PathLike,
    detectors: Detectors,
    settings: Outliers,
    feature_settings: Features,
    seed: int,
) -> pd.DataFrame:
    """Make oddities from test galaxies, encode them and score them.

    Parameters
    ----------
    plain
        Scored test galaxies with `index` (row of the crops) and `id`.
    baseline
        Fitted on crops of the training split.
    crops_path, store, lvm, feature_settings
        Crops, their vectors, the weights and settings these come from; the two are compared.
    detectors
        Fitted on galaxies of the training split.
    settings
        `kinds` and `n_per_kind` of the config's section `extensions.outliers`.
    seed
        The run's seed.

    Returns
    -------
    DataFrame
        `kind`, `id`, `index`, a score per method and `share_above_<method>`: the share of the
        plain galaxies that are more unusual.
    """
    extractor = lvm_extractor(lvm, feature_settings)
    first = plain.head(4)
    check_same_encoder(extractor, store, read_crops(crops_path, first["index"]), first["id"])
    parts = []
    for kind in progress(settings.kinds, desc="oddities", unit="kinds"):
        rows = sample_rows(len(plain), settings.n_per_kind, derive_seed(seed, "oddity", kind))
        chosen = plain.loc[rows, ["id", "index"]].reset_index(drop=True)
        images = inject(read_crops(crops_path, chosen["index"]), chosen["id"], kind, seed)
        scores = detectors(extractor(images)).assign(**{BASELINE: baseline(images)})
        for method in METHODS:
            above = share_above(plain[method].to_numpy(), scores[method].to_numpy())
            scores[f"share_above_{method}"] = above
        parts.append(pd.concat([chosen.assign(kind=kind), scores], axis=1))
    return pd.concat(parts, ignore_index=True)


def oddity_rows(
    plain: pd.DataFrame, odd: pd.DataFrame, list_shares: Sequence[float], seed: int
) -> list[dict]:
    """Return rows of the long table for every kind of oddity, and for all kinds mixed."""
    rows = []
    for kind, part in [*odd.groupby("kind", sort=False), ("all kinds", odd)]:
        for method, scores in method_scores(plain, part, list_shares, seed).items():
            rows += long_rows("outliers", "injected oddities", method, str(kind), seed, scores)
    return rows


def rare_kind_rows(
    galaxies: pd.DataFrame,
    values: np.ndarray | ChosenRows,
    reference: np.ndarray,
    kinds: pd.Series | None,
    detect: Callable[[np.ndarray], Detectors],
    settings: Outliers,
    seed: int,
) -> list[dict]:
    """Return rows of the long table for every rare kind, each taken out of the reference.

    Parameters
    ----------
    galaxies
        With `split`.
    values
        Feature vectors (n, D).
    reference
        bool (n,): galaxies that the detectors may otherwise see.
    kinds
        Kind of every galaxy, '' for none; None where the catalogue has no such column.
    detect
        Makes detectors from reference vectors.
    settings
        The config's section `extensions.outliers`.
    seed
        The run's seed.
    """
    head = "outliers", "rare kinds"
    if kinds is None:
        reason = f"skipped: no column {settings.kind_column!r} in the catalogue"
        log.warning("extensions.outliers.kind_column: %s", reason)
        return long_rows(*head, "none", reason, seed, {"n_odd": 0})
    split, rows = galaxies["split"].to_numpy(), []
    names = rare_kinds(kinds, split, settings.rare_share)
    for kind in progress(names, desc="rare kinds", unit="kinds"):
        of_kind = (kinds == kind).to_numpy()
        plain, odd = score_as_novelty(values, of_kind, split, reference, detect)
        for method, scores in method_scores(plain, odd, settings.list_shares, seed).items():
            rows += long_rows(*head, method, kind, seed, scores)
    return rows


def kinds_of_crops(
    cutouts_path: str | os.PathLike,
    crops_path: str | os.PathLike,
    rows: np.ndarray,
    column: str,
) -> pd.Series | None:
    """Return a catalogue column as text, one value per crop; None where there is no such column."""
    with CutoutStore(cutouts_path) as store:
        catalogue = store.catalogue()
    if column not in catalogue:
        return None
    with CropStore(crops_path) as crops:
        cutout_rows = crops.column("cutout_index")[rows]
    kinds = catalogue[column].iloc[cutout_rows].reset_index(drop=True)
    return kinds.fillna("").astype(str)
