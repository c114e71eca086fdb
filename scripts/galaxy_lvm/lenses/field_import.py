"""Fields of the survey around published lens candidates: fetched, measured, divided into splits."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.lenses import ArcMask
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import progress
from galaxy_lvm.lenses.candidates import inside_fields
from galaxy_lvm.lenses.images import from_fluxes
from galaxy_lvm.lenses.masks import measure_mask
from galaxy_lvm.survey.fields import SPLITS, lens_row
from galaxy_lvm.survey.legacysurvey import CutoutService
from galaxy_lvm.survey.positions import sky
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC

log = logging.getLogger("galaxy_lvm.lens_import")

# Fields asked for at a time: what is fetched beyond the last one that is needed stays below this.
_BATCH_FIELDS = 64


@dataclass
class Imported:
    """What goes into a field store.

    Attributes
    ----------
    images
        uint8 (S, S, 3) each, first row south.
    columns
        One row per field.
    lenses
        Rows made by `lens_row`.
    rejections
        Fields that could not be used.
    """

    images: list[np.ndarray] = field(default_factory=list)
    columns: list[dict[str, object]] = field(default_factory=list)
    lenses: list[dict[str, object]] = field(default_factory=list)
    rejections: list[dict[str, object]] = field(default_factory=list)


class Quotas:
    """How many fields of each split are still wanted, with and without a lens.

    Parameters
    ----------
    counts
        Fields of each split.
    empty_share
        Share of the fields without a lens.
    """

    def __init__(self, counts: Mapping[str, int], empty_share: float) -> None:
        self.wanted, self.got = {}, {}
        for split in SPLITS:
            n_empty = round(empty_share * counts[split])
            for empty, number in ((True, n_empty), (False, counts[split] - n_empty)):
                self.wanted[split, empty], self.got[split, empty] = number, 0

    def room(self, empty: bool) -> int:
        """Return how many fields of a kind are still wanted."""
        return sum(self.wanted[key] - self.got[key] for key in self.wanted if key[1] == empty)

    def neediest(self, empty: bool) -> str | None:
        """Return the split with the smallest filled share, so that all grow together."""
        open_splits = [s for s in SPLITS if self.got[s, empty] < self.wanted[s, empty]]
        return min(
            open_splits, key=lambda s: self.got[s, empty] / self.wanted[s, empty], default=None
        )

    def take(self, split: str, empty: bool) -> bool:
        """Count a field into a split; False where that is full."""
        if self.got[split, empty] >= self.wanted[split, empty]:
            return False
        self.got[split, empty] += 1
        return True


def import_fields(
    plan: pd.DataFrame,
    candidates: pd.DataFrame,
    service: CutoutService,
    side_pix: int,
    quotas: Quotas,
    settings: ArcMask,
) -> Imported:
    """Fetch planned fields in their order until the splits are full.

    Fields that share sky go to the same split. A field is rejected where the survey has no data,
    where the mask of a candidate inside cannot be measured, or where a candidate is inside whose
    grade was left out: nobody knows whether it is a lens.

    Parameters
    ----------
    plan, candidates
        From `lens_candidates.plan_fields` and `read_candidates`.
    service
        Where cutouts come from.
    side_pix
        Side of a field.
    quotas
        Fields that are wanted; counted up.
    settings
        How masks are measured.

    Raises
    ------
    DataError
        If the service does not answer, or a split remains without any lens.
    """
    inside = _candidates_inside(plan, candidates, side_pix)
    result = Imported()
    for batch in _batches(plan, quotas):
        positions = list(zip(plan["ra"].iloc[batch], plan["dec"].iloc[batch], strict=True))
        good: dict[int, tuple] = {}
        answers = progress(service.cutouts(positions, side_pix), len(batch), "fields", "fields")
        for number, answer in zip(batch, answers, strict=True):
            row = plan.iloc[number]
            try:
                if isinstance(answer, DataError):
                    raise answer
                masks = _masks(answer, inside.get(number, []), candidates, settings)
                # As the search shows its images, holes filled: both have to look the same.
                good[number] = (from_fluxes(answer, PIXEL_SCALE_ARCSEC).rgb, masks)
            except DataError as error:
                source = candidates.iloc[row["candidate"]]
                line = rejection("import", str(error), row["id"], source["table"], source["row"])
                result.rejections.append(line)
        _divide(plan, candidates, good, quotas, result)
    _report(quotas, result)
    return result


def _candidates_inside(
    plan: pd.DataFrame, candidates: pd.DataFrame, side_pix: int
) -> dict[int, list[tuple[int, float, float]]]:
    """Return the candidates (row, x, y) inside each field."""
    inside: dict[int, list[tuple[int, float, float]]] = {}
    for number, candidate, x, y in zip(
        *inside_fields(sky(plan), sky(candidates), side_pix), strict=True
    ):
        inside.setdefault(int(number), []).append((int(candidate), float(x), float(y)))
    return inside


def _batches(plan: pd.DataFrame, quotas: Quotas) -> Iterator[list[int]]:
    """Yield rows of the plan, whole groups at a time, as long as any is wanted.

    `quotas` is looked at anew for every batch: what was rejected is replaced.
    """
    empty = plan["empty"].tolist()
    members = plan.groupby("group", sort=False).indices
    pending = [members[group].tolist() for group in plan["group"].drop_duplicates()]
    while pending:
        batch: list[int] = []
        later: list[list[int]] = []
        left = {kind: quotas.room(kind) for kind in (True, False)}
        for rows in pending:
            wanted = any(left[empty[row]] > 0 for row in rows)
            if not wanted or len(batch) >= _BATCH_FIELDS:
                later.append(rows)
                continue
            batch += rows
            for row in rows:
                left[empty[row]] -= 1
        if not batch:
            return
        yield batch
        pending = later


def _masks(
    fluxes: np.ndarray,
    inside: Sequence[tuple[int, float, float]],
    candidates: pd.DataFrame,
    settings: ArcMask,
) -> list[tuple[int, np.ndarray]]:
    """Return the masks of all candidates inside a field.

    Raises
    ------
    DataError
        If a candidate's grade was left out, or its mask cannot be measured.
    """
    masks = []
    for number, x, y in inside:
        candidate = candidates.iloc[number]
        if not candidate["wanted"]:
            raise DataError(
                f"candidate {candidate['id']} of grade {candidate['grade'] or '(none)'!r}, left "
                "out by lenses.candidates.grades, lies inside"
            )
        try:
            masks.append((number, measure_mask(fluxes, x, y, settings)))
        except DataError as error:
            raise DataError(f"candidate {candidate['id']}: {error}") from error
    return masks


def _divide(
    plan: pd.DataFrame,
    candidates: pd.DataFrame,
    good: Mapping[int, tuple[np.ndarray, list[tuple[int, np.ndarray]]]],
    quotas: Quotas,
    result: Imported,
) -> None:
    """Give the good fields of a batch to splits, a group at a time, as far as they are wanted."""
    numbers = plan.iloc[list(good)].assign(number=list(good))
    for _, group in numbers.groupby("group", sort=False):
        kinds = group["empty"].unique()
        # Lenses are what is scarce: they choose the split of a group with both kinds.
        split = next(filter(None, (quotas.neediest(kind) for kind in sorted(kinds))), None)
        for row in group.itertuples():
            if split is None or not quotas.take(split, row.empty):
                continue
            image, masks = good[row.number]
            for number, mask in masks:
                candidate = candidates.iloc[number]
                known = {"grade": candidate["grade"]}
                lens = lens_row(len(result.images), candidate["id"], mask, **known)
                result.lenses.append(lens)
            result.images.append(image)
            columns = {"id": row.id, "split": split, "ra": row.ra, "dec": row.dec}
            result.columns.append({**columns, "n_lenses": len(masks)})


def _report(quotas: Quotas, result: Imported) -> None:
    for (split, empty), wanted in quotas.wanted.items():
        got, what = quotas.got[split, empty], "without" if empty else "with"
        if wanted and not got and not empty:
            reasons = "; ".join(line["reason"] for line in result.rejections[-3:])
            raise DataError(
                f"no field with a lens for the {split} split; give more candidates or ask for "
                f"fewer fields (lenses.fields.n_{split}). Last rejections: {reasons or 'none'}"
            )
        level = logging.WARNING if got < wanted else logging.INFO
        log.log(level, "%s: %d of %d fields %s a lens", split, got, wanted, what)
    log.info("%d fields rejected", len(result.rejections))
