"""What an estimate is worth at single galaxies."""

import numpy as np
import pandas as pd

from galaxy_lvm.joint.names import CLASSES

CALLED = 0.5  # a class that is regressed as 0 and 1


def skills(predictions: pd.DataFrame, target: str, split: str) -> dict[str, pd.DataFrame]:
    """Return the skill of every repetition (rows) at every galaxy (columns), by model.

    Of numbers it is 1 minus the squared error over the variance, whose mean is R2; of classes
    whether the call is right, whose mean is the accuracy.
    """
    chosen = predictions[(predictions["target"] == target) & (predictions["split"] == split)]
    if target in CLASSES:
        value = ((chosen["predicted"] > CALLED) == (chosen["true"] > CALLED)).astype(float)
    else:
        of_one = chosen.drop_duplicates("id")["true"]
        value = 1 - np.square(chosen["predicted"] - chosen["true"]) / of_one.var(ddof=0)
    table = chosen.assign(skill=value)
    return {
        str(model): part.pivot(index="seed", columns="id", values="skill")
        for model, part in table.groupby("model", sort=False)
    }
