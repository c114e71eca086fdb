"""What the summary says of few labels: rows of figure 5, and who is above whom."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from galaxy_lvm.core.tables import load_table
from galaxy_lvm.fewshot.scores import condition_of, read_predictions, size_of
from galaxy_lvm.report.differences import Difference
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.tables import Line, score_line
from galaxy_lvm.report.verdicts import (
    OVERLAP,
    OWN_QUESTION,
    Claim,
    difference,
    judge,
    verdict_table,
)
from galaxy_lvm.training.model_specs import model_specs

PRETRAINED_LVM = ("lvm_finetuned", "lvm_frozen")


def summary_lines(few_shot: pd.DataFrame) -> list[Line]:
    """Return the rows of a table of `few_shot_table`, of its smallest and largest training set."""
    return [
        score_line(f"figure 5, {size} a class", row, "accuracy", "accuracy")
        for size in ends_of(few_shot["n_per_class"])
        for row in few_shot[few_shot["n_per_class"] == size].to_dict("records")
    ]


def ends_of(sizes: pd.Series) -> list[int]:
    """Return the smallest and the largest of some sizes, once where they are the same."""
    return sorted({int(sizes.min()), int(sizes.max())})


def few_shot_verdicts(
    metrics: str, predictions: Sequence[str], splits: str, models: Sequence[dict]
) -> pd.DataFrame:
    """Return what is claimed of few labels, judged from the files of a run.

    Parameters
    ----------
    metrics, predictions
        Figure 5 in long form, class probabilities of single galaxies (parquet).
    splits
        Splits of its galaxies.
    models
        The config's list of classifiers.
    """
    networks = [spec for spec in model_specs(models) if spec.is_network]
    from_scratch = {s.label: s.display_name for s in networks if not s.pretrained}
    elsewhere = {s.label: s.display_name for s in networks if s.pretrained and not s.is_lvm}
    galaxies = load_table(splits)
    known = galaxies[(galaxies["split"] == "train") & (galaxies["label"] != "")]
    pool = known["label"].value_counts().to_dict()
    found = read_results(metrics), read_predictions(predictions)
    return few_shot_claims(*found, pool, from_scratch, elsewhere)


def few_shot_claims(
    results: pd.DataFrame,
    predictions: pd.DataFrame,
    pool: Mapping[str, int],
    from_scratch: Mapping[str, str],
    elsewhere: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Judge whether the LVM is above the networks without pretraining, by seed and galaxy.

    Whether it is above networks that were pretrained elsewhere is our own question.

    A seed draws the training set and the first weights; the pretrained encoder is the same for all.
    Training sets of more than half of a class share most galaxies: the detail says so.

    Parameters
    ----------
    results
        Long table of the experiment `fewshot`.
    predictions
        Class probabilities of single test galaxies that the trainings wrote; may be empty.
    pool
        How many galaxies of each class the training sets are drawn from.
    from_scratch
        Label and name of the networks that start from random weights.
    elsewhere
        Label and name of those that start from weights made on other images (ImageNet).

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`; one row per variant of the LVM and end of the sizes for
        all networks from random weights, and for each of the others.
    """
    scores = results[results["metric"] == "accuracy"]
    right = right_by_galaxy(predictions)
    rows = []
    for size in ends_of(scores["condition"].map(size_of)):
        block = scores[scores["condition"] == condition_of(size)]
        galaxies = right[right["n_per_class"] == size]
        models = set(block["model"])
        rivals = [(from_scratch, "")]
        rivals += [({label: name}, f" {OWN_QUESTION}") for label, name in (elsewhere or {}).items()]
        for rival, whose in rivals:
            others = {label: name for label, name in rival.items() if label in models}
            for model in [name for name in PRETRAINED_LVM if name in models and others]:
                text = f"{size} labels a class: {model} above {', '.join(others.values())}{whose}"
                claim = Claim(text, "accuracy", tuple((model, name) for name in others.values()))
                pairs = [(model, label) for label in others]
                found = [difference(block, galaxies, "accuracy", pair) for pair in pairs]
                rows.append(judge(claim, [_with_overlap(each, size, pool) for each in found]))
    return verdict_table(rows)


def _with_overlap(
    found: Difference | None, size: int, pool: Mapping[str, int]
) -> Difference | None:
    """Say of a difference over seeds whose training sets share more than half of their galaxies."""
    fewest = min(pool, key=lambda name: pool[name], default=None)
    if found is None or fewest is None or found.trainings == 1 or 2 * size <= pool[fewest]:
        return found
    drawn = f"{min(size, pool[fewest])} of {pool[fewest]} {fewest}"
    return replace(found, how=f"{found.how}; {OVERLAP}: {drawn}")


def right_by_galaxy(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return 1 where the class of a test galaxy is right, else 0, in long form.

    Columns: `n_per_class`, and `model`, `seed`, `id`, `metric`, `value` as in `read_per_galaxy`.
    """
    columns = ["n_per_class", "model", "seed", "id", "metric", "value"]
    if predictions.empty:
        return pd.DataFrame(columns=columns)
    shares = predictions.filter(regex="^p_").to_numpy()
    right = (shares.argmax(axis=1) == predictions["label"].to_numpy()).astype(float)
    return predictions.assign(metric="accuracy", value=right)[columns]
