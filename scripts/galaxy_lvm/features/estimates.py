"""Parameters of any galaxies, by the regressions that `estimate_parameters` scores."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.extensions import Parameter
from galaxy_lvm.core.logs import log
from galaxy_lvm.features.parameters import Inputs, fit_parameter, unscaled, usable_values
from galaxy_lvm.features.ridge import Regressions


class ParameterEstimates:
    """Regressions from features and the box side to columns of a catalogue.

    Parameters
    ----------
    features
        (n, D) of the galaxies that the regressions are fitted and chosen on.
    catalogue
        Their columns, and `box_side_pix`; see `catalogue_of_crops`.
    split
        (n,) train, val or test: fitted on train, chosen on val.
    parameters
        What to estimate. A column that is absent or has too few values is left out with a note.
    seed
        The run's seed.

    Attributes
    ----------
    columns : list of str
        Names of the estimates, `<column>_estimate`.
    """

    def __init__(
        self,
        features: np.ndarray,
        catalogue: pd.DataFrame,
        split: np.ndarray,
        parameters: Sequence[Parameter],
        seed: int,
    ) -> None:
        box = catalogue["box_side_pix"].to_numpy()
        self._inputs = Inputs(features, box, split == "train", seed)
        regressions = Regressions(self._inputs("features+box"), seed)
        self._fitted = {}
        for parameter in parameters:
            target, reason = usable_values(parameter, catalogue, split)
            if target is None:
                log.warning("no estimates of %s: %s", parameter.column, reason)
                continue
            found = fit_parameter(regressions, target, split, parameter)
            log.info("estimates of %s: %s", parameter.column, found.choice)
            self._fitted[f"{parameter.column}_estimate"] = parameter, found
        self.columns = list(self._fitted)

    def __call__(self, features: np.ndarray, box_side_pix: np.ndarray) -> pd.DataFrame:
        """Return estimates in the columns' own units, one row per galaxy (k, D), (k,)."""
        # In double precision: distances in single precision depend on who else is asked about.
        inputs = self._inputs.of_others(features, box_side_pix).astype(np.float64)
        found = {n: unscaled(what, fit(inputs)) for n, (what, fit) in self._fitted.items()}
        return pd.DataFrame(found, index=range(len(inputs)))
