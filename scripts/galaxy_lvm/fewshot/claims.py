"""What the summary says of few labels: rows of figure 5, and who is above whom."""

from collections.abc import Mapping

import pandas as pd

from galaxy_lvm.fewshot.scores import condition_of, size_of
from galaxy_lvm.report.tables import Line, score_line
from galaxy_lvm.report.verdicts import OWN_QUESTION, Claim, difference, judge, verdict_table

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


def few_shot_claims(
    results: pd.DataFrame,
    predictions: pd.DataFrame,
    from_scratch: Mapping[str, str],
    elsewhere: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Judge whether the LVM is above the networks without pretraining, by seed and galaxy.

    Whether it is above networks that were pretrained elsewhere is our own question.

    A seed draws the training set and the first weights; the pretrained encoder is the same for all.

    Parameters
    ----------
    results
        Long table of the experiment `fewshot`.
    predictions
        Class probabilities of single test galaxies that the trainings wrote; may be empty.
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
                rows.append(judge(claim, found))
    return verdict_table(rows)


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
