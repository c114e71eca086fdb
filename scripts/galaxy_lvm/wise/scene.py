"""What stands in every simulated cutout: the source, its neighbours, and what is known of them."""

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.wise import WiseScene
from galaxy_lvm.wise.bands import BANDS, PIXEL_SCALE_ARCSEC, nanomaggies
from galaxy_lvm.wise.colours import CLASSES, draw_fluxes
from galaxy_lvm.wise.render import DISC_NU, SPHEROID_NU, Shapes

# Median half-light radius of galaxies at W1 = 13 mag, how it falls with W1, its scatter: round
# numbers, so that bright galaxies are resolved by 6 arcsec and faint ones are not.
_SIZE_ARCSEC, _SIZE_DEX_PER_MAG, _SIZE_DEX, _SIZE_AT_MAG = 2.5, -0.12, 0.2, 13.0
_AXIS_RATIOS = (0.3, 1.0)
# Neighbours: shares of the classes, limits in W1, and the slope of log10 counts against magnitude.
_NEIGHBOUR_SHARES = (0.6, 0.35, 0.05)
_NEIGHBOUR_MAG = (11.0, 17.5)
_COUNTS_SLOPE = 0.3
# Sources beyond an edge still send light into the cutout.
_BEYOND_EDGE_PIX = 4
BLEND_ARCSEC = 10.0
"""Neighbours within this distance count as blended, in the truth alone."""


def draw_sources(
    kinds: np.ndarray,
    w1_mag: np.ndarray,
    scene: WiseScene,
    scatter_mag: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw sources of given classes and magnitudes.

    Parameters
    ----------
    kinds
        (n,) names of `CLASSES`.
    w1_mag
        (n,) W1 [mag, Vega].
    scene
        The simulated sky.
    scatter_mag
        Scatter of W1-W2 and of W1-W3 around the physical colours.
    rng
        Generator.

    Returns
    -------
    DataFrame
        `label`, `w1_mag`, `w2_mag`, `w3_mag`, the columns of `draw_fluxes`, and the shape:
        `half_light_arcsec` (0 for a point source), `axis_ratio`, `position_angle`, `spergel_nu`.
    """
    parts = []
    for kind in CLASSES:
        rows = np.flatnonzero(kinds == kind)
        fluxes, truth = draw_fluxes(kind, len(rows), scene.population, rng)
        mags = -2.5 * np.log10(fluxes / fluxes[:, :1]) + w1_mag[rows, None]
        mags[:, 1:] += scatter_mag * rng.standard_normal((len(rows), 2))
        named = {f"{band}_mag": mags[:, k] for k, band in enumerate(BANDS)}
        shape = _shapes(kind, w1_mag[rows], truth["dusty_share"].to_numpy(), rng)
        parts.append(truth.assign(row=rows, label=kind, **named, **shape))
    table = pd.concat(parts, ignore_index=True).sort_values("row").reset_index(drop=True)
    return table.drop(columns="row")


def _shapes(
    kind: str, w1_mag: np.ndarray, dusty_share: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    n = len(w1_mag)
    if kind != "galaxy":
        nothing = np.zeros(n)
        return {"half_light_arcsec": nothing, "axis_ratio": nothing + 1, "position_angle": nothing,
                "spergel_nu": nothing + DISC_NU}  # fmt: skip
    dex = _SIZE_DEX_PER_MAG * (w1_mag - _SIZE_AT_MAG) + _SIZE_DEX * rng.standard_normal(n)
    return {
        "half_light_arcsec": _SIZE_ARCSEC * 10**dex,
        "axis_ratio": rng.uniform(*_AXIS_RATIOS, n),
        "position_angle": rng.uniform(0, np.pi, n),
        "spergel_nu": np.where(dusty_share > 0.5, DISC_NU, SPHEROID_NU),
    }


def draw_targets(
    n: int, scene: WiseScene, scatter_mag: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the sources of n cutouts, classes in turn; columns of `draw_sources`, `x_pix`, `y_pix`.

    `x_pix` and `y_pix` are the distance from the cutout's centre.
    """
    kinds = np.array(CLASSES)[np.arange(n) % len(CLASSES)]
    table = draw_sources(
        kinds, rng.uniform(scene.w1_min_mag, scene.w1_max_mag, n), scene, scatter_mag, rng
    )
    offsets = rng.uniform(-scene.offset_max_pix, scene.offset_max_pix, (2, n))
    return table.assign(x_pix=offsets[0], y_pix=offsets[1])


def draw_neighbours(
    n: int, scene: WiseScene, scatter_mag: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw other sources of n cutouts; columns as `draw_targets`, and `cutout`, where each is."""
    side = scene.side_pix + 2 * _BEYOND_EDGE_PIX
    area_arcmin2 = (side * PIXEL_SCALE_ARCSEC / 60) ** 2
    counts = rng.poisson(scene.neighbours_per_arcmin2 * area_arcmin2, n)
    m = int(counts.sum())
    low, high = 10 ** (_COUNTS_SLOPE * np.array(_NEIGHBOUR_MAG))
    w1_mag = np.log10(low + (high - low) * rng.random(m)) / _COUNTS_SLOPE
    kinds = rng.choice(CLASSES, m, p=_NEIGHBOUR_SHARES)
    table = draw_sources(kinds, w1_mag, scene, scatter_mag, rng)
    places = rng.uniform(-side / 2, side / 2, (2, m))
    return table.assign(x_pix=places[0], y_pix=places[1], cutout=np.repeat(np.arange(n), counts))


def blend_shares(targets: pd.DataFrame, neighbours: pd.DataFrame) -> np.ndarray:
    """Return the W1 flux (n,) of neighbours within `BLEND_ARCSEC` over that of the source."""
    own = targets.iloc[neighbours["cutout"]]
    distance = np.hypot(neighbours["x_pix"].to_numpy() - own["x_pix"].to_numpy(),
                        neighbours["y_pix"].to_numpy() - own["y_pix"].to_numpy())  # fmt: skip
    near = distance * PIXEL_SCALE_ARCSEC < BLEND_ARCSEC
    flux = np.where(near, nanomaggies(neighbours["w1_mag"]), 0)
    total = np.bincount(neighbours["cutout"], flux, minlength=len(targets))
    return total / nanomaggies(targets["w1_mag"])


def fluxes_of(table: pd.DataFrame) -> np.ndarray:
    """Return fluxes (n, 3) in Vega nanomaggies of a table's magnitudes."""
    return nanomaggies(table[[f"{band}_mag" for band in BANDS]].to_numpy())


def shapes_of(table: pd.DataFrame) -> Shapes:
    """Return where a table's sources lie and how large they are."""
    names = ("x_pix", "y_pix", "half_light_arcsec", "axis_ratio", "position_angle", "spergel_nu")
    return Shapes(*(table[name].to_numpy() for name in names))
