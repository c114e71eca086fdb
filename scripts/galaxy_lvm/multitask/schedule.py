"""Which task a step trains: equal shares, or shares that follow how far each task lags (III.A)."""

from collections.abc import Mapping, Sequence
from typing import Any

from galaxy_lvm.core.errors import ConfigError

STRATEGIES = ("pre_train", "multi_uniform", "multi_active")
# Not the paper's: multi_uniform on an encoder that was never pretrained, to see what that adds.
FROM_SCRATCH = "from_scratch"


class TaskSchedule:
    """Deals out the steps so that every task gets its share as exactly as whole steps allow.

    Lags (see `task_lags`) come from the validation split, not from the test split as in the paper.

    Parameters
    ----------
    tasks
        Names of the tasks.
    active
        Whether `update` changes the shares; False keeps them equal.
    min_share
        Share that no task falls below, in [0, 1 / number of tasks].
    """

    def __init__(self, tasks: Sequence[str], active: bool, min_share: float = 0.15) -> None:
        if not 0 <= min_share <= 1 / len(tasks):
            raise ConfigError(
                f"multitask.min_share: {min_share} is not between 0 and 1/{len(tasks)}"
            )
        self.tasks = tuple(tasks)
        self.active = active
        self.min_share = min_share
        self.shares = dict.fromkeys(self.tasks, 1 / len(self.tasks))
        self.credit = dict.fromkeys(self.tasks, 0.0)
        self.counts = dict.fromkeys(self.tasks, 0)

    def next_task(self) -> tuple[str, int]:
        """Return the task of the next step and how many steps it has had before."""
        for task in self.tasks:
            self.credit[task] += self.shares[task]
        task = max(self.tasks, key=lambda name: self.credit[name])
        self.credit[task] -= 1.0
        self.counts[task] += 1
        return task, self.counts[task] - 1

    def update(self, lags: Mapping[str, float]) -> None:
        """Set the shares from the lags (each in [0, 1]); does nothing unless `active`.

        Raises
        ------
        ConfigError
            If a lag is missing or outside [0, 1].
        """
        for task in self.tasks:
            if not 0 <= lags.get(task, -1.0) <= 1:
                raise ConfigError(f"lag of {task} is {lags.get(task)}, expected one in [0, 1]")
        total = sum(lags[task] for task in self.tasks)
        if not self.active or total == 0:
            return
        free = 1 - self.min_share * len(self.tasks)
        for task in self.tasks:
            self.shares[task] = self.min_share + free * lags[task] / total

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint has to keep."""
        return {"shares": self.shares, "credit": self.credit, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.shares = dict(state["shares"])
        self.credit = dict(state["credit"])
        self.counts = dict(state["counts"])


def task_lags(scores: Mapping[str, float], n_classes: int, kind: str) -> dict[str, float]:
    """Return how far every task lags, each in [0, 1], from its validation scores.

    Parameters
    ----------
    scores
        `f1` (macro F1) and, for both image tasks, `mse_{task}` and `mse_input_{task}`; for
        `classical` also `mse_classical_{task}`.
    n_classes
        Number of classes.
    kind
        `paper`: 1 - F1 beside the mean squared errors as they are, the measures that the paper
        names (III.A); it gives no formula. Errors of grey levels in [0, 1] are a hundred times
        smaller, so all that `min_share` leaves free goes to classification.
        `input`: every task on the scale from doing nothing (1: chance, the input itself) to
        perfect (0). What noise has destroyed counts as lag for ever.
        `classical`: as `input`, but an image task has no lag left where its error is that of the
        best classical method that knows the PSF, the noise or the mask.
    """
    lags = {"classification": lag_of_f1(scores["f1"], n_classes)}
    if kind == "paper":
        lags["classification"] = 1 - scores["f1"]
    for task in ("restoration", "reconstruction"):
        error, error_input = scores[f"mse_{task}"], scores[f"mse_input_{task}"]
        best = scores[f"mse_classical_{task}"] if kind == "classical" else 0.0
        lags[task] = min(1.0, error) if kind == "paper" else lag_of_mse(error, error_input, best)
    return lags


def lag_of_f1(f1: float, n_classes: int) -> float:
    """Return the lag of a macro F1 score: 1 at chance level (1 / n_classes), 0 at a score of 1."""
    chance = 1 / n_classes
    return min(1.0, max(0.0, (1 - f1) / (1 - chance)))


def lag_of_mse(mse: float, mse_input: float, mse_best: float = 0.0) -> float:
    """Return the lag of an image task: 1 at the error of its own input, 0 at the best error."""
    span = mse_input - mse_best
    return min(1.0, max(0.0, (mse - mse_best) / span)) if span > 0 else 0.0
