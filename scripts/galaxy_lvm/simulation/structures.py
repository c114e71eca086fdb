"""Painted structure of simulated galaxies: spiral arms, rings, clumps, dust, tidal debris.

Every class is a `paint` of `mock_render.Component`: called with coordinates in arcsec (N, N)
relative to the galaxy's centre it returns a non-negative map. x runs along the columns of the
image and y along its rows.
"""

from dataclasses import dataclass

import cv2
import numpy as np

NOISE_SIDE = 64


@dataclass(frozen=True)
class DiscPlane:
    """Projection of a thin disc on the sky.

    Attributes
    ----------
    angle_rad
        Direction of the line of nodes (the major axis) from +x to +y.
    axis_ratio
        Cosine of the inclination, in (0, 1].
    """

    angle_rad: float
    axis_ratio: float

    def to_plane(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return radius and azimuth in the plane of the disc of sky offsets."""
        cos, sin = np.float32(np.cos(self.angle_rad)), np.float32(np.sin(self.angle_rad))
        along = x * cos + y * sin
        across = (y * cos - x * sin) / np.float32(self.axis_ratio)
        return np.hypot(along, across), np.arctan2(across, along)

    def to_sky(self, radius: np.ndarray, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return sky offsets of a place in the plane of the disc."""
        along, across = radius * np.cos(azimuth), radius * np.sin(azimuth) * self.axis_ratio
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        return along * cos - across * sin, along * sin + across * cos


def _wrap(u: np.ndarray) -> np.ndarray:
    # np.mod on floats is five times slower.
    side = np.float32(NOISE_SIDE)
    u = np.asarray(u, dtype=np.float32)
    return u - side * np.floor(u / side)


class SmoothNoise:
    """Periodic random field of unit variance, bilinear between nodes.

    Parameters
    ----------
    rng
        Source of randomness.
    smoothing
        Width of the field's structure in nodes; the period is 64 nodes.
    """

    def __init__(self, rng: np.random.Generator, smoothing: float = 1.5) -> None:
        white = np.fft.rfft2(rng.standard_normal((NOISE_SIDE, NOISE_SIDE)))
        k_squared = np.add.outer(np.fft.fftfreq(NOISE_SIDE) ** 2, np.fft.rfftfreq(NOISE_SIDE) ** 2)
        nodes = np.fft.irfft2(white * np.exp(-2 * (np.pi * smoothing) ** 2 * k_squared))
        self.nodes = (nodes / nodes.std()).astype(np.float32)

    def __call__(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the field at coordinates u, v in nodes."""
        u, v = _wrap(u), _wrap(v)
        return cv2.remap(self.nodes, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


@dataclass
class SpiralPattern:
    """Logarithmic spiral arms that multiply a disc.

    The relative brightness at a place is 1 + contrast * envelope * (crest - mean of crest), and
    the crest across an arm is a von Mises bump, broad (`sharpness` 0.5) or narrow (4).

    Attributes
    ----------
    plane
        Plane of the disc.
    n_arms
        Number of arms, 1 or more.
    pitch_rad
        Pitch angle: 0.1 is tightly wound, 0.6 open. The sign gives the sense of rotation.
    contrast
        Relative brightness of the crests, 0 or more.
    sharpness
        Concentration of the arms in azimuth.
    inner_arcsec, outer_arcsec
        Radii between which the arms are visible.
    phase_rad
        Azimuth of an arm at the inner radius.
    flocculence
        0: regular arms; 1: arms broken up into pieces.
    ragged
        Wander of the arms in radians of phase.
    noise
        Random field behind the last two.
    arm_weights
        Relative brightness of each arm (n_arms,).
    """

    plane: DiscPlane
    n_arms: int
    pitch_rad: float
    contrast: float
    sharpness: float
    inner_arcsec: float
    outer_arcsec: float
    phase_rad: float
    flocculence: float
    ragged: float
    noise: SmoothNoise
    arm_weights: np.ndarray

    def phase(self, radius: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
        """Return the spiral phase: multiples of 2 pi / n_arms are crests."""
        winding = np.log(np.maximum(radius, 0.05) / self.inner_arcsec) / np.tan(self.pitch_rad)
        return (azimuth - winding - self.phase_rad).astype(np.float32)

    def crests(self, radius: np.ndarray, azimuth: np.ndarray, shift: float = 0.0) -> np.ndarray:
        """Return the brightness of the arms, 1 on an undisturbed crest; (N, N)."""
        phase = self.phase(radius, azimuth)
        nodes_per_rad = NOISE_SIDE / (2 * np.pi)
        log_radius = np.log(np.maximum(radius, 0.05)).astype(np.float32)
        wander = self.noise(azimuth * nodes_per_rad, log_radius * 9.0 + 11.0)
        bent = self.n_arms * (phase - shift) + np.float32(self.ragged) * wander
        crest = np.exp(np.float32(self.sharpness) * (np.cos(bent) - 1))
        if np.ptp(self.arm_weights) > 0:
            crest = crest * self._weight_of_nearest_arm(phase)
        if self.flocculence > 0:
            pieces = self.noise(phase * nodes_per_rad * 2.0, log_radius * 18.0)
            crest = crest * np.exp(np.float32(self.flocculence) * (pieces - 0.5))
        return crest * self._envelope(radius)

    def _weight_of_nearest_arm(self, phase: np.ndarray) -> np.ndarray:
        # Smooth first harmonic instead of a jump half-way between two arms.
        lopsided = float(np.ptp(self.arm_weights))
        return 1 - np.float32(lopsided / 2) * (1 - np.cos(phase))

    def _envelope(self, radius: np.ndarray) -> np.ndarray:
        rise = 1 / (1 + np.exp(-(radius - self.inner_arcsec) / (0.15 * self.inner_arcsec + 0.05)))
        return rise / (1 + (radius / self.outer_arcsec) ** 6)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the factor that multiplies the disc."""
        radius, azimuth = self.plane.to_plane(x, y)
        crest = self.crests(radius, azimuth)
        mean = np.float32(np.exp(-self.sharpness) * np.i0(self.sharpness))
        return np.maximum(1 + self.contrast * (crest - mean * self._envelope(radius)), 0.08)

    def draw_crest_places(
        self, rng: np.random.Generator, n: int, scale_arcsec: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw up to n places near the crests of an exponential disc; sky offsets (m,)."""
        radius = rng.gamma(2.0, scale_arcsec, n)
        radius = np.maximum(radius[radius < 0.9 * self.outer_arcsec], self.inner_arcsec)
        n = len(radius)
        arm = rng.integers(self.n_arms, size=n) * 2 * np.pi / self.n_arms
        spread = rng.normal(0, 0.55 / self.n_arms / np.sqrt(self.sharpness + 0.5), n)
        winding = np.log(radius / self.inner_arcsec) / np.tan(self.pitch_rad)
        wander = self.noise(
            ((winding + arm + self.phase_rad) * NOISE_SIDE / (2 * np.pi))[None, :],
            (np.log(radius) * 9.0 + 11.0)[None, :],
        )[0]
        azimuth = winding + self.phase_rad + arm + spread - self.ragged * wander / self.n_arms
        return self.plane.to_sky(radius, azimuth)


@dataclass
class ArmLight:
    """Young stars along the arms: the crests times an exponential disc."""

    pattern: SpiralPattern
    scale_arcsec: float

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the light of the arms alone."""
        radius, azimuth = self.pattern.plane.to_plane(x, y)
        fall = np.exp(-radius / np.float32(self.scale_arcsec))
        return self.pattern.crests(radius, azimuth) * fall


@dataclass
class Ring:
    """Elliptical annulus in the plane of a disc, of Gaussian profile."""

    plane: DiscPlane
    radius_arcsec: float
    width_arcsec: float

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the light of the ring."""
        radius, _ = self.plane.to_plane(x, y)
        return np.exp(-0.5 * ((radius - self.radius_arcsec) / self.width_arcsec) ** 2)


@dataclass
class Clumps:
    """Lognormal patchiness of an irregular galaxy, a factor on its smooth light."""

    noise: SmoothNoise
    amplitude: float
    nodes_per_arcsec: float

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the factor."""
        scale = np.float32(self.nodes_per_arcsec)
        return np.exp(np.float32(self.amplitude) * self.noise(x * scale + 32, y * scale + 32))


@dataclass
class ArmDust:
    """Dust on the concave side of spiral arms, as an optical depth in g."""

    pattern: SpiralPattern
    optical_depth: float
    x: float = 0.0
    y: float = 0.0

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the optical depth."""
        radius, azimuth = self.pattern.plane.to_plane(x - self.x, y - self.y)
        shift = -0.6 / self.pattern.n_arms * np.sign(self.pattern.pitch_rad)
        return np.float32(self.optical_depth) * self.pattern.crests(radius, azimuth, shift)


@dataclass
class DustLane:
    """Dust in the mid-plane of an edge-on disc, as an optical depth in g."""

    angle_rad: float
    optical_depth: float
    scale_arcsec: float
    height_arcsec: float
    offset_arcsec: float
    noise: SmoothNoise
    x: float = 0.0
    y: float = 0.0

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the optical depth."""
        x, y = x - self.x, y - self.y
        cos, sin = np.float32(np.cos(self.angle_rad)), np.float32(np.sin(self.angle_rad))
        along, across = x * cos + y * sin, y * cos - x * sin - np.float32(self.offset_arcsec)
        wavy = 1 + 0.25 * self.noise(along * 3.0 + 32, across * 3.0 + 32)
        fall = np.exp(-np.abs(along) / self.scale_arcsec)
        sheet = np.exp(-0.5 * (across / self.height_arcsec) ** 2)
        return np.float32(self.optical_depth) * fall * sheet * np.maximum(wavy, 0)


@dataclass
class TidalTail:
    """A curved stream of stars that leaves a galaxy and fades.

    Attributes
    ----------
    plane
        Plane in which it lies.
    start_rad
        Azimuth at which it leaves the galaxy.
    start_arcsec
        Radius there.
    opening
        Growth of log radius per radian.
    length_rad
        Azimuth over which the brightness falls by e.
    width_arcsec
        Gaussian half width at its start.
    handedness
        +1 or -1.
    """

    plane: DiscPlane
    start_rad: float
    start_arcsec: float
    opening: float
    length_rad: float
    width_arcsec: float
    handedness: int

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the light of the tail."""
        radius, azimuth = self.plane.to_plane(x, y)
        turned = np.mod(self.handedness * (azimuth - self.start_rad) + 0.3, 2 * np.pi) - 0.3
        ridge = self.start_arcsec * np.exp(self.opening * turned)
        width = self.width_arcsec * (1 + 0.5 * np.maximum(turned, 0))
        profile = np.exp(-0.5 * ((radius - ridge) / width) ** 2)
        onset = 1 / (1 + np.exp(-turned / 0.1))
        return profile * onset * np.exp(-np.maximum(turned, 0) / self.length_rad)


@dataclass
class Shells:
    """Arcs with a sharp outer edge, left by a minor merger along one axis.

    Attributes
    ----------
    angle_rad
        Direction of the axis.
    radii_arcsec
        Radii of the edges, on alternate sides.
    opening_rad
        Half opening angle of the arcs.
    """

    angle_rad: float
    radii_arcsec: tuple[float, ...]
    opening_rad: float

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the light of the shells."""
        radius, azimuth = np.hypot(x, y), np.arctan2(y, x) - self.angle_rad
        light = np.zeros_like(radius)
        for side, edge in enumerate(self.radii_arcsec):
            away = np.cos(azimuth + np.pi * (side % 2)) - 1
            arc = np.exp(away / self.opening_rad**2)
            beyond = np.clip((radius - edge) / 0.2, -30, 30)
            rise = np.exp(np.minimum(radius - edge, 1.0) / (0.25 * edge))
            light += arc * rise / (1 + np.exp(beyond))
        return light
