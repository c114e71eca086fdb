"""What test stars and binaries are asked by translation, both ways."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from galaxy_lvm.align.anomalies import (
    FALSE_POSITIVES,
    SCORE_COLUMNS,
    anomaly_rows,
    component_misfit,
    misfit,
    usual_scatter,
)
from galaxy_lvm.align.network import AlignedNetworks
from galaxy_lvm.align.pairs import SplitPairs
from galaxy_lvm.align.translation import (
    DIRECTIONS,
    binaries,
    joined,
    noise_profile,
    score_translation,
    translations,
)
from galaxy_lvm.core.config.align import Binaries, Experiment


@dataclass
class Asked:
    """Rows of the long table, and tables behind them."""

    rows: list[dict] = field(default_factory=list)
    errors: list[pd.DataFrame] = field(default_factory=list)
    profiles: list[pd.DataFrame] = field(default_factory=list)
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)


def ask_translations(
    split: SplitPairs,
    module: AlignedNetworks,
    experiment: Experiment,
    settings: Binaries,
    seed: int,
) -> Asked:
    """Return errors of test stars, and how well binaries stand out.

    Parameters
    ----------
    split
        The three parts.
    module
        The aligned networks.
    experiment
        What makes a pair.
    settings
        How many binaries, and how unequal.
    seed
        The run's seed.
    """
    shares = settings.share_min, settings.share_max
    asked = joined(split.val, split.test, binaries(split.test, settings.n_binaries, shares, seed))
    n_val, n_test = len(split.val), len(split.test)
    found, misfits = Asked(), defaultdict(lambda: np.zeros(len(asked)))
    misfits["components"] += component_misfit(split.train, split.val, asked)
    ways = ((split, asked, module), (turned(split), asked.turned(), module.turned()))
    for direction, (parts, spectra, network) in zip(DIRECTIONS, ways, strict=True):
        for model, made in translations(parts, spectra, network, seed):
            at = made[n_val : n_val + n_test]
            scored = score_translation(at, parts.test, experiment, model, direction, seed)
            found.rows += scored[0]
            found.errors.append(scored[1])
            found.profiles.append(scored[2])
            if model != "mean":
                scatter = usual_scatter(made[:n_val], parts.val.b)
                misfits[model] += misfit(made, spectra.b, scatter)
        head = {"model": "noise", "direction": direction}
        wave = {"wavelength_angstrom": parts.test.b.wavelength}
        found.profiles.append(pd.DataFrame({**head, **wave, "error": noise_profile(parts.test.b)}))
    limits = {m: float(np.quantile(v[:n_val], 1 - FALSE_POSITIVES)) for m, v in misfits.items()}
    injected = np.arange(n_val, len(asked)) >= n_val + n_test
    known = {"id": asked.ids[n_val:], "injected": injected}
    parts = [pd.DataFrame({"model": m, **known, "score": v[n_val:]}) for m, v in misfits.items()]
    found.scores = pd.concat(parts, ignore_index=True)[list(SCORE_COLUMNS)]
    found.rows += anomaly_rows(found.scores, limits, experiment, seed)
    return found


def turned(split: SplitPairs) -> SplitPairs:
    """Return the three parts with their sides exchanged."""
    return SplitPairs(*(part.turned() for part in (split.train, split.val, split.test)))
