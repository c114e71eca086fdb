"""Simulated experiments: figure 10's comparison, the sweep over alpha, discovery in a pool."""

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.hitl import Sizes, TrainingSets
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import atomic_path, config_hash
from galaxy_lvm.hitl.annotators import Annotator
from galaxy_lvm.hitl.measures import comparison_metrics, discovery_metrics
from galaxy_lvm.hitl.pools import Pool, truth_of
from galaxy_lvm.hitl.ranker import Whitening
from galaxy_lvm.hitl.scored import Scored
from galaxy_lvm.hitl.session import Session
from galaxy_lvm.hitl.settings import SessionSettings
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE, LabelStore

log = logging.getLogger("galaxy_lvm.hitl")

# Galaxies that the splits left over are as good as training galaxies to label from.
POOL_SPLITS = ("train", "unused")


@dataclass(frozen=True)
class Task:
    """A pool to label from, its truth, and galaxies to score on that are never labelled.

    Attributes
    ----------
    pool, truth
        Galaxies to label (N of them) and whether each is a positive (N,).
    test_pool, test_truth
        Galaxies to score on, with their truth.
    whitening
        Of the pool's features.
    """

    pool: Pool
    truth: np.ndarray
    test_pool: Pool
    test_truth: np.ndarray
    whitening: Whitening


def open_task(features: str | os.PathLike, galaxies: pd.DataFrame, settings: TrainingSets) -> Task:
    """Return the galaxies to label from and those to score on, for the comparison's target.

    Parameters
    ----------
    features
        Features of the galaxies.
    galaxies
        Of `read_galaxies`.
    settings
        Of the config's section `hitl`, resolved.
    """
    truth = truth_of(galaxies, settings, settings.comparison.target)
    inside = galaxies["split"].isin(POOL_SPLITS).to_numpy()
    test = (galaxies["split"] == "test").to_numpy()
    pools = [Pool.open(features, galaxies.loc[part, "id"].tolist()) for part in (inside, test)]
    whitening = Whitening.of(pools[0].features, settings.ranker.n_components)
    return Task(pools[0], truth[inside], pools[1], truth[test], whitening)


def draw_prompts(truth: np.ndarray, n_positive: int, n_negative: int, seed: int) -> np.ndarray:
    """Return rows of positives, then negatives; smaller sets of one seed are part of larger ones.

    Raises
    ------
    DataError
        If the pool has too few of a kind.
    """
    rows = []
    for wanted, n_wanted, kind in ((True, n_positive, "positive"), (False, n_negative, "negative")):
        known = np.flatnonzero(truth == wanted)
        if len(known) < n_wanted:
            raise DataError(f"{n_wanted} {kind} prompts asked for; the pool has {len(known)}")
        rng = np.random.default_rng(derive_seed(seed, "prompts", kind))
        rows.append(rng.permutation(known)[:n_wanted])
    return np.concatenate(rows)


def start_session(
    pool: Pool, truth: np.ndarray, rows: np.ndarray, settings: SessionSettings, whitening: Whitening
) -> Session:
    """Return a session in memory whose prompts are labelled with the truth."""
    session = Session(pool, LabelStore(":memory:"), settings, "simulated", whitening)
    session.label(pool.ids_of(rows), [POSITIVE if truth[row] else NEGATIVE for row in rows])
    return session


def training_sets(truth: np.ndarray, sizes: Sizes, seed: int) -> tuple[dict, dict[str, str]]:
    """Return the rows of figure 10's training sets by condition, and why any is left out.

    The names count all labels, as the paper's do: "train=30" are 15 positives and 15 negatives.
    """
    sets, skipped = {}, {}
    for n in (sizes.few_per_class, sizes.more_per_class, sizes.small_per_class):
        try:
            sets[f"train={2 * n}"] = draw_prompts(truth, n, n, seed)
        except DataError as error:
            skipped[f"train={2 * n}"] = str(error)
    name = f"train={sizes.n_big}"
    if sizes.n_big > len(truth):
        skipped[name] = f"{sizes.n_big} random galaxies asked for; the pool has {len(truth)}"
    else:
        rng = np.random.default_rng(derive_seed(seed, "big"))
        sets[name] = rng.permutation(len(truth))[: sizes.n_big]
    return sets, skipped


def compare(
    task: Task, settings: SessionSettings, sizes: Sizes, rules: Sequence[str], seed: int
) -> tuple[dict[tuple[str, str], Scored], dict[str, str]]:
    """Run one repetition of figure 10 for everything that works on the LVM's features.

    Parameters
    ----------
    task
        Pool and test galaxies.
    settings
        Of the loop; its rule gives the model `lvm_hitl`.
    sizes
        Training sets.
    rules
        Further rules for the one step; each gives a model `lvm_<rule>`.
    seed
        Of draws and weights.

    Returns
    -------
    scores
        (model, condition) -> `comparison_metrics` on the test galaxies, and their scores.
    skipped
        Condition -> why it could not be run.
    """
    settings = settings.changed(seed=derive_seed(seed, "session"))
    sets, skipped = training_sets(task.truth, sizes, seed)
    scores = {}
    for condition, rows in sets.items():
        session = _started(task, rows, settings)
        scores["lvm", condition] = _on_test(task, session)
    few = f"train={2 * sizes.few_per_class}"
    if few in sets:
        condition = sizes.loop
        for rule in dict.fromkeys((settings.rule, *rules)):
            session = _started(task, sets[few], settings.changed(rule=rule))
            _label_round(session, task.truth, sizes.n_recommended)
            model = "lvm_hitl" if rule == settings.rule else f"lvm_{rule}"
            scores[model, condition] = _on_test(task, session)
    return scores, skipped


def sweep_alpha(
    task: Task, settings: SessionSettings, n_few: int, n_rounds: int, k: int, seed: int
) -> Scored:
    """Run the alpha rule from `n_few` + `n_few` prompts; return what the test galaxies score."""
    settings = settings.changed(rule="alpha", seed=derive_seed(seed, "session"))
    session = _started(task, draw_prompts(task.truth, n_few, n_few, seed), settings)
    asked_higher = 0
    for _ in range(n_rounds):
        n_positive, n_negative = session.latest_counts()
        asked_higher += n_positive <= settings.alpha * n_negative
        _label_round(session, task.truth, k)
    labels = session.labels()["value"]
    shares = {"positive_share": float((labels == POSITIVE).mean())}
    values, scores = _on_test(task, session)
    return Scored({**values, **shares, "higher_share": asked_higher / n_rounds}, scores)


def discover(
    pool: Pool,
    truth: np.ndarray,
    annotator: Annotator,
    settings: SessionSettings,
    n_prompts: int,
    n_rounds: int,
    k: int,
    seed: int,
    whitening: Whitening,
    stop_at: float | None = None,
) -> list[dict[str, float]]:
    """Search a pool from a few positives; return `discovery_metrics` after every round.

    Parameters
    ----------
    pool, truth
        Galaxies and whether each is a positive.
    annotator
        Answers what is asked; the prompts are true.
    settings
        Rule and all else.
    n_prompts
        Positives to start with; no negative is given.
    n_rounds, k
        Rounds and galaxies asked about in each.
    seed
        Of prompts and draws.
    whitening
        Of the pool's features.
    stop_at
        Share of the positives after which the search may end; None asks all rounds.

    Returns
    -------
    list of dict
        Entry 0 is the state before the first round; `n_labels` counts the answers so far, without
        the prompts. The search ends early when nothing is left to ask.
    """
    settings = settings.changed(seed=derive_seed(seed, "session"))
    prompts = draw_prompts(truth, n_prompts, 0, seed)
    session = start_session(pool, truth, prompts, settings, whitening)
    labelled, asked, states = prompts, np.empty(0, np.int64), []
    for number in range(n_rounds + 1):
        if number:
            ids = session.suggest(k)
            if not ids:
                break
            session.label(ids, annotator(ids))
            asked = pool.rows_of(ids)
            labelled = np.concatenate([labelled, asked])
        state = discovery_metrics(truth, session.score(), labelled, prompts, asked)
        states.append({"n_labels": float(len(labelled) - len(prompts)), **state})
        if stop_at is not None and state["found"] >= stop_at:
            break
    return states


def recommend(
    pool: Pool,
    truth: np.ndarray,
    settings: SessionSettings,
    n_prompts: int,
    n_rounds: int,
    k: int,
    n_shown: int,
    seed: int,
    whitening: Whitening,
) -> pd.DataFrame:
    """Return the prompts of a search and what it recommends after some rounds (figure 7).

    Returns
    -------
    DataFrame
        `id`, `kind` (prompt or recommended; the latter have no label yet and the highest scores),
        `is_positive` (the truth) and `score`, in the order of the figure.
    """
    settings = settings.changed(seed=derive_seed(seed, "session"))
    prompts = draw_prompts(truth, n_prompts, 0, seed)
    session = start_session(pool, truth, prompts, settings, whitening)
    for _ in range(n_rounds):
        _label_round(session, truth, k)
    scores = session.score()
    left = np.where(np.isfinite(scores), scores, -1)
    left[pool.rows_of(session.labels()["id"])] = -1
    best = np.argsort(-left, kind="stable")[:n_shown]
    best = best[left[best] >= 0]
    rows = np.concatenate([prompts, best])
    kinds = ["prompt"] * len(prompts) + ["recommended"] * len(best)
    return pd.DataFrame(
        {
            "id": pool.ids_of(rows),
            "kind": kinds,
            "is_positive": truth[rows],
            "score": scores[rows],
        }
    )


def kept_result(state_dir: str | Path, key: object, make: Callable[[], object]) -> object:
    """Return what `make` returns, from the state folder if it was made before.

    One small file per repetition: a job that was killed goes on where it was.

    Parameters
    ----------
    state_dir
        Folder of the job, named after a hash of all that the results depend on.
    key
        What tells this result from the others.
    make
        Computes it; the result must be made of what JSON knows.
    """
    path = Path(state_dir) / f"{config_hash(key)}.json"
    if path.exists():
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            log.warning("%s: damaged (%s); made again", path, error)
    result = make()
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(result), encoding="utf-8")
    return result


def _started(task: Task, rows: np.ndarray, settings: SessionSettings) -> Session:
    return start_session(task.pool, task.truth, rows, settings, task.whitening)


def _label_round(session: Session, truth: np.ndarray, k: int) -> None:
    ids = session.suggest(k)
    rows = session.pool.rows_of(ids)
    session.label(ids, [POSITIVE if truth[row] else NEGATIVE for row in rows])


def _on_test(task: Task, session: Session) -> Scored:
    scores = session.score_of(task.test_pool.features)
    return Scored(comparison_metrics(task.test_truth, scores), np.float32(scores).tolist())
