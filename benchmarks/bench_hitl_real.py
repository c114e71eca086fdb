"""The human in the loop on real galaxies: one round against random labels, and rare mergers.

Needs an imported folder of labelled galaxies with the vote fractions of Galaxy Zoo 2 (columns
`p_odd` and `p_merger`) and the features of an encoder, neither of which is part of the project:

    python benchmarks/bench_hitl_real.py DATA_DIR --features FEATURES.npy

DATA_DIR holds `splits.parquet` and `cutouts.h5` of a run; the features are in the order of its
crops. Labels come from the training split, scores from the split named by `--split`. Because a few
hundred test galaxies say little about a small gain, the same is done with each fifth of all
galaxies as the test set in turn (the encoder has seen most of these images, but no label).
Searches for mergers use all galaxies with votes. Results go to `benchmarks/results/hitl_real.json`.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from galaxy_lvm.hitl.annotators import perfect, voting
from galaxy_lvm.hitl.measures import labels_to_find
from galaxy_lvm.hitl.pools import Pool, rare_rows, read_galaxies
from galaxy_lvm.hitl.ranker import Whitening
from galaxy_lvm.hitl.settings import SessionSettings
from galaxy_lvm.hitl.simulate import Sizes, Task, compare, discover
from galaxy_lvm.report.differences import Difference, by_seed  # noqa: E402
from galaxy_lvm.survey.splits_table import Splits  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "hitl_real.json"
RULES = ("top_score", "uncertainty", "random", "k_centre", "mix")
# Galaxies that Galaxy Zoo 2 calls odd (Willett et al. 2013), most of these voters for a merger.
ODD_VOTES, MERGER_VOTES = 0.42, 0.5
N_PARTS = 5
LOOP, MORE = "initial=10 rounds=1 recommended=10", "train=30"


def pool_of(features: np.ndarray, galaxies: pd.DataFrame) -> Pool:
    return Pool(galaxies["id"].tolist(), features[galaxies["index"].to_numpy()])


def rounded(gain: Difference) -> dict[str, float]:
    """Return a difference and the ends of its interval to four digits."""
    low, high = gain.interval()
    return {"value": round(gain.value, 4), "low": round(low, 4), "high": round(high, 4)}


def spirals(
    parts: list[tuple[pd.DataFrame, pd.DataFrame]], features: np.ndarray, n_seeds: int
) -> dict:
    """Return mean AUPR by training set, and the loop's gain over 15 + 15 and over random labels.

    `parts` are pairs of pool and test galaxies; a seed's AUPR is the mean over them.
    """
    rows = []
    for number, (inside, test) in enumerate(parts):
        pools = [pool_of(features, part) for part in (inside, test)]
        truth = [(part["label"] == "spiral").to_numpy() for part in (inside, test)]
        whitening = Whitening.of(pools[0].features, 128)
        task = Task(pools[0], truth[0], pools[1], truth[1], whitening)
        for seed in range(n_seeds):
            scores, _ = compare(task, SessionSettings(), Sizes(), RULES, seed + 1000 * number)
            rows += [
                {"name": f"{model}, {condition}", "seed": seed, "aupr": found.values["aupr"]}
                for (model, condition), found in scores.items()
            ]
    aupr = pd.DataFrame(rows).groupby(["name", "seed"])["aupr"].mean()
    others = {"hitl_20_labels_minus_lvm_30_labels": f"lvm, {MORE}"}
    others["hitl_minus_as_many_random_labels"] = f"lvm_random, {LOOP}"
    gains = {
        name: by_seed(aupr[f"lvm_hitl, {LOOP}"], aupr[other]) for name, other in others.items()
    }
    return {
        "n_pool": len(parts[0][0]),
        "n_test": len(parts[0][1]),
        "n_test_sets": len(parts),
        "positive_share_of_test": round(float((parts[0][1]["label"] == "spiral").mean()), 4),
        "mean_aupr": aupr.groupby("name").mean().round(4).to_dict(),
        **{name: rounded(gain) for name, gain in gains.items()},
    }


def fifths(galaxies: pd.DataFrame) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return each fifth of the labelled galaxies as the test set in turn, the rest as the pool.

    Copies of one galaxy stay together.
    """
    galaxies = galaxies[galaxies["label"] != ""]
    groups = pd.factorize(galaxies["group"])[0]
    turn = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % N_PARTS
    return [(galaxies[turn != number], galaxies[turn == number]) for number in range(N_PARTS)]


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
            settings = SessionSettings(rule=rule)
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
    about = Splits(splits).table
    galaxies = galaxies.assign(index=about["index"], group=about["group"])
    features = np.load(arguments.features, mmap_mode="r")
    results: dict[str, object] = {"n_seeds": arguments.seeds, "split": arguments.split}
    whole = tuple(galaxies[galaxies["split"] == name] for name in ("train", arguments.split))
    results["spirals"] = spirals([whole], features, arguments.seeds)
    results["spirals_in_fifths"] = spirals(fifths(galaxies), features, arguments.seeds)
    print(json.dumps(results, indent=2), flush=True)
    for name, share in (("mergers", None), ("mergers_2_percent", 0.02)):
        results[name] = mergers(galaxies, features, share, max(2, arguments.seeds // 2))
        print(name, json.dumps(results[name], indent=2), flush=True)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
