"""Digits beside continuous patches: the same stars, the same Transformer, the same seconds.

python benchmarks/bench_tokens.py STARS.h5 --work FOLDER: STARS.h5 is the store of a run of
config/spectra.yaml (results/spectra/spectra/imported_stars.h5); FOLDER keeps what is trained, so
that a killed call goes on. Both ways of reading numbers learn from scratch, of whitened spectra and
of standardised pixels; digits train for as many updates as fit into the seconds of a core's own
clock that the patches' take (measured on a few updates). Nothing is chosen here: sizes are those of
config/spectra.yaml. The interval of a difference is that of resampled test stars, of errors
averaged over seeds; how much further seeds would differ is not in it.
Writes benchmarks/results/spectra_tokens.json.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from galaxy_lvm.core.config import load_config, section  # noqa: E402
from galaxy_lvm.core.config.spectra import Finetuning, Spectra, TransformerShape  # noqa: E402
from galaxy_lvm.lvm.weights import git_commit  # noqa: E402
from galaxy_lvm.spectra.networks import architecture, build, load_network  # noqa: E402
from galaxy_lvm.spectra.scores import mean_interval  # noqa: E402
from galaxy_lvm.spectra.stars import SplitStars, Stars, read_stars, split_stars  # noqa: E402
from galaxy_lvm.spectra.train import StarFeed, finetune  # noqa: E402
from galaxy_lvm.training.job import JobFiles  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "spectra_tokens.json"
INPUTS = {"whitened": {}, "standardised": {"n_components": 0}}
N_TIMED = 8


def update_seconds(shape: TransformerShape, stars: SplitStars, settings: Finetuning) -> float:
    """Return the median seconds of a core's clock that an update takes."""
    torch.manual_seed(0)
    module = build(architecture(shape, stars.train.flux.shape[1])).train()
    feed = StarFeed(stars.train, settings, 0, 0, 1)
    optimizer = torch.optim.AdamW(module.parameters(), fused=True)
    seconds = []
    for step in range(N_TIMED):
        start = time.process_time()
        optimizer.zero_grad()
        module(**feed.batch(step))["loss"].backward()
        optimizer.step()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds[2:]))


def planned_steps(
    given: argparse.Namespace,
    name: str,
    shape: TransformerShape,
    stars: SplitStars,
    settings: Finetuning,
) -> int:
    """Return the updates that fit into the patches' seconds; kept in a file for the next call."""
    plan = given.work / f"{name}.json"
    if not plan.exists():
        seconds = {
            tokens: update_seconds(shape.model_copy(update={"tokens": tokens}), stars, settings)
            for tokens in ("patches", shape.tokens)
        }
        steps = round(given.steps * seconds["patches"] / seconds[shape.tokens])
        plan.write_text(json.dumps({"steps": steps, "seconds_of_an_update": seconds}))
    return json.loads(plan.read_text())["steps"]


def trained_errors(
    given: argparse.Namespace,
    name: str,
    shape: TransformerShape,
    stars: SplitStars,
    settings: Finetuning,
) -> dict[str, np.ndarray]:
    """Return the absolute errors (seeds, n, k) of validation and test stars."""
    found: dict[str, list[np.ndarray]] = {"val": [], "test": []}
    for seed in range(1, given.seeds + 1):
        weights = given.work / f"{name}_{seed}.safetensors"
        files = JobFiles(given.work / "state", 1, weights, weights.with_suffix(".csv"))
        if not weights.exists():
            finetune(stars, shape, given.stars, settings, 0, seed, files)
        module = load_network(weights)
        for split, errors in found.items():
            part = getattr(stars, split)
            found_labels = module.estimate(part.flux)[0][:, module.columns(part.label_names)]
            errors.append(np.abs(found_labels - part.labels))
    return {split: np.array(errors) for split, errors in found.items()}


def means(errors: np.ndarray, stars: Stars) -> dict[str, float]:
    """Return the mean over seeds and stars by label."""
    values = errors.mean(axis=(0, 1))
    return {n: round(float(v), 4) for n, v in zip(stars.label_names, values, strict=True)}


def differences(digits: np.ndarray, patches: np.ndarray, test: Stars, seed: int) -> dict:
    """Return digits minus patches by label, paired by star, with its 95 % interval."""
    per_star = (digits - patches).mean(axis=0)
    found = {}
    for k, name in enumerate(test.label_names):
        low, high = mean_interval(per_star[:, k], seed)
        of_seeds = (digits - patches)[..., k].mean(axis=1)
        found[name] = {
            "mean": round(float(per_star[:, k].mean()), 4),
            "low95": round(low, 4),
            "high95": round(high, 4),
            "of_each_seed": [round(float(v), 4) for v in of_seeds],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stars", nargs="?", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--steps", type=int, default=1000, help="updates of the patches")
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    if given.stars is None or given.work is None:
        print("not run: needs STARS.h5 and --work, real spectra that the project does not contain")
        return
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    whole = load_config(ROOT / "config" / "spectra.yaml")
    config = section(Spectra, whole["spectra"], "spectra")
    stars = split_stars(read_stars(given.stars, config.labels), config, 1)
    result: dict = {"commit": git_commit(), "n_train": len(stars.train), "n_test": len(stars.test)}
    result |= {"n_seeds": given.seeds, "shape": config.pretrain.shape.model_dump()}
    result["batch_size"] = config.finetune.batch_size
    for reads, changed in INPUTS.items():
        test = {}
        for tokens in ("patches", "digits"):
            shape = config.pretrain.shape.model_copy(update={"tokens": tokens, **changed})
            steps = planned_steps(given, f"{reads}_{tokens}", shape, stars, config.finetune)
            optim = config.finetune.optim.model_copy(update={"steps": steps})
            training = config.finetune.model_copy(update={"optim": optim})
            errors = trained_errors(given, f"{reads}_{tokens}", shape, stars, training)
            test[tokens] = errors["test"]
            result[f"{reads}_{tokens}"] = {
                "steps": steps,
                "val_mae": means(errors["val"], stars.val),
                "test_mae": means(errors["test"], stars.test),
            }
        result[f"{reads}_digits_minus_patches"] = differences(
            test["digits"], test["patches"], stars.test, 1
        )
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps(result, indent=1), flush=True)


if __name__ == "__main__":
    main()
