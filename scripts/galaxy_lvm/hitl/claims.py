"""What the paper says of the human in the loop and of alpha, judged by seed and test galaxy."""

from dataclasses import replace

import pandas as pd

from galaxy_lvm.core.config.hitl import Sizes
from galaxy_lvm.hitl.measures import CHANCE
from galaxy_lvm.hitl.scored import Drawn
from galaxy_lvm.hitl.tables import split_round
from galaxy_lvm.report.differences import Difference, by_seed, by_seed_with_ends
from galaxy_lvm.report.tables import Line, score_line
from galaxy_lvm.report.verdicts import OWN_QUESTION, Claim, judge, verdict_table

RANDOM_CONTROL = "lvm_random"


def summary_lines(comparison: pd.DataFrame) -> list[Line]:
    """Return rows of figure 10's table for the summary.

    Chance, those that the paper has as well, the control with random labels, and those with most
    labels.
    """
    most = comparison["n_labels"] == comparison["n_labels"].max()
    floors = comparison["model"].isin((CHANCE, RANDOM_CONTROL))
    shown = comparison["aupr_paper"].notna() | most | floors
    return [
        score_line(f"figure 10, {row['n_labels']:g} labels", row, "aupr", "AUPR", row["aupr_paper"])
        for row in comparison[shown].to_dict("records")
    ]


def claims_table(results: pd.DataFrame, scored: pd.DataFrame, sizes: Sizes) -> pd.DataFrame:
    """Judge what the paper says of figure 10 and of alpha, by seed and test galaxy.

    A seed draws the training set and the first weights, or the session's prompts; test galaxies are
    the same for all, and a bootstrap tells what others would change. The encoder is one. The
    comparisons of alpha are judged at once.

    Parameters
    ----------
    results
        Long table with the experiments `hitl` and `alpha`.
    scored
        Scores of single test galaxies (`read_scored`); of a comparison that is not among them, the
        interval is over seeds alone, as its detail says.
    sizes
        Training sets that were asked for; a claim about one that the pool has no room for is not
        evaluated.

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`.
    """
    keys = ["experiment", "model", "condition", "metric"]
    scores = {key: part.set_index("seed")["value"] for key, part in results.groupby(keys)}
    none, drawn = pd.Series(dtype=float), Drawn(scored)
    rows = []
    for experiment, claims in (("hitl", _figure10(sizes)), ("alpha", _alpha(results))):
        for claim, sides in claims:
            first, second = (scores.get((experiment, *side, claim.metric), none) for side in sides)
            places = tuple((experiment, *side) for side in sides)
            rows.append(judge(claim, [_difference(first - second, drawn, places, claim.metric)]))
    return verdict_table(rows)


def _difference(
    gains: pd.Series, drawn: Drawn, places: tuple[tuple, tuple], metric: str
) -> Difference | None:
    """Compare two rankers whose differences by seed are known."""
    gains = gains.dropna()
    if gains.empty or not drawn.have(*places, gains.index):
        return by_seed(gains, 0 * gains)
    half, mean = drawn.half_width(*places, metric, gains.index), float(gains.mean())
    found = by_seed_with_ends(gains.to_numpy(), [(mean - half, mean + half)], "test galaxies")
    if drawn.same(*places, gains.index):
        # alpha decides by P/N alone: two values differ in what they ask where it lies between them.
        reason = ": no round had a P/N between the two" if places[0][0] == "alpha" else ""
        same = f"both asked about the same galaxies with each of {len(gains)} seeds"
        found = replace(found, how=same + reason)
    return found


def under_printed_names(
    comparison: pd.DataFrame, searches: pd.DataFrame, paper: pd.DataFrame
) -> pd.DataFrame:
    """Return the scores of figure 10 and of section V.C, named as in the paper's values.

    Of a search it is the state after its last round, by the paper's rule and an annotator without
    errors; the paper searched for up to ten rounds.

    Parameters
    ----------
    comparison
        Long table with experiment `hitl`.
    searches
        Long table with experiment `discovery`.
    paper
        The paper's values.
    """
    rows = comparison[comparison["experiment"] == "hitl"].assign(task="hitl")
    table = split_round(searches)
    table = table[(table["model"] == "alpha") & (table["annotator"] == "perfect")]
    last = table[table["round"] == table.groupby(["task", "seed"])["round"].transform("max")]
    conditions = paper.loc[paper["item"] == "sec5c", "condition"]
    names = {condition.split()[0]: condition for condition in conditions}
    last = last.assign(condition=last["task"].map(names), task="discovery", model="lvm_hitl")
    return pd.concat([rows, last.dropna(subset="condition")[list(rows)]], ignore_index=True)


# Model and condition of each of the two that a claim compares.
_Sides = tuple[tuple[str, str], tuple[str, str]]


def _claim(
    text: str, metric: str, sides: _Sides, at_or_above: bool = False, n_comparisons: int = 1
) -> tuple[Claim, _Sides]:
    pair = tuple(", ".join(side) for side in sides)
    return Claim(text, metric, (pair,), "", at_or_above, n_comparisons), sides


def _figure10(sizes: Sizes) -> list[tuple[Claim, _Sides]]:
    few, more, small = (
        f"train={2 * n}" for n in (sizes.few_per_class, sizes.more_per_class, sizes.small_per_class)
    )
    big, loop = f"train={sizes.n_big}", sizes.loop
    head, control = ("lvm_hitl", loop), (RANDOM_CONTROL, loop)
    resnet18 = ("resnet18", small)
    return [
        _claim(f"LVM + HITL above LVM, {few}", "aupr", (head, ("lvm", few))),
        _claim(f"LVM + HITL above LVM, {more}", "aupr", (head, ("lvm", more))),
        _claim(f"LVM + HITL above ResNet18, {small}", "aupr", (head, resnet18)),
        _claim(f"LVM + HITL at or above LVM, {big}", "aupr", (head, ("lvm", big)), True),
        _claim(f"LVM + HITL above as many random labels {OWN_QUESTION}", "aupr", (head, control)),
        _claim(f"LVM above ResNet18, {small}", "aupr", (("lvm", small), resnet18)),
    ]


def _alpha(results: pd.DataFrame) -> list[tuple[Claim, _Sides]]:
    """Return what the paper says of alpha, for each reading of "lower scores"."""
    said = (
        ("0.9", "0.1", "purity", "more precision"),
        ("0.1", "0.9", "completeness", "more recall"),
        ("0.5", "0.1", "auc", "a higher AUC"),
        ("0.5", "0.9", "auc", "a higher AUC"),
        ("0.5", "0.1", "aupr", "a higher AUPR"),
        ("0.5", "0.9", "aupr", "a higher AUPR"),
    )
    readings = sorted(set(results.loc[results["experiment"] == "alpha", "model"]))
    return [
        _claim(
            f"alpha {first} gives {what} than {second} (lower = {lower})",
            metric,
            ((lower, f"alpha={first}"), (lower, f"alpha={second}")),
            n_comparisons=len(said) * len(readings),
        )
        for lower in readings
        for first, second, metric, what in said
    ]
