"""How much of the error on real galaxies is the labels': scores by the volunteers behind a label.

A label of the Galaxy Zoo 2 rows follows one debiased vote fraction. That fraction counts only the
volunteers who came to the question (Willett et al. 2013): `p_merger` those who had called the
galaxy odd, `p_spiral` those who had seen features and no edge-on disc. The share of all volunteers
behind a label is the product along the way to it. Needs a run of `config/folder.yaml` and the table
of its labels with the columns `p_*`, neither of which is part of the project:

    python benchmarks/bench_label_votes.py RESULTS_DIR LABELS.csv

Results go to `benchmarks/results/label_votes.json`.
"""

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from galaxy_lvm.core.tables import load_table  # noqa: E402
from galaxy_lvm.multitask.disagreements import label_disagreements  # noqa: E402
from galaxy_lvm.report.class_scores import classification_metrics  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "label_votes.json"
EDGES = (0.0, 0.25, 0.5, 0.75, 1.01)
# Labels that fewer volunteers than this gave are called contradicted.
MINORITY = 0.25
N_LISTED = 30


def share_of_volunteers(votes: pd.DataFrame) -> pd.Series:
    """Return the share of all volunteers behind every label; NaN without vote fractions."""
    featured = votes["p_features"] * (1 - votes["p_edge_on"])
    ways = {
        "elliptical": votes["p_smooth"],
        "edge_on": votes["p_features"] * votes["p_edge_on"],
        "spiral": featured * votes["p_spiral"],
        "other": votes["p_odd"] * votes["p_merger"],
    }
    share = pd.Series(np.nan, index=votes.index)
    for label, way in ways.items():
        share = share.where(votes["label"] != label, way)
    return share.clip(0, 1)


def by_share(galaxies: pd.DataFrame, n_classes: int) -> dict:
    """Return scores of one model: all galaxies, without votes, by share of volunteers."""

    def scores(part: pd.DataFrame) -> dict:
        found = classification_metrics(
            part["label"].to_numpy(), part["predicted"].to_numpy(), n_classes
        )
        return {"n": len(part), **{k: round(found[k], 4) for k in ("accuracy", "f1")}}

    share = galaxies["share"]
    bins = {
        f"{low:.2f} to {high:.2f}": scores(galaxies[share.between(low, high, inclusive="left")])
        for low, high in pairwise(EDGES)
    }
    return {
        "all": scores(galaxies),
        "without_votes": scores(galaxies[share.isna()]),
        "by_share_of_volunteers": bins,
        "all_but_share_below_0.5": scores(galaxies[~(share < 0.5)]),
    }


def found_by_the_list(predictions: pd.DataFrame, names: list[str], share: pd.Series) -> dict:
    """Return how well the list of doubtful labels finds those that few volunteers gave."""
    table = label_disagreements(predictions, names)
    table = table.assign(share=share.reindex(table["id"]).to_numpy()).dropna(subset="share")
    few = (table["share"] < MINORITY).to_numpy()
    # Labels of some classes rest on few votes more often, and networks are worse at some classes:
    # the list has to do better than the class alone, and within one class.
    by_class = table.groupby("label")["p_label"].transform("mean")
    other = (table["label"] == "other").to_numpy()

    def auc(rows: np.ndarray, score: pd.Series) -> float:
        return round(float(roc_auc_score(few[rows], -score[rows])), 4)

    everything = np.ones(len(table), bool)
    return {
        "n_with_votes": len(table),
        "n_contradicted": int(few.sum()),
        "auc": auc(everything, table["p_label"]),
        "auc_of_the_class_alone": auc(everything, by_class),
        "auc_within_other": auc(other, table["p_label"]),
        "n_other": int(other.sum()),
        "n_other_contradicted": int(few[other].sum()),
        f"contradicted_among_first_{N_LISTED}": int(few[:N_LISTED].sum()),
    }


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results_dir", type=Path, nargs="?")
    parser.add_argument("labels", type=Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.results_dir is None or arguments.labels is None:
        print("not run: needs RESULTS_DIR and LABELS.csv, which the project does not contain")
        return
    predictions = load_table(arguments.results_dir / "predictions" / "multitask.parquet")
    votes = load_table(arguments.labels, numbers=("p_*",)).set_index("id")
    share = share_of_volunteers(votes)
    names = [name[2:] for name in predictions.columns if name.startswith("p_")]
    models = {}
    for model, part in predictions.groupby("model"):
        predicted = part[[f"p_{name}" for name in names]].to_numpy().argmax(axis=1)
        table = part.assign(predicted=predicted, share=share.reindex(part["id"]).to_numpy())
        models[model] = by_share(table, len(names))
    minority = (share < 0.5)[share.notna()].groupby(votes["label"]).mean().round(4)
    results = {
        "what": "real test galaxies by the share of volunteers behind their label; see the script",
        "labels_of_a_minority_by_class": minority.to_dict(),
        "models": models,
        "list_of_doubtful_labels": found_by_the_list(predictions, names, share),
    }
    print(json.dumps(results, indent=1))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
