"""What the paper says of the human in the loop and of alpha, judged in pairs of seeds."""

import pandas as pd

from galaxy_lvm.hitl.simulate import Sizes
from galaxy_lvm.report.tables import Line, score_line
from galaxy_lvm.report.verdicts import paired_by_seed, verdict_row

RANDOM_CONTROL = "lvm_random"


def summary_lines(comparison: pd.DataFrame) -> list[Line]:
    """Return rows of figure 10's table for the summary.

    Those that the paper has as well, the control with random labels, and those with most labels.
    """
    most = comparison["n_labels"] == comparison["n_labels"].max()
    shown = comparison["aupr_paper"].notna() | most | (comparison["model"] == RANDOM_CONTROL)
    return [
        score_line(f"figure 10, {row['n_labels']:g} labels", row, "aupr", "AUPR", row["aupr_paper"])
        for row in comparison[shown].to_dict("records")
    ]


def claims_table(results: pd.DataFrame, sizes: Sizes) -> pd.DataFrame:
    """Judge what the paper says of figure 10 and of alpha, in pairs of seeds.

    Parameters
    ----------
    results
        Long table with the experiments `hitl` and `alpha`.
    sizes
        Training sets that were asked for; a claim about one that the pool has no room for is not
        evaluated.

    Returns
    -------
    DataFrame
        `claim`, `verdict`, `detail`. A claim with several parts is judged part by part.
    """
    by_seed = results.set_index(["experiment", "model", "condition", "metric", "seed"])["value"]
    by_seed = by_seed.sort_index()

    def values(experiment: str, model: str, condition: str, metric: str) -> pd.Series:
        key = (experiment, model, condition, metric)
        return (
            by_seed.loc[key] if key in by_seed.index.droplevel("seed") else pd.Series(dtype=float)
        )

    pairs = (
        (text, metric, first, second, values(*first, metric), values(*second, metric))
        for text, metric, first, second in _claims(results, sizes)
    )
    rows = [
        verdict_row(text, metric, [(_name(first), _name(second), paired_by_seed(a, b))])
        for text, metric, first, second, a, b in pairs
    ]
    return pd.DataFrame(rows, columns=["claim", "verdict", "detail"])


def _name(side: tuple[str, str, str]) -> str:
    _, model, condition = side
    return f"{model}, {condition}"


def _claims(results: pd.DataFrame, sizes: Sizes) -> list[tuple]:
    """Return text, metric, and what is claimed to score higher than what."""
    few, more, small = (
        f"train={2 * n}" for n in (sizes.few_per_class, sizes.more_per_class, sizes.small_per_class)
    )
    big, loop = f"train={sizes.n_big}", sizes.loop
    head = ("hitl", "lvm_hitl", loop)
    claims = [
        (f"LVM + HITL above LVM, {few}", "aupr", head, ("hitl", "lvm", few)),
        (f"LVM + HITL above LVM, {more}", "aupr", head, ("hitl", "lvm", more)),
        (f"LVM + HITL above ResNet18, {small}", "aupr", head, ("hitl", "resnet18", small)),
        (f"LVM + HITL at or above LVM, {big}", "aupr", head, ("hitl", "lvm", big)),
        ("LVM + HITL above as many random labels (our control)", "aupr", head,
         ("hitl", "lvm_random", loop)),
        (f"LVM above ResNet18, {small}", "aupr", ("hitl", "lvm", small),
         ("hitl", "resnet18", small)),
    ]  # fmt: skip
    for lower in sorted(set(results.loc[results["experiment"] == "alpha", "model"])):
        at = {a: ("alpha", lower, f"alpha={a}") for a in ("0.1", "0.5", "0.9")}
        name = f"lower = {lower}"
        claims += [
            (f"alpha 0.9 gives more precision than 0.1 ({name})", "purity", at["0.9"], at["0.1"]),
            (f"alpha 0.1 gives more recall than 0.9 ({name})", "completeness", at["0.1"],
             at["0.9"]),
            (f"alpha 0.5 gives a higher AUC than 0.1 ({name})", "auc", at["0.5"], at["0.1"]),
            (f"alpha 0.5 gives a higher AUC than 0.9 ({name})", "auc", at["0.5"], at["0.9"]),
            (f"alpha 0.5 gives a higher AUPR than 0.1 ({name})", "aupr", at["0.5"], at["0.1"]),
            (f"alpha 0.5 gives a higher AUPR than 0.9 ({name})", "aupr", at["0.5"], at["0.9"]),
        ]  # fmt: skip
    return claims
