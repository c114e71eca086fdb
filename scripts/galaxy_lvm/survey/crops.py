"""Adaptive crops: cut every galaxy out at its own size (paper, section II.B).

The paper only says that OpenCV finds the area that a galaxy covers by its grey levels, and that
this area is cut and resized. The steps here:

1. sky level and noise from the darkest quarter of an 8 x 8 grid of patches,
2. all pixels above the sky by `threshold_sigma`, and of these the piece that holds the centre,
3. the part of that piece that survives a rotation by 180 degrees about the galaxy's centre. A
   neighbour that touches the galaxy on one side does not survive; arms and discs do,
4. a square of `margin` times the extent. What lies outside the symmetric part (tidal tails, a
   merging companion) may enlarge it, by `neighbour_growth` at most,
5. a square that would stick out of the frame is moved inside, so that no pixel is invented.
"""

from functools import lru_cache

import cv2
import numpy as np

from galaxy_lvm.core.config.survey import Crop
from galaxy_lvm.core.errors import DataError

# Bits of the `flag` column of the crops file.
DEFAULT_BOX = 1  # no galaxy stands out at the centre: a box of fixed size was cut
TOUCHES_FRAME = 2  # the galaxy reaches the edge of the frame or would need a larger box than it
BAD_PIXELS = 4  # missing pixels were interpolated
NEIGHBOUR = 8  # the galaxy touches something on one side; the box was limited
FLAG_NAMES = {
    DEFAULT_BOX: "default_box",
    TOUCHES_FRAME: "touches_frame",
    BAD_PIXELS: "bad_pixels",
    NEIGHBOUR: "neighbour",
}

# Frames are reduced to between 1 and 2 times this for finding the galaxy: an extent is then known
# to a per cent of the frame, which the margin makes irrelevant.
_SEGMENTATION_SIDE_PIX = 128
_SKY_GRID = 8
_BLUR_SIGMA_PIX = 1.2
# Less than this many grey levels above the sky is compression noise, whatever the sky's scatter.
_SMALLEST_CONTRAST = 4.0
_SMALLEST_AREA_PIX = 12
# The edge of a bright galaxy is set at this share of its peak: at a fixed level the wide, faint
# halos of concentrated galaxies would make these look smaller in their crops than discs.
_SHARE_OF_PEAK = 0.06
_STEPS_OFF_THE_EDGE = 2
_CENTROID_STEPS = 8
_STEP_FACTOR = 2.2
_EVEN = 0.75
_MEAN_OF_RGB = np.full((1, 3), 1.0 / 3.0, np.float32)


def adaptive_box(
    rgb: np.ndarray, settings: Crop | None = None
) -> tuple[tuple[int, int, int, int], int]:
    """Find the square to cut around the galaxy at the centre of a frame.

    Parameters
    ----------
    rgb
        uint8, shape (H, W, 3), at least 16 x 16.
    settings
        Defaults where None.

    Returns
    -------
    box : tuple of int
        x0, y0, x1, y1 in pixels of the frame, the upper ends excluded; square, inside the frame.
    flags : int
        Sum of `DEFAULT_BOX`, `TOUCHES_FRAME` and `NEIGHBOUR`, as they apply.

    Raises
    ------
    DataError
        If the array is not an 8-bit colour image or is too small.
    """
    settings = settings or Crop()
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or min(rgb.shape[:2]) < 16:
        raise DataError(
            f"a crop is cut from a uint8 (H, W, 3) image of 16 pixels at least, not from "
            f"{rgb.dtype} {rgb.shape}"
        )
    height, width = rgb.shape[:2]
    reduction = max(1, min(height, width) // _SEGMENTATION_SIDE_PIX)
    grey = _smooth_grey(rgb, reduction)
    piece, centre = _central_piece(grey, settings)
    if piece is None:
        side = settings.default_fraction * min(height, width)
        return _square(width / 2, height / 2, side, rgb.shape, settings), DEFAULT_BOX
    x0, y0, x1, y1, neighbour = _extent(piece, centre, settings.neighbour_growth)
    scale_x, scale_y = width / grey.shape[1], height / grey.shape[0]
    side = settings.margin * max((x1 - x0) * scale_x, (y1 - y0) * scale_y)
    flags = NEIGHBOUR if neighbour else 0
    if side > settings.max_fraction * min(height, width) or _touches((x0, y0, x1, y1), grey.shape):
        flags |= TOUCHES_FRAME
    # About the galaxy's peak, not the middle of its outline, which one arm or neighbour shifts:
    # a nucleus that always lies at one place is worth 4 per cent of accuracy to HOG + logistic
    # regression on real galaxies.
    peak_x, peak_y = _refined_peak(grey, centre)
    middle = peak_x * scale_x, peak_y * scale_y
    return _square(*middle, side, rgb.shape, settings), flags


def _smooth_grey(rgb: np.ndarray, reduction: int) -> np.ndarray:
    """Return the mean of the channels, reduced and smoothed, float32."""
    if reduction > 1:
        size = rgb.shape[1] // reduction, rgb.shape[0] // reduction
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    # The plain mean, not the luminance: that gives blue, hence spiral arms, a tenth of the weight.
    grey = cv2.transform(rgb.astype(np.float32), _MEAN_OF_RGB)
    return cv2.GaussianBlur(grey, (0, 0), _BLUR_SIGMA_PIX)


def _sky(grey: np.ndarray) -> tuple[float, float]:
    """Return level and scatter of the sky, from the darkest quarter of a grid of patches."""
    grid = (_SKY_GRID, _SKY_GRID)
    means = cv2.resize(grey, grid, interpolation=cv2.INTER_AREA).ravel()
    squares = cv2.resize(cv2.multiply(grey, grey), grid, interpolation=cv2.INTER_AREA).ravel()
    darkest = np.argsort(means)[: means.size // 4]
    level = float(means[darkest].mean())
    scatter = float(np.sqrt(max(0.0, squares[darkest].mean() - level**2)))
    return level, scatter


def _central_piece(grey: np.ndarray, settings: Crop) -> tuple[np.ndarray | None, tuple[int, int]]:
    """Return the mask (uint8) of the piece at the centre and the galaxy's centre (x, y)."""
    level, scatter = _sky(grey)
    centre = _central_peak(grey, level, settings.centre_fraction)
    peak = float(grey[centre[1], centre[0]]) - level
    contrast = max(settings.threshold_sigma * scatter, _SMALLEST_CONTRAST)
    if peak <= contrast:
        return None, centre
    contrast = max(contrast, _SHARE_OF_PEAK * peak)
    first = piece = _piece_around(grey, level + contrast, centre)
    # A lopsided piece that reaches the frame's edge is mostly the halo of a star or of a larger
    # galaxy, or a step in the sky: look whether the galaxy stands alone a little higher up. An
    # even one is a galaxy that fills the frame.
    for _ in range(_STEPS_OFF_THE_EDGE):
        if not _touches(_bounds(piece), piece.shape) or _evenness(piece, centre) > _EVEN:
            break
        contrast *= _STEP_FACTOR
        piece = _piece_around(grey, level + contrast, centre)
    if cv2.countNonZero(piece) < _SMALLEST_AREA_PIX or _touches(_bounds(piece), piece.shape):
        piece = first
    return (piece if cv2.countNonZero(piece) >= _SMALLEST_AREA_PIX else None), centre


def _central_peak(grey: np.ndarray, level: float, centre_fraction: float) -> tuple[int, int]:
    """Return x, y of the galaxy's peak, favouring a faint one at the centre over a star aside."""
    height, width = grey.shape
    x, y = width // 2, height // 2
    reach = max(2, round(centre_fraction * min(height, width)))
    window = grey[y - reach : y + reach + 1, x - reach : x + reach + 1] - np.float32(level)
    _, _, _, (peak_x, peak_y) = cv2.minMaxLoc(window * _centre_weight(reach))
    # The weight pulls the maximum inwards; climb back to the galaxy's own.
    x0, y0 = max(0, peak_x - 2), max(0, peak_y - 2)
    _, _, _, (dx, dy) = cv2.minMaxLoc(window[y0 : peak_y + 3, x0 : peak_x + 3])
    return x - reach + x0 + dx, y - reach + y0 + dy


def _refined_peak(grey: np.ndarray, centre: tuple[int, int]) -> tuple[float, float]:
    """Return x, y of a peak between pixels, from the frame's edge: centroids that climb to it."""
    x, y = centre
    fine_x, fine_y = x + 0.5, y + 0.5
    for _ in range(_CENTROID_STEPS):
        x0, y0 = max(0, x - 2), max(0, y - 2)
        window = grey[y0 : y + 3, x0 : x + 3]
        moments = cv2.moments(window - window.min())
        if moments["m00"] <= 0:  # a plateau, as in a saturated core
            break
        fine_x = x0 + moments["m10"] / moments["m00"] + 0.5
        fine_y = y0 + moments["m01"] / moments["m00"] + 0.5
        if (int(fine_x), int(fine_y)) == (x, y):
            break
        x, y = int(fine_x), int(fine_y)
    return fine_x, fine_y


@lru_cache(maxsize=8)
def _centre_weight(reach: int) -> np.ndarray:
    profile = cv2.getGaussianKernel(2 * reach + 1, reach / 2, cv2.CV_32F)
    return profile @ profile.T


def _touches(bounds: tuple[float, float, float, float], shape: tuple[int, ...]) -> bool:
    x0, y0, x1, y1 = bounds
    return x0 <= 0 or y0 <= 0 or x1 >= shape[1] or y1 >= shape[0]


def _evenness(piece: np.ndarray, centre: tuple[int, int]) -> float:
    """Return the share of a piece that its reflection about the centre covers, 0 to 1."""
    return cv2.countNonZero(_symmetric_part(piece, centre)) / max(1, cv2.countNonZero(piece))


def _piece_around(grey: np.ndarray, threshold: float, centre: tuple[int, int]) -> np.ndarray:
    """Return the mask of the connected pixels above the threshold that hold `centre`."""
    mask = (grey > threshold).view(np.uint8)
    # Filling from the peak marks its piece alone; no need to number all the others.
    cv2.floodFill(mask, None, centre, 2, flags=8)
    return (mask == 2).view(np.uint8)


def _bounds(piece: np.ndarray) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(piece)
    return x, y, x + width, y + height


def _extent(
    piece: np.ndarray, centre: tuple[int, int], growth: float
) -> tuple[float, float, float, float, bool]:
    """Return the bounds x0, y0, x1, y1 of a piece, limited about its symmetric part.

    The last value says whether the limit was met.
    """
    whole = _bounds(piece)
    symmetric = _bounds(_symmetric_part(piece, centre))
    side = max(symmetric[2] - symmetric[0], symmetric[3] - symmetric[1])
    if max(whole[2] - whole[0], whole[3] - whole[1]) <= growth * side:
        return *whole, False
    # Reach out towards what was cut off, as far as allowed: a companion stays partly in view.
    allowed = (growth - 1.0) * side
    outwards = [abs(a - b) for a, b in zip(whole, symmetric, strict=True)]
    limited = [
        symmetric[0] - min(outwards[0], allowed / 2),
        symmetric[1] - min(outwards[1], allowed / 2),
        symmetric[2] + min(outwards[2], allowed / 2),
        symmetric[3] + min(outwards[3], allowed / 2),
    ]
    return *limited, True


def _symmetric_part(piece: np.ndarray, centre: tuple[int, int]) -> np.ndarray:
    """Return the pixels of a mask whose point reflection about `centre` is in the mask as well."""
    height, width = piece.shape
    x, y = centre
    # The rectangle about the centre that has both a pixel and its reflection inside the frame.
    half_x, half_y = min(x, width - 1 - x), min(y, height - 1 - y)
    window = piece[y - half_y : y + half_y + 1, x - half_x : x + half_x + 1]
    symmetric = np.zeros_like(piece)
    symmetric[y - half_y : y + half_y + 1, x - half_x : x + half_x + 1] = (
        window & window[::-1, ::-1]
    )
    return symmetric


def _square(
    x: float, y: float, side: float, shape: tuple[int, ...], settings: Crop
) -> tuple[int, int, int, int]:
    """Return the square of about `side` around (x, y), moved into a frame of `shape`."""
    height, width = shape[:2]
    largest = max(1, int(settings.max_fraction * min(height, width)))
    side_pix = int(min(max(round(side), settings.min_side_pix), largest))
    x0 = int(min(max(round(x - side_pix / 2), 0), width - side_pix))
    y0 = int(min(max(round(y - side_pix / 2), 0), height - side_pix))
    return x0, y0, x0 + side_pix, y0 + side_pix


def crop_image(rgb: np.ndarray, box: tuple[int, int, int, int], side_pix: int = 128) -> np.ndarray:
    """Cut a box and resize it.

    Parameters
    ----------
    rgb
        uint8, shape (H, W, 3).
    box
        x0, y0, x1, y1, upper ends excluded. Parts outside the frame mirror what is inside.
    side_pix
        Side of the result.

    Returns
    -------
    numpy.ndarray
        uint8, shape (side_pix, side_pix, 3).
    """
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = (int(value) for value in box)
    outside = max(0, -x0, -y0, x1 - width, y1 - height)
    if outside:
        rgb = cv2.copyMakeBorder(rgb, *[outside] * 4, cv2.BORDER_REFLECT_101)
        x0, y0, x1, y1 = x0 + outside, y0 + outside, x1 + outside, y1 + outside
    # Averaging when it shrinks avoids aliasing; a cubic when it grows keeps cores sharp.
    shrinks = x1 - x0 > side_pix
    return cv2.resize(
        rgb[y0:y1, x0:x1],
        (side_pix, side_pix),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    )


def crop_chunk(
    rgb: np.ndarray, settings: Crop | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crop a chunk of frames.

    Parameters
    ----------
    rgb
        uint8, shape (N, H, W, 3).
    settings
        Defaults where None.

    Returns
    -------
    crops : numpy.ndarray
        uint8, shape (N, side_pix, side_pix, 3).
    boxes : numpy.ndarray
        int32, shape (N, 4): x0, y0, x1, y1.
    flags : numpy.ndarray
        uint8, shape (N,).
    """
    settings = settings or Crop()
    crops = np.empty((len(rgb), settings.side_pix, settings.side_pix, 3), np.uint8)
    boxes = np.empty((len(rgb), 4), np.int32)
    flags = np.zeros(len(rgb), np.uint8)
    for i, frame in enumerate(rgb):
        boxes[i], flags[i] = adaptive_box(frame, settings)
        crops[i] = crop_image(frame, boxes[i], settings.side_pix)
    return crops, boxes, flags
