"""Verdicts: claims judged by differences and their intervals; the one judge of all chapters."""

import html
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from galaxy_lvm.report.differences import (
    Difference,
    by_galaxy,
    by_seed,
    by_seed_and_galaxy,
    unpaired,
)
from galaxy_lvm.report.results import summarise
from galaxy_lvm.report.tables import interval_of

# Several trainings: a claim can hold.
HOLDS, FAILS, UNCLEAR = "holds", "does not hold", "not distinguishable"
# A verdict speaks of these networks then: a second training may end otherwise.
_SINGLE = "one training only: "
_EQUAL = "no difference"
ONE_HIGHER, ONE_LOWER, ONE_UNCLEAR = (_SINGLE + word for word in ("higher", "lower", UNCLEAR))
NOT_EVALUATED = "not evaluated"

# Ends the text of a claim that is ours and not the paper's.
OWN_QUESTION = "(our control)"
# A verdict as the end of a sentence: of one claim, of several.
_COUNTED = {
    HOLDS: ("holds", "hold"),
    FAILS: ("does not hold", "do not hold"),
    UNCLEAR: (f"is {UNCLEAR}", f"are {UNCLEAR}"),
    NOT_EVALUATED: ("was not evaluated", "were not evaluated"),
    "one training only": ("rests on one training", "rest on one training"),
}

# In the detail of a claim whose trainings are less independent than their number says.
OVERLAP = "training sets overlap"

VERDICT_COLUMNS = ("claim", "verdict", "trainings", "detail")

# The smallest difference that matters: "at or above" allows to lie lower by less, "no difference"
# means none beyond it. For shares of galaxies two in a hundred, more than the 0.012 by which the
# paper's strategies differ in accuracy but what a test split of some hundred galaxies can resolve;
# for PSNR 0.2 dB, 5 % of the squared error.
MARGINS = {"psnr": 0.2}
SHARE_MARGIN = 0.02
# Scores between 0 and 1: no difference is larger than 1, whatever Student's interval says.
_BOUNDED = {"accuracy", "f1", "ap", "auc", "aupr", "purity", "completeness"}

# What a comparison came to, the one that decides over a claim of several parts first.
_BELOW, _MISSING, _OPEN, _WITHIN, _ABOVE = range(5)


@dataclass(frozen=True)
class Claim:
    """A statement that the first model of every pair scores higher than the second.

    Attributes
    ----------
    text
        The claim.
    metric
        What is compared.
    pairs
        Name that is claimed to score higher, name of the other.
    task
        Which rows of a long table it is about, where a chapter has several tasks.
    at_or_above
        True: it is enough that the first is not lower by `margin_of(metric)` or more.
    n_comparisons
        Claims that are asked at once; their intervals hold together.
    """

    text: str
    metric: str
    pairs: tuple[tuple[str, str], ...]
    task: str = ""
    at_or_above: bool = False
    n_comparisons: int = 1


def margin_of(metric: str) -> float:
    """Return the smallest difference in a metric that matters."""
    return MARGINS.get(metric, SHARE_MARGIN)


def judge(claim: Claim, differences: Sequence[Difference | None]) -> dict[str, str]:
    """Judge a claim by the differences of its pairs.

    A claim of several parts needs each of them; one that is lower refutes it, by an interval that
    is widened for the number of parts. Where all parts are told, but one has no difference that
    matters, the verdict says so ("in a part"). So a wrong "holds" and a wrong "does not hold" have
    a probability of 2.5 % at most each, whatever the number of parts.

    Parameters
    ----------
    claim
        What is claimed.
    differences
        One per pair of the claim, None where a model has no score.

    Returns
    -------
    dict
        `claim`, `verdict`, `trainings` (how many of each model stand behind it; "" for none) and
        `detail` (every difference with its 95 % interval and its origin).
    """
    outcomes = [_outcome(claim, found) for found in differences]
    outcome = min(outcomes, default=_MISSING)
    decisive = [f for f, o in zip(differences, outcomes, strict=True) if o == outcome]
    small = _knows_what_matters(claim.metric) and all(
        found and _is_small(claim, found) for found in decisive
    )
    trainings = min((found.trainings for found in differences if found), default=0)
    parts = zip(claim.pairs, differences, strict=True)
    return {
        "claim": claim.text,
        "verdict": _word(claim, outcome, trainings, small),
        "trainings": str(trainings or ""),
        "detail": "; ".join(_describe(claim, *names, found) for names, found in parts),
    }


def verdict_table(rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Return rows of `judge` as a table, with its columns even where there is no row."""
    return pd.DataFrame(list(rows), columns=list(VERDICT_COLUMNS))


def _outcome(claim: Claim, found: Difference | None) -> int:
    if found is None:
        return _MISSING
    margin = margin_of(claim.metric)
    low, high = found.interval(claim.n_comparisons)
    if found.value == 0 and low == high:
        return _OPEN  # the same score everywhere says nothing of the scatter
    if low > (-margin if claim.at_or_above else 0):
        return _ABOVE
    if found.interval(claim.n_comparisons * len(claim.pairs))[1] < 0:
        return _BELOW
    return _WITHIN if _is_small(claim, found) else _OPEN


def _is_small(claim: Claim, found: Difference) -> bool:
    """Return whether a difference, by its interval, is smaller than what matters."""
    low, high = found.interval(claim.n_comparisons)
    return max(-low, high) < margin_of(claim.metric)


def _knows_what_matters(metric: str) -> bool:
    """Return whether the margin says what matters; of a skill near 1 a small part is much."""
    return metric in MARGINS or metric in _BOUNDED


def _word(claim: Claim, outcome: int, trainings: int, small: bool) -> str:
    if outcome == _MISSING:
        return NOT_EVALUATED
    size = f"{margin_of(claim.metric):g}{_unit(claim.metric)}"
    where = " in a part" if len(claim.pairs) > 1 else ""  # the others are no lower, or higher
    words = {
        _ABOVE: f"not lower by more than {size}" if claim.at_or_above else (HOLDS, "higher"),
        _BELOW: (FAILS, "lower"),
        _WITHIN: f"{_EQUAL} beyond {size}{where}",
        _OPEN: UNCLEAR,
    }
    word = words[outcome]
    several, single = word if isinstance(word, tuple) else (word, word)
    said = several if trainings > 1 else _SINGLE + single
    return f"{said}, by less than {size}" if small and isinstance(word, tuple) else said


def _describe(claim: Claim, a: str, b: str, found: Difference | None) -> str:
    if found is None:
        return f"{a} - {b}: no result"
    digits, unit = 2 if claim.metric == "psnr" else 3, _unit(claim.metric)
    low, high = found.interval(claim.n_comparisons)
    value, how = f"{found.value:+.{digits}f}{unit}", found.how
    if not math.isfinite(low):
        return f"{a} - {b}: {value} ({how})"
    most = 1.0 if claim.metric in _BOUNDED else math.inf
    ends = f"[{max(low, -most):+.{digits}f}, {min(high, most):+.{digits}f}]"
    if claim.n_comparisons > 1:
        how += f"; {claim.n_comparisons} comparisons at once"
    if low <= 0 <= high and low < high:
        seen = found.detectable(claim.n_comparisons)
        size = f"{seen:.{digits}f}{unit}" if seen < most else "none"
        how += f"; could have seen {size}"
    return f"{a} - {b}: {value} {ends} ({how})"


def _unit(metric: str) -> str:
    return " dB" if metric == "psnr" else ""


def how_to_read(claims: pd.DataFrame) -> str:
    """Return what the verdicts of a table mean, and how many trainings stand behind them."""
    single = (claims["trainings"] == "1").sum()
    several = sorted({int(n) for n in claims["trainings"] if n} - {1})
    parts = []
    if single:
        parts.append(
            f"{single} of {len(claims)} verdicts stand on one training of each network: they "
            "speak of these networks only, since a second training may end otherwise, and no claim "
            "is said to hold."
        )
    if several:
        counts = f"{several[0]} to {several[-1]}" if len(several) > 1 else f"{several[0]}"
        n_several = (claims["trainings"] != "").sum() - single
        parts.append(
            f"{n_several} stand on {counts} trainings or sessions of each, compared in pairs of "
            "one seed and, where single galaxies have scores, of one galaxy."
        )
    parts.append("Pretraining was done once: what another would change is in no interval.")
    parts.append(
        f"Smallest difference that matters: {MARGINS['psnr']:g} dB of PSNR, {SHARE_MARGIN:g} of "
        'other scores; "at or above" means not lower by more, "by less than" that there is a '
        "difference, too small to matter. Not distinguishable: neither higher nor lower was shown, "
        'nor that they are equal; "could have seen" is the smallest '
        "difference that is found four times in five, which more trainings make smaller. A chain "
        "such as A > B > C holds where every part does, and does not where one part is lower, by "
        'an interval widened for the number of parts; "in a part": by it none is lower, and '
        "of one part or several it is known that no difference matters."
    )
    if claims["detail"].str.contains(OVERLAP, regex=False).any():
        parts.append(
            f"{OVERLAP[0].upper()}{OVERLAP[1:]}: a size above half of what there is of a class; "
            "seeds then share most galaxies, and new ones would change more than the interval says."
        )
    return " ".join(parts)


def counted_claims(claims: pd.DataFrame) -> str:
    """Return how many claims have which verdict: the paper's, ours, those of one training apart."""
    own = claims["claim"].str.endswith(OWN_QUESTION)
    parts = ((claims[~own], "of the paper"), (claims[own], "of our own"))
    return " ".join(_counted(part, whose) for part, whose in parts if len(part))


def _counted(claims: pd.DataFrame, whose: str) -> str:
    words = claims["verdict"].where(claims["trainings"] != "1", "one training only")
    words = words.str.replace(r", by less than .*", "", regex=True)
    noun = "claim" if len(claims) == 1 else "claims"
    told = [f"{n} {_as_end(word, n > 1)}" for word, n in words.value_counts().items()]
    return f"Of {len(claims)} {noun} {whose}: {', '.join(told)}."


def _as_end(word: str, several: bool) -> str:
    """Return a verdict as the end of a sentence about one claim or several."""
    if word in _COUNTED:
        return _COUNTED[word][several]
    if word.startswith(_EQUAL):
        return f"{'show' if several else 'shows'} {word}"
    return f"{'are' if several else 'is'} {word}"


def verdicts_table(claims: pd.DataFrame, details: bool = True) -> str:
    """Return verdicts as an HTML table, with the differences behind them where `details`."""
    lines = []
    for row in claims.itertuples():
        cells = (
            f'<td>{html.escape(row.claim)}</td><td class="text"><b class="{_tone(row.verdict)}">'
            f"{html.escape(row.verdict)}</b></td><td>{row.trainings or '&ndash;'}</td>"
        )
        if details:
            cells += f'<td class="text">{html.escape(row.detail).replace("); ", ")<br>")}</td>'
        lines.append(f"<tr>{cells}</tr>")
    last = "<th>differences, 95 % intervals</th>" if details else ""
    return (
        f"<table><thead><tr><th>claim</th><th>verdict</th><th>trainings</th>{last}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def verdicts_html(claims: pd.DataFrame) -> str:
    """Return a table of verdicts, and how to read it, as HTML."""
    return f"{verdicts_table(claims)}<p>{html.escape(how_to_read(claims))}</p>"


def _tone(verdict: str) -> str:
    if verdict.startswith((HOLDS, "not lower")):
        return "holds"
    return "fails" if verdict.startswith(FAILS) else "unclear"


def difference(
    rows: pd.DataFrame,
    galaxies: pd.DataFrame,
    metric: str,
    pair: tuple[str, str],
    fixed: Collection[str] = (),
) -> Difference | None:
    """Return the difference of two models, in the best pairs there are; None without a score.

    By seed and galaxy where two or more seeds have both, else by seed, else by galaxy, else from
    the two intervals as if they were independent.

    Parameters
    ----------
    rows
        Long table of one task and condition, with the ends of the intervals.
    galaxies
        Scores of single galaxies (`read_per_galaxy`) of the same; may be empty.
    metric
        What is compared.
    pair
        Names of the models.
    fixed
        Models without chance in their making; their one row stands for every seed.
    """
    rows = rows[rows["model"].isin(pair)]
    galaxies = galaxies[galaxies["model"].isin(pair) & (galaxies["metric"] == metric)]
    scores = [
        rows[(rows["model"] == name) & (rows["metric"] == metric)].set_index("seed")[["value"]]
        for name in pair
    ]
    if any(table.empty for table in scores):
        return None
    tables = [
        galaxies[galaxies["model"] == name].pivot(index="seed", columns="id", values="value")
        for name in pair
    ]
    seeds = by_seed(*(t["value"] for t in _at_same_seeds(scores, pair, fixed)))
    crossed = by_seed_and_galaxy(*_at_same_seeds(tables, pair, fixed))
    n_seeds = seeds.trainings if seeds else 0
    if crossed is not None and crossed.trainings >= n_seeds:
        return crossed
    if n_seeds > 1:
        return seeds
    # Without two seeds in common each side is what its trainings give on average.
    return by_galaxy(*(t.mean() for t in tables)) or _unpaired(rows, metric, pair)


def _at_same_seeds(
    tables: Sequence[pd.DataFrame], names: Sequence[str], fixed: Collection[str]
) -> list[pd.DataFrame]:
    """Repeat the one row of a model without chance for every seed of the other."""
    filled = []
    for table, name, other in zip(tables, names, reversed(tables), strict=True):
        if name in fixed and len(table) == 1 < len(other):
            table = pd.concat([table] * len(other)).set_axis(other.index)
        filled.append(table)
    return filled


def _unpaired(rows: pd.DataFrame, metric: str, pair: tuple[str, str]) -> Difference:
    summary = summarise(rows).set_index(["model", "metric"])
    sides = []
    for model in pair:
        low, high, _ = interval_of(summary.loc[model], metric)
        line = summary.loc[(model, metric)]
        sides.append((line["mean"], (high - low) / 2, int(line["n_seeds"])))
    return unpaired(*sides)
