"""Physical colours of stars, galaxies and quasars in W1, W2, W3, and what they follow from."""

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.wise import WisePopulation
from galaxy_lvm.wise.bands import band_fluxes, blackbody, kept

CLASSES = ("star", "galaxy", "quasar")
# kcorrect's templates by what they show here: 2 is a spiral with dust (W2-W3 of 3.8 mag), 1 a
# starburst (5.9), the others are old. Parameters of a Dirichlet distribution over shares of W1 at
# rest; round numbers, for colours between those of ellipticals and of dusty spirals.
_TEMPLATE_WEIGHTS = (0.6, 0.02, 0.6, 0.8, 0.3)
_WITH_DUST = (1, 2)
_MAX_REDSHIFT = 1.2
_QUASAR_REDSHIFTS = (0.1, 3.5)
# Disc: flux per frequency falls as frequency to this power; hot dust where it just survives; a
# torus that shines at 10 micron; starlight of a host. After the parts of Temple et al. (2021).
_DISC_SLOPE, _DISC_SLOPE_SIGMA = -0.5, 0.2
_HOT_DUST_K, _HOT_DUST_SIGMA_K = 1250.0, 120.0
_TORUS_K, _TORUS_RATIO, _TORUS_DEX = 280.0, 4.0, 0.13
_HOST_K = 3800.0
_PIVOT_MICRON, _TORUS_PIVOT_MICRON = 2.0, 10.0
# Dust in front: the near-infrared power law of extinction curves, A(1 micron) = 1.26 E(B-V).
_EXTINCTION_1_MICRON, _EXTINCTION_SLOPE = 1.26, -1.6


def star_fluxes(teff_k: np.ndarray) -> np.ndarray:
    """Return fluxes (n, 3) of blackbodies of temperatures (n,), up to one factor a star."""
    return band_fluxes(blackbody(kept("wavelength_micron"), np.asarray(teff_k)[:, None]))


def galaxy_fluxes(shares: np.ndarray, redshift: np.ndarray) -> np.ndarray:
    """Return fluxes (n, 3) of mixtures of kcorrect's templates, up to one factor a galaxy.

    Parameters
    ----------
    shares
        (n, 5) of the light in W1 at rest.
    redshift
        (n,) from 0 to 1.2; interpolated linearly.
    """
    at, flux = kept("template_redshift"), kept("template_flux")
    flux = flux / flux[0, :, :1]
    place = np.clip(np.asarray(redshift) / at[-1], 0, 1) * (len(at) - 1)
    low = np.minimum(place.astype(int), len(at) - 2)
    part = (place - low)[:, None, None]
    return np.einsum("nt,ntb->nb", shares, flux[low] * (1 - part) + flux[low + 1] * part)


def quasar_fluxes(parts: pd.DataFrame) -> np.ndarray:
    """Return fluxes (n, 3) of reddened power laws with dust and a host, up to one factor each.

    Parameters
    ----------
    parts
        Columns `redshift`, `disc_slope` (of flux per frequency against frequency), `hot_dust_k`,
        `hot_dust` (over the disc at 2 micron), `torus` (over the disc there, at 10 micron),
        `host` (starlight over the disc at 2 micron), `reddening_mag`.
    """
    column = {name: parts[name].to_numpy()[:, None] for name in parts}
    rest = kept("wavelength_micron") / (1 + column["redshift"])
    disc = (rest / _PIVOT_MICRON) ** -column["disc_slope"]
    curve = _EXTINCTION_1_MICRON * rest**_EXTINCTION_SLOPE
    hot, torus, host = (
        blackbody(rest, kelvin) / blackbody(np.array(pivot), kelvin)
        for kelvin, pivot in (
            (column["hot_dust_k"], _PIVOT_MICRON),
            (_TORUS_K, _TORUS_PIVOT_MICRON),
            (_HOST_K, _PIVOT_MICRON),
        )
    )
    light = disc * 10 ** (-0.4 * column["reddening_mag"] * curve)
    light = light + column["hot_dust"] * hot + column["torus"] * torus + column["host"] * host
    return band_fluxes(light)


def draw_quasars(n: int, population: WisePopulation, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the columns that `quasar_fluxes` takes."""
    redshift = rng.gamma(3, population.quasar_redshift / 3, n).clip(*_QUASAR_REDSHIFTS)
    hot = population.hot_dust_ratio * 10 ** (population.hot_dust_dex * rng.standard_normal(n))
    share = np.minimum(rng.exponential(population.host_share, n), 0.9)
    return pd.DataFrame(
        {
            "redshift": redshift,
            "disc_slope": _DISC_SLOPE + _DISC_SLOPE_SIGMA * rng.standard_normal(n),
            "hot_dust_k": _HOT_DUST_K + _HOT_DUST_SIGMA_K * rng.standard_normal(n),
            "hot_dust": hot,
            "torus": _TORUS_RATIO * 10 ** (_TORUS_DEX * rng.standard_normal(n)),
            "host": share / (1 - share) * (1 + hot),
            "reddening_mag": rng.exponential(population.reddening_mag, n),
        }
    )


def draw_fluxes(
    kind: str, n: int, population: WisePopulation, rng: np.random.Generator
) -> tuple[np.ndarray, pd.DataFrame]:
    """Draw sources of one class.

    Parameters
    ----------
    kind
        One of `CLASSES`.
    n
        How many.
    population
        What is drawn from.
    rng
        Generator.

    Returns
    -------
    tuple
        Fluxes (n, 3), up to one factor a source, and what they follow from: `teff_k` (stars),
        `redshift`, `dusty_share` (galaxies: light of templates with dust in W1 at rest); NaN where
        a class has none.
    """
    nothing = np.full(n, np.nan)
    truth = pd.DataFrame({"teff_k": nothing, "redshift": nothing, "dusty_share": nothing})
    if kind == "star":
        teff = population.star_teff_k * 10 ** (population.star_teff_dex * rng.standard_normal(n))
        return star_fluxes(teff), truth.assign(teff_k=teff)
    if kind == "galaxy":
        shares = rng.dirichlet(_TEMPLATE_WEIGHTS, n)
        redshift = rng.gamma(2, population.galaxy_redshift / 2, n).clip(0.005, _MAX_REDSHIFT)
        dusty = shares[:, list(_WITH_DUST)].sum(axis=1)
        return galaxy_fluxes(shares, redshift), truth.assign(redshift=redshift, dusty_share=dusty)
    parts = draw_quasars(n, population, rng)
    return quasar_fluxes(parts), truth.assign(redshift=parts["redshift"])


def colours(fluxes: np.ndarray) -> np.ndarray:
    """Return W1-W2 and W2-W3 (n, 2) [mag, Vega] of fluxes (n, 3) in units of Vega's."""
    return 2.5 * np.log10(fluxes[:, 1:] / fluxes[:, :-1])
