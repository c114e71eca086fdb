"""ResNet18 trained on images, from scratch, with figure 10's two larger training sets."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.fewshot import NetworkSections
from galaxy_lvm.core.config.hitl import ImageSets, OnImages
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.hitl.measures import comparison_metrics
from galaxy_lvm.hitl.pools import read_galaxies, resolve_targets, truth_of
from galaxy_lvm.hitl.scored import Scored, ScoredResults
from galaxy_lvm.hitl.simulate import POOL_SPLITS, kept_result, training_sets
from galaxy_lvm.survey.splits_table import Galaxies
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import model_specs
from galaxy_lvm.training.network import NetworkTrainer
from galaxy_lvm.training.network_settings import protocol_of

MODEL = "resnet18"
SPEC = model_specs([{"model": MODEL}])[0]


def train_resnet18(
    files: NetworkFiles,
    cutouts_path: str,
    settings: ImageSets,
    sections: NetworkSections,
    seed: int,
    metrics_path: str,
    scored_path: str,
) -> None:
    """Write the scores of ResNet18 on the test split; go on after the last whole training.

    Its training sets are those of the LVM with the same number of a repetition. The step to keep is
    chosen on the validation split, as in the few-shot comparison; the LVM's ranker has no choice.

    Parameters
    ----------
    files
        The dataset, and where the unfinished lies.
    cutouts_path
        Store with the catalogue.
    settings
        Of the config's section `hitl`: targets and comparison.
    sections
        The protocol of networks.
    seed
        The run's seed.
    metrics_path
        Long-format CSV to write, experiment `hitl`.
    scored_path
        Parquet to write: the scores of single test galaxies.
    """
    table = read_galaxies(files.splits, cutouts_path)
    settings = resolve_targets(settings, table)
    galaxies, target = labelled(table, settings), settings.comparison.target
    trainer = NetworkTrainer(SPEC, files.crops, None, protocol_of(sections), galaxies["test"], 2)
    state = files.state(
        [settings.model_dump(mode="json"), sections.model_dump(), seed], [cutouts_path]
    )
    test = galaxies["test"]
    results = ScoredResults(target, test.ids, test.labels == 1)
    for number, condition, chosen in repetitions(galaxies["train"], settings.comparison, seed):
        train, folder = galaxies["train"].take(chosen), state / f"{number}_{condition}"
        its_seed = derive_seed(seed, "hitl", number)

        def scores(train: Galaxies = train, its_seed: int = its_seed, folder: Path = folder):
            fit = trainer.fit(train, galaxies["val"], its_seed, folder)
            found = fit.shares[:, 1]
            return Scored(comparison_metrics(test.labels == 1, found), np.float32(found).tolist())

        found = kept_result(state, [number, condition], scores)
        results.add("hitl", MODEL, condition, number, found)
    results.write(metrics_path, scored_path)  # empty where few galaxies give no training set
    if results.rows:
        shutil.rmtree(state)


def repetitions(
    train: Galaxies, comparison: OnImages, seed: int
) -> Iterator[tuple[int, str, np.ndarray]]:
    """Yield number, condition and training set of every training; tell which are left out."""
    n_seeds = {
        comparison.n_big: comparison.n_resnet18_big_seeds,
        2 * comparison.small_per_class: comparison.n_resnet18_seeds,
    }
    for number in range(max(n_seeds.values())):
        its_seed = derive_seed(seed, "hitl", number)
        sets, skipped = training_sets(train.labels == 1, comparison, its_seed)
        for n_labels in [count for count, seeds in n_seeds.items() if number < seeds]:
            condition = f"train={n_labels}"
            if condition in skipped:
                log.warning("figure 10: %s is left out: %s", condition, skipped[condition])
            else:
                yield number, condition, sets[condition]


def labelled(galaxies: pd.DataFrame, settings: ImageSets) -> dict[str, Galaxies]:
    """Return training, validation and test galaxies with label 1 for the target, 0 for the rest."""
    truth = truth_of(galaxies, settings, settings.comparison.target)
    index = galaxies["index"].to_numpy(np.int64)
    parts = {"train": POOL_SPLITS, "val": ("val",), "test": ("test",)}
    chosen = {part: galaxies["split"].isin(names).to_numpy() for part, names in parts.items()}
    return {
        part: Galaxies(
            index[rows],
            galaxies.loc[rows, "id"].to_numpy(object),
            truth[rows].astype(np.int64),
        )
        for part, rows in chosen.items()
    }
