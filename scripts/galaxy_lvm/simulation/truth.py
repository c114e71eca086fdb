"""What is true of a simulated galaxy, and how the catalogue columns follow from it."""

from dataclasses import dataclass

import numpy as np

from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.render import Grid, LightModel
from galaxy_lvm.survey.store import BANDS, PIXEL_SCALE_ARCSEC


@dataclass
class Galaxy:
    """A drawn galaxy: its light and the parameters that the catalogue keeps.

    Attributes
    ----------
    label, subtype
        Class and the kind within it.
    light
        Light before the atmosphere.
    sky
        Magnitude, redshift and scale it was drawn with.
    axis_ratio
        Minor over major axis of its main body on the sky.
    angle_rad
        Direction of the major axis from +x (columns) to +y (rows).
    size_arcsec
        Rough half-light radius; sets the size of the grid.
    sersic_index, half_light_radius_arcsec
        Exact values of a single Sersic profile; None where they are measured on the light.
    """

    label: str
    subtype: str
    light: LightModel
    sky: physics.Sky
    axis_ratio: float
    angle_rad: float
    size_arcsec: float
    sersic_index: float | None = None
    half_light_radius_arcsec: float | None = None
    bulge_to_total: float = 0.0
    n_arms: int = 0
    barred: bool = False
    face_on: bool = False
    merging: bool = False


def position_angle_deg(angle_rad: float) -> float:
    """Return the position angle in degrees, [0, 180): from north (+y) to east (-x)."""
    return float(np.degrees(np.arctan2(-np.cos(angle_rad), np.sin(angle_rad))) % 180.0)


def growth_radii(
    grid: Grid, image: np.ndarray, galaxy: Galaxy, fractions: tuple[float, ...]
) -> np.ndarray:
    """Return the semi-major axes (arcsec) of the ellipses that hold fractions of an image's light.

    Parameters
    ----------
    grid
        Grid of the image.
    image
        (N, N) noise-free light around the centre of the grid.
    galaxy
        Its axis ratio and angle give the ellipses; its first component gives their centre.
    fractions
        Fractions of the total light in (0, 1).
    """
    first = galaxy.light.components[0]
    cos, sin = np.float32(np.cos(galaxy.angle_rad)), np.float32(np.sin(galaxy.angle_rad))
    x, y = grid.x - np.float32(first.x), grid.y - np.float32(first.y)
    radius = np.hypot(x * cos + y * sin, (y * cos - x * sin) / np.float32(galaxy.axis_ratio))
    step = PIXEL_SCALE_ARCSEC / 2
    ring = np.minimum((radius / step).astype(np.int32), 4 * grid.side_pix)
    light = np.cumsum(np.bincount(ring.ravel(), weights=image.ravel()))
    edges = np.arange(1, len(light) + 1) * step
    return np.interp(fractions, np.maximum.accumulate(light) / light[-1], edges)


def truth_row(grid: Grid, galaxy: Galaxy, scene: np.ndarray) -> dict[str, object]:
    """Return the catalogue columns that describe the galaxy alone.

    Parameters
    ----------
    grid
        Grid of the scene.
    galaxy
        The drawn galaxy.
    scene
        (3, N, N/2+1) transform of the galaxy's light without PSF; fluxes are taken from it, so that
        dust and painted structure count.

    Returns
    -------
    dict
        Fluxes in nanomaggies and AB magnitudes (whole system for pairs). `half_light_radius_arcsec`
        is the semi-major axis that holds half of the r light before the atmosphere. `sersic_index`
        is exact for single profiles, else that of the Sersic profile with the same r80 / r50.
    """
    flux = scene[:, 0, 0].real.astype(float)
    half_light, index = galaxy.half_light_radius_arcsec, galaxy.sersic_index
    if half_light is None or index is None:
        image = grid.to_pixels(scene[1] * grid.preblur)
        half_light, r80 = growth_radii(grid, image, galaxy, (0.5, 0.8))
        index = physics.sersic_of_concentration(r80 / half_light)
    row: dict[str, object] = {"label": galaxy.label, "subtype": galaxy.subtype}
    row["redshift"] = galaxy.sky.redshift
    for band, value in zip(BANDS, flux, strict=True):
        row[f"flux_{band}"] = float(value)
        row[f"mag_{band}"] = float(physics.magnitudes(value))
    row["half_light_radius_arcsec"] = float(half_light)
    row["sersic_index"] = float(index)
    row["axis_ratio"] = float(galaxy.axis_ratio)
    row["position_angle_deg"] = position_angle_deg(galaxy.angle_rad)
    row["bulge_to_total"] = float(galaxy.bulge_to_total)
    row["barred"], row["face_on"] = bool(galaxy.barred), bool(galaxy.face_on)
    row["merging"], row["n_arms"] = bool(galaxy.merging), int(galaxy.n_arms)
    row["lens"] = False
    return row
