"""Putting lenses into a simulated field, where they can be seen.

PSF, depth and noise are those of the simulated survey (`mock`). Every object is drawn on a grid
that holds it and added to the field, so that large fields cost no more per object.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from galaxy_lvm.core.config.lenses import MockLenses
from galaxy_lvm.core.config.survey import MockSky
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.lenses import (
    Lens,
    arc_snr,
    draw_lens,
    lens_grid,
    lens_mask,
    lensed_transform,
)
from galaxy_lvm.simulation.render import Grid, LightModel, make_grid, scene_transform
from galaxy_lvm.simulation.survey import (
    draw_psf,
    observe,
    sky_nanomaggies,
    sky_sigma_nanomaggies,
    white_sigmas,
)
from galaxy_lvm.survey.fields import box_of_mask
from galaxy_lvm.survey.store import BANDS, PIXEL_SCALE_ARCSEC

STAMP_SIDES_PIX = (64, 96, 128, 192, 256, 384)
# An elliptical's wings reach far: the stamp ends this many half-light radii from the centre.
STAMP_REACH = 10.0
BOX_MARGIN_PIX = 2
TRIES_PER_LENS, PLACES_PER_LENS = 400, 20
# Why a drawn lens was not kept, in the order in which it is asked.
REDRAWN = ("no_pixel", "beside_the_deflector", "too_large", "too_faint", "no_place")

Box = tuple[float, float, float, float]


class Canvas:
    """A field under one PSF, to which objects are added.

    Parameters
    ----------
    side_pix
        Side of the field.
    survey
        Depth and seeing.
    rng
        Draws the PSF.
    """

    def __init__(self, side_pix: int, survey: MockSky, rng: np.random.Generator) -> None:
        self.side_pix = side_pix
        self.survey = survey
        self.fwhm_arcsec, self._shear = draw_psf(survey, rng)
        self.image = np.zeros((len(BANDS), side_pix, side_pix), dtype=np.float32)
        self.sky = sky_nanomaggies()
        self.sky_sigma = sky_sigma_nanomaggies(survey)
        self.sigma = white_sigmas(survey)

    def seen(self, grid: Grid, transform: np.ndarray) -> np.ndarray:
        """Return what a transform looks like through the PSF, (3, N, N)."""
        return observe(grid, transform, self.fwhm_arcsec, self.survey.psf_moffat_beta, self._shear)

    def add(self, light: LightModel, x_pix: float, y_pix: float, size_arcsec: float) -> None:
        """Add an object of some half-light radius at a place (pixel edges)."""
        wanted = 2 * STAMP_REACH * size_arcsec / PIXEL_SCALE_ARCSEC
        side = next((side for side in STAMP_SIDES_PIX if side >= wanted), STAMP_SIDES_PIX[-1])
        left, dx = corner_of(x_pix, side)
        top, dy = corner_of(y_pix, side)
        grid = make_grid(side, side)
        paste(self.image, self.seen(grid, light_transform(grid, light, dx, dy)), left, top)


def light_transform(grid: Grid, light: LightModel, x_pix: float, y_pix: float) -> np.ndarray:
    """Return the transform (3, N, N/2+1) of light moved off the middle of a grid."""
    angles = grid.ky[:, None] * y_pix + grid.kx[None, :] * x_pix
    shift = np.exp(-1j * PIXEL_SCALE_ARCSEC * angles).astype(np.complex64)
    return scene_transform(grid, light) * shift


def corner_of(place_pix: float, side_pix: int) -> tuple[int, float]:
    """Return a stamp's first pixel and how far (pixels) its middle is short of the place."""
    first = int(np.floor(place_pix - side_pix / 2 + 0.5))
    return first, place_pix - side_pix / 2 - first


def paste(image: np.ndarray, stamp: np.ndarray, left: int, top: int) -> None:
    """Add a stamp (..., h, w) to an image (..., H, W), in place; what is outside is cut off."""
    (height, width), (h, w) = image.shape[-2:], stamp.shape[-2:]
    low_x, low_y = max(left, 0), max(top, 0)
    high_x, high_y = max(low_x, min(left + w, width)), max(low_y, min(top + h, height))
    part = stamp[..., low_y - top : high_y - top, low_x - left : high_x - left]
    image[..., low_y:high_y, low_x:high_x] += part


@dataclass(frozen=True)
class Placed:
    """A lens in its field.

    Attributes
    ----------
    lens
        What was drawn.
    mask
        bool (S, S), its images.
    box
        Edges of the mask.
    mag_r
        Magnitude of all images together.
    snr
        Their signal to noise.
    """

    lens: Lens
    mask: np.ndarray
    box: Box
    mag_r: float
    snr: float


def add_lens(
    canvas: Canvas,
    rng: np.random.Generator,
    settings: MockLenses,
    others: list[Placed],
    redrawn: Counter,
) -> Placed:
    """Draw lenses until one can be seen in this field, and add it.

    Parameters
    ----------
    canvas
        Field with everything else in it; the lens is added in place.
    rng
        Source of randomness.
    settings
        Settings of the lenses.
    others
        Lenses that are there already; boxes do not overlap.
    redrawn
        Counts why lenses were not kept.

    Raises
    ------
    ConfigError
        If no lens could be seen after many tries.
    """
    for _ in range(TRIES_PER_LENS):
        placed = _try_lens(canvas, rng, settings, [other.box for other in others])
        if isinstance(placed, Placed):
            return placed
        redrawn[placed] += 1
    raise ConfigError(
        f"lenses.fields: none of {TRIES_PER_LENS} lenses can be seen in a field of "
        f"{canvas.side_pix} pixels ({dict(redrawn)}); lower lenses.fields.mock.min_arc_snr, take "
        "brighter sources, or larger fields"
    )


def _try_lens(
    canvas: Canvas, rng: np.random.Generator, settings: MockLenses, others: list[Box]
) -> Placed | str:
    """Add one lens, or return why not."""
    lens = draw_lens(rng, settings.einstein_limits_arcsec, settings.source_mag_r_limits)
    grid = lens_grid(lens)
    offset = rng.uniform(-0.5, 0.5, 2)  # of the deflector from the middle of its stamp, pixels
    transform = lensed_transform(grid, lens, *(offset * PIXEL_SCALE_ARCSEC))
    arcs = canvas.seen(grid, transform)
    limits = (settings.mask_peak_fraction, settings.mask_sky_sigmas)
    mask = lens_mask(arcs, canvas.sky_sigma, *limits)
    if not mask.any():
        return "no_pixel"
    box = box_of_mask(mask)
    x, y = grid.side_pix / 2 + offset
    if not (box[0] < x < box[2] and box[1] < y < box[3]):
        return "beside_the_deflector"
    if max(box[2] - box[0], box[3] - box[1]) > canvas.side_pix - 2 * BOX_MARGIN_PIX:
        return "too_large"
    galaxy = canvas.seen(grid, light_transform(grid, lens.galaxy.light, *offset))
    # What is too faint without anything else around need not be placed.
    if arc_snr(arcs, galaxy, np.zeros(1), canvas.sigma, canvas.sky) < settings.min_arc_snr:
        return "too_faint"
    corner = _find_place(canvas, rng, arcs[1], mask, others)
    if corner is None:
        return "no_place"
    left, top = corner
    rest = np.zeros_like(arcs)
    paste(rest, canvas.image, -left, -top)
    snr = arc_snr(arcs, galaxy, rest, canvas.sigma, canvas.sky)
    if snr < settings.min_arc_snr:
        return "too_faint"
    canvas.add(lens.galaxy.light, left + x, top + y, lens.galaxy.size_arcsec)
    paste(canvas.image, arcs, left, top)
    in_field = np.zeros((canvas.side_pix, canvas.side_pix), dtype=np.uint8)
    paste(in_field, mask.astype(np.uint8), left, top)
    mag_r = float(physics.magnitudes(transform[1, 0, 0].real))
    return Placed(lens, in_field.astype(bool), box_of_mask(in_field), mag_r, snr)


def _find_place(
    canvas: Canvas, rng: np.random.Generator, arcs: np.ndarray, mask: np.ndarray, others: list[Box]
) -> tuple[int, int] | None:
    """Return the first pixel (left, top) of a stamp with its box inside the field and in sight.

    In sight: the box touches no other lens's, and what else is there is fainter in r, within the
    mask, than the images. None where no such place was found.
    """
    x_min, y_min, x_max, y_max = (int(edge) for edge in box_of_mask(mask))
    inside = mask[y_min:y_max, x_min:x_max]
    light = arcs[y_min:y_max, x_min:x_max][inside].sum()
    last = canvas.side_pix - BOX_MARGIN_PIX
    for _ in range(PLACES_PER_LENS):
        left = int(rng.integers(BOX_MARGIN_PIX - x_min, last - x_max + 1))
        top = int(rng.integers(BOX_MARGIN_PIX - y_min, last - y_max + 1))
        x0, y0, x1, y1 = x_min + left, y_min + top, x_max + left, y_max + top
        if any(x0 < b[2] and b[0] < x1 and y0 < b[3] and b[1] < y1 for b in others):
            continue
        if canvas.image[1, y0:y1, x0:x1][inside].sum() < light:
            return left, top
    return None
