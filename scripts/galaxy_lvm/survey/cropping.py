"""From a cutout to its crop: holes filled, fluxes coloured, blank frames refused, galaxy cut out.

The rule crop_cutouts and whoever reads single images take the same steps.
"""

from dataclasses import dataclass

import numpy as np

from galaxy_lvm.core.config.sky_survey import Stretch
from galaxy_lvm.core.config.survey import Crop
from galaxy_lvm.survey.colour import to_rgb
from galaxy_lvm.survey.crops import BAD_PIXELS, crop_chunk
from galaxy_lvm.survey.pixels import fill_small_holes

# A frame whose brightest and darkest pixel differ by less, in grey levels, shows nothing.
BLANK_CONTRAST = 6


@dataclass(frozen=True)
class Cropped:
    """Crops of the frames that can be used.

    Attributes
    ----------
    images
        uint8 (n, side, side, 3).
    boxes
        int32 (n, 4): x0, y0, x1, y1 in pixels of the frame.
    flags
        uint8 (n,), sums of the bits of `crops.FLAG_NAMES`.
    rows
        int64 (n,): which frame each crop is of.
    reasons
        Frame -> why it cannot be used.
    """

    images: np.ndarray
    boxes: np.ndarray
    flags: np.ndarray
    rows: np.ndarray
    reasons: dict[int, str]


def crop_frames(
    frames: np.ndarray, rgb: bool, settings: Crop, stretch: Stretch | None = None
) -> Cropped:
    """Crop a chunk of a cutout store's frames.

    Parameters
    ----------
    frames
        uint8 (N, H, W, 3) where `rgb`, else float32 (N, bands, H, W) in nanomaggies.
    rgb
        Whether they are colours already.
    settings
        The config's section `crop`.
    stretch
        How fluxes become colours; the sky viewer's mapping of g, r, z where None.
    """
    reasons, filled = {}, np.zeros(len(frames), bool)
    if not rgb:
        limits = settings.max_bad_fraction, settings.zero_is_missing
        reasons, filled = fill_small_holes(frames, *limits)
        frames = to_rgb(frames, stretch or Stretch())
    reasons |= {i: "is blank; fetch it again" for i in _blank(frames) if i not in reasons}
    good = np.array([i for i in range(len(frames)) if i not in reasons], int)
    images, boxes, bits = crop_chunk(frames[good], settings)
    bits |= np.where(filled[good], BAD_PIXELS, 0).astype(np.uint8)
    return Cropped(images, boxes, bits, good, reasons)


def _blank(frames: np.ndarray) -> list[int]:
    thin = frames[:, ::2, ::2].reshape(len(frames), -1)
    return [int(i) for i in np.flatnonzero(np.ptp(thin, axis=1) < BLANK_CONTRAST)]
