"""The human in the loop on real galaxies: one round against random labels, and rare mergers.

Needs an imported folder of labelled galaxies with the vote fractions of Galaxy Zoo 2 (columns
`p_odd` and `p_merger`) and the features of an encoder, neither of which is part of the project:

    python benchmarks/bench_hitl_real.py DATA_DIR --features FEATURES.npy

DATA_DIR holds `splits.parquet` and `cutouts.h5` of a run; the features are in the order of its
crops. Labels come from the training split, scores from the split named by `--split`; searches for
mergers use all galaxies with votes. Results go to `benchmarks/results/hitl_real.json`.
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from galaxy_lvm.evaluation.claims import paired_by_seed  # noqa: E402
from galaxy_lvm.hitl.annotators import perfect, voting  # noqa: E402
from galaxy_lvm.hitl.measures import labels_to_find  # noqa: E402
from galaxy_lvm.hitl.pools import Pool, rare_rows, read_galaxies  # noqa: E402
from galaxy_lvm.hitl.ranker import Whitening  # noqa: E402
from galaxy_lvm.hitl.settings import SessionSettings  # noqa: E402
from galaxy_lvm.hitl.simulate import Sizes, Task, compare, discover  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "hitl_real.json"
RULES = ("top_score", "uncertainty", "random", "k_centre", "mix")
# Galaxies that Galaxy Zoo 2 calls odd (Willett et al. 2013), most of these voters for a merger.
ODD_VOTES, MERGER_VOTES = 0.42, 0.5
LOOP, MORE = "initial=10 rounds=1 recommended=10", "train=30"


def pool_of(features: np.ndarray, galaxies: pd.DataFrame) -> Pool:
    return Pool(galaxies["id"].tolist(), features[galaxies["index"].to_numpy()])


def spirals(galaxies: pd.DataFrame, features: np.ndarray, split: str, n_seeds: int) -> dict:
    """Return mean AUPR by training set, and the loop's gain over 15 + 15 labels."""
    inside, test = (galaxies[galaxies["split"] == name] for name in ("train", split))
    pools = [pool_of(features, part) for part in (inside, test)]
    truth = [(part["label"] == "spiral").to_numpy() for part in (inside, test)]
    whitening = Whitening.of(pools[0].features, 128)
    task = Task(pools[0], truth[0], pools[1], truth[1], whitening)
    aupr: dict[str, list[float]] = {}
    for seed in range(n_seeds):
        scores, _ = compare(task, SessionSettings(), Sizes(), RULES, seed)
        for (model, condition), values in scores.items():
            aupr.setdefault(f"{model}, {condition}", []).append(values["aupr"])
    gain = paired_by_seed(pd.Series(aupr[f"lvm_hitl, {LOOP}"]), pd.Series(aupr[f"lvm, {MORE}"]))
    return {
        "n_pool": len(truth[0]),
        "n_test": len(truth[1]),
        "positive_share_of_test": round(float(truth[1].mean()), 4),
        "mean_aupr": {name: round(float(np.mean(v)), 4) for name, v in aupr.items()},
        "hitl_20_labels_minus_lvm_30_labels": {
            "mean": round(gain.value, 4),
            "low95": round(gain.low, 4),
            "high95": round(gain.high, 4),
        },
    }


def mergers(
    galaxies: pd.DataFrame, features: np.ndarray, share: float | None, n_seeds: int
) -> dict:
    """Return the median number of labels that find half of the mergers, by rule."""
    voted = galaxies[galaxies["p_merger"].notna()].reset_index(drop=True)
    is_one = (voted["p_odd"] >= ODD_VOTES) & (voted["p_merger"] >= MERGER_VOTES)
    labels: dict[str, list[float]] = {}
    for seed in range(n_seeds):
        part = voted.iloc[rare_rows(is_one.to_numpy(), share, seed)]
        truth, pool = is_one[part.index].to_numpy(), pool_of(features, part)
        whitening = Whitening.of(pool.features, 128)
        votes = dict(zip(part["id"], (part["p_odd"] * part["p_merger"]).clip(0, 1), strict=True))
        right = perfect(dict(zip(part["id"], truth, strict=True)))
        searches = [(rule, rule, right) for rule in ("alpha", *RULES)]
        searches.append(("alpha, votes of volunteers", "alpha", voting(votes, seed)))
        for name, rule, ask in searches:
            settings = replace(SessionSettings(), rule=rule)
            states = discover(
                pool, truth, ask, settings, 5, len(pool) // 10 + 1, 10, seed, whitening, 0.5
            )
            found, given = ([state[key] for state in states] for key in ("found", "n_labels"))
            labels.setdefault(name, []).append(labels_to_find(found, given))
    medians = {name: float(np.median(values)) for name, values in labels.items()}
    quartiles = {name: np.percentile(values, (25, 75)).tolist() for name, values in labels.items()}
    return {
        "n_pool": len(truth),
        "n_mergers": int(truth.sum()),
        "median_labels_to_half": medians,
        "quartiles": quartiles,
    }


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path, nargs="?")
    parser.add_argument("--features", type=Path)
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.data_dir is None or arguments.features is None:
        print("not run: needs DATA_DIR and --features, which the project does not contain")
        return
    splits = arguments.data_dir / "splits.parquet"
    galaxies = read_galaxies(splits, arguments.data_dir / "cutouts.h5")
    galaxies = galaxies.assign(index=pd.read_parquet(splits)["index"])
    features = np.load(arguments.features, mmap_mode="r")
    results: dict[str, object] = {"n_seeds": arguments.seeds, "split": arguments.split}
    results["spirals"] = spirals(galaxies, features, arguments.split, arguments.seeds)
    print(json.dumps(results, indent=2), flush=True)
    for name, share in (("mergers", None), ("mergers_2_percent", 0.02)):
        results[name] = mergers(galaxies, features, share, max(2, arguments.seeds // 2))
        print(name, json.dumps(results[name], indent=2), flush=True)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
