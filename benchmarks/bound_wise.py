"""What photometry alone tells at WISE's faint end: point sources, place and background known.

`PYTHONPATH=scripts python benchmarks/bound_wise.py` prints the accuracy of the floors' classifiers
on true fluxes with the noise of such a fit, for each assumed scatter (ten seconds of CPU). Kept in
results/wise.json.
"""

import numpy as np
import pandas as pd
from galaxy_lvm.core.config.wise import Wise
from galaxy_lvm.wise.bands import BANDS, noise_pixels, pixel_noise
from galaxy_lvm.wise.floors import photometric_features
from galaxy_lvm.wise.photometry import asinh_magnitudes
from galaxy_lvm.wise.scene import draw_targets, fluxes_of
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier

# Brighter sources are not measured in the faint bin; drawn in parts, for memory.
_BRIGHTEST_MAG, _PART, _N_PARTS, _SEED = 15.0, 3000, 50, 3


def main() -> None:
    """Print a line per scatter and classifier: sources learned from, asked, share that is right."""
    settings = Wise()
    scene = settings.scene.model_copy(update={"w1_min_mag": _BRIGHTEST_MAG})
    low, high = settings.scores.w1_edges_mag[-2:]
    sigma = pixel_noise(np.array(scene.depth_mag)) * np.sqrt(noise_pixels())
    for scatter in settings.colour_scatters_mag:
        rng = np.random.default_rng(_SEED)
        parts = [draw_targets(_PART, scene, scatter, rng) for _ in range(_N_PARTS)]
        truth = pd.concat(parts, ignore_index=True)
        fluxes = fluxes_of(truth)
        mags = asinh_magnitudes(fluxes + sigma * rng.standard_normal(fluxes.shape), sigma)
        measured = pd.DataFrame(mags, columns=[f"{band}_mag" for band in BANDS])
        faint = measured["w1_mag"].between(low, high, inclusive="left").to_numpy()
        x, labels = photometric_features(measured[faint], False), truth["label"].to_numpy()[faint]
        n = 2 * len(x) // 3
        trees = HistGradientBoostingClassifier(max_leaf_nodes=16, max_iter=200, learning_rate=0.05,
                                               random_state=_SEED)  # fmt: skip
        for name, method in (("quadratic", QuadraticDiscriminantAnalysis()), ("boosting", trees)):
            right = method.fit(x[:n], labels[:n]).predict(x[n:]) == labels[n:]
            print(f"scatter {scatter:g} mag, {name}: {n} learned from, {len(x) - n} asked, "
                  f"{right.mean():.4f} right")  # fmt: skip


if __name__ == "__main__":
    main()
