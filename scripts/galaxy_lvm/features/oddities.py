"""Oddities of known kind, made from real crops, to test what finds unusual images.

They act on the 8-bit colour crops that the encoder sees. Light is added so that it saturates
towards white, as the survey's colour mapping does; a test of whether an image stands out needs no
more. Strengths are drawn so that a person who looks at the image sees the oddity, not always at
first sight.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.seeds import derive_seed

_WHITE = 255.0


def satellite_trail(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a straight trail across the frame, nearly all of it in one band.

    The bands are exposed one after the other, so that a satellite is in one of them.
    """
    side = min(image.shape[:2])
    x, y = _pixel_grid(image)
    angle = rng.uniform(0, np.pi)
    offset = rng.uniform(-0.35, 0.35) * side
    distance = x * np.sin(angle) - y * np.cos(angle) - offset
    profile = np.exp(-0.5 * (distance / (side * rng.uniform(0.006, 0.014))) ** 2)
    colour = np.full(3, rng.uniform(0.0, 0.2))
    colour[rng.integers(3)] = 1.0
    return _add_light(image, rng.uniform(70, 220) * profile[..., None] * colour)


def saturated_star(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put a star beside the galaxy that saturates: halo, spikes and a column that bleeds."""
    side = min(image.shape[:2])
    angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.42) * side
    x, y = _pixel_grid(image)
    x, y = x - radius * np.cos(angle), y - radius * np.sin(angle)
    width = side * rng.uniform(0.012, 0.02)
    moffat = (1 + (np.hypot(x, y) / (2 * width)) ** 2) ** -1.6
    light = rng.uniform(800, 2500) * moffat
    tilt = rng.uniform(0, np.pi / 2)
    along, across = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    reach = side * rng.uniform(0.08, 0.2)
    for a, b in ((along, across), (across, along)):
        light += 180 * np.exp(-np.abs(a) / reach - 0.5 * (b / (0.5 * width)) ** 2)
    bleed = np.exp(-0.5 * (x / (0.7 * width)) ** 2) * (np.abs(y) < 2 * reach)
    tint = 1 + rng.uniform(-0.15, 0.15) * np.array([1.0, 0.0, -1.0])
    return _add_light(image, (light + 300 * bleed)[..., None] * tint)


def wrong_bands(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exchange the bands, as where files were taken for those of another filter."""
    orders = [(2, 1, 0), (1, 0, 2), (0, 2, 1), (1, 2, 0), (2, 0, 1)]
    return image[..., list(orders[rng.integers(len(orders))])].copy()


def dead_band(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leave only sky in one band."""
    result = image.copy()
    band = int(rng.integers(3))
    sky, scatter = _sky(image[..., band])
    noise = rng.normal(sky, scatter, image.shape[:2])
    result[..., band] = np.clip(np.rint(noise), 0, _WHITE).astype(np.uint8)
    return result


def double_image(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Show everything twice, as where the telescope jumped between two halves of an exposure."""
    side = min(image.shape[:2])
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.25) * side
    share = rng.uniform(0.35, 0.5)
    x, y = length * np.cos(angle), length * np.sin(angle)
    whole = image.astype(np.float32)
    first = _shifted(whole, -share * x, -share * y)
    second = _shifted(whole, (1 - share) * x, (1 - share) * y)
    return np.rint((1 - share) * first + share * second).astype(np.uint8)


def chip_edge(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blank the part of the frame that lies beyond the edge of a detector."""
    x, y = _pixel_grid(image)
    angle = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.03)
    edge = rng.uniform(0.08, 0.35) * min(image.shape[:2])
    beyond = x * np.cos(angle) + y * np.sin(angle) > edge
    return np.where(beyond[..., None], np.uint8(0), image)


def blue_arcs(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one or two blue arcs around the centre, like a lensed background galaxy."""
    side = min(image.shape[:2])
    x, y = _pixel_grid(image)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    ring = side * rng.uniform(0.16, 0.32)
    profile = np.exp(-0.5 * ((radius - ring) / (side * rng.uniform(0.012, 0.025))) ** 2)
    middle, width = rng.uniform(-np.pi, np.pi), rng.uniform(0.35, 0.8)
    along = np.exp(-0.5 * (_wrapped(angle - middle) / width) ** 2)
    counter = rng.uniform(0.0, 0.8)
    along += counter * np.exp(-0.5 * (_wrapped(angle - middle - np.pi) / (0.6 * width)) ** 2)
    light = rng.uniform(70, 150) * profile * along
    return _add_light(image, light[..., None] * np.array([0.35, 0.65, 1.0]))


ODDITIES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    function.__name__: function
    for function in (
        satellite_trail,
        saturated_star,
        wrong_bands,
        dead_band,
        double_image,
        chip_edge,
        blue_arcs,
    )
}


def inject(images: np.ndarray, ids: Sequence[str], kind: str, seed: int) -> np.ndarray:
    """Return copies of crops with an oddity of one kind in each.

    Parameters
    ----------
    images
        uint8 (N, H, W, 3).
    ids
        Identifier of every galaxy: the same galaxy, kind and seed give the same oddity, whatever
        else is in the list.
    kind
        A key of `ODDITIES`.
    seed
        The run's seed.

    Raises
    ------
    ConfigError
        For an unknown kind.
    DataError
        If the images are not 8-bit colour images.
    """
    if kind not in ODDITIES:
        raise ConfigError(f"extensions.outliers.kinds: {kind!r} is none of {sorted(ODDITIES)}")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise DataError(f"oddities need uint8 (N, H, W, 3), not {images.dtype} {images.shape}")
    result = np.empty_like(images)
    for i, (name, image) in enumerate(zip(ids, images, strict=True)):
        rng = np.random.default_rng(derive_seed(seed, "oddity", kind, name))
        result[i] = ODDITIES[kind](image, rng)
    return result


def _pixel_grid(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of every pixel from the centre of the frame."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x - (width - 1) / 2, y - (height - 1) / 2


def _add_light(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Add light in grey levels; what is left below white shrinks with every layer."""
    kept = np.exp(-np.maximum(light, 0) / _WHITE)
    return np.rint(_WHITE - (_WHITE - image) * kept).astype(np.uint8)


def _sky(band: np.ndarray) -> tuple[float, float]:
    """Return level and scatter of the darker half of a band."""
    level = float(np.percentile(band, 25))
    below = band[band <= level]
    return level, float(np.sqrt(np.mean((below - level) ** 2)))


def _shifted(image: np.ndarray, x: float, y: float) -> np.ndarray:
    height, width = image.shape[:2]
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    moved = cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return np.clip(moved, 0, _WHITE)


def _wrapped(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % (2 * np.pi) - np.pi
