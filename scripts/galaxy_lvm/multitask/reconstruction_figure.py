"""Figure 4: hidden patches filled in; and, beside it, examples of restored images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.report.class_looks import class_texts, drawn
from galaxy_lvm.report.image_scores import image_metrics
from galaxy_lvm.report.style import PAGE_WIDTH_INCH, SMALL_PT, plt

_NOTE_PT = _HEAD_PT = SMALL_PT
_GALAXIES_PER_ROW = 2
_NOTE_SPACE, _GAP, _LEFT, _TOP = 0.2, 0.04, 0.38, 0.34


@dataclass(frozen=True)
class MaskedExample:
    """One galaxy with one hidden share and one patch size."""

    patch_pix: int
    """Side of the hidden squares."""
    fraction: float
    """Share of the image that is hidden."""
    label: str
    """Class of the galaxy, "" for none."""
    original: np.ndarray
    """float32 (side, side, 3) in [0, 1]."""
    masked: np.ndarray
    """What the network was given."""
    reconstructed: np.ndarray
    """What it made of it."""


@dataclass(frozen=True)
class RestoredExample:
    """One galaxy with one degradation."""

    label: str
    """Class of the galaxy, "" for none."""
    fwhm_pix: float
    """Width of the Moffat PSF."""
    noise_sigma: float
    """Noise on the 8-bit scale."""
    original: np.ndarray
    """float32 (side, side, 3) in [0, 1]."""
    images: dict[str, np.ndarray]
    """Heading of the column -> image; the degraded image first."""


def scores_text(reference: np.ndarray, image: np.ndarray) -> str:
    """Return PSNR (dB) and SSIM of one image (side, side, 3) in a short line."""
    row = image_metrics(reference[None], image[None]).iloc[0]
    return f"{row['psnr']:.1f}   {row['ssim']:.2f}"


Example = TypeVar("Example", MaskedExample, RestoredExample)


def _named(examples: Sequence[Example]) -> list[Example]:
    """Return the examples with their labels as they are printed, "" where there is none."""
    texts = class_texts({example.label for example in examples}) | {"": ""}
    return [replace(example, label=drawn(texts[example.label])) for example in examples]


def draw_reconstruction(examples: Sequence[MaskedExample]) -> Figure:
    """Return figure 4: a block of rows per patch size, a column per hidden share.

    Parameters
    ----------
    examples
        All examples; each patch size is shown with the same number of galaxies and shares, in
        the order given. A galaxy's examples follow one another.
    """
    examples = _named(examples)
    patches = sorted({e.patch_pix for e in examples})
    blocks = [[e for e in examples if e.patch_pix == patch] for patch in patches]
    fractions = sorted({e.fraction for e in examples})
    n_columns = _GALAXIES_PER_ROW * (len(fractions) + 1)
    side = (PAGE_WIDTH_INCH - _LEFT - (n_columns + 1) * _GAP) / n_columns
    row_height = side + _NOTE_SPACE
    block_height = 2 * row_height
    n_lines = [-(-len(block) // (_GALAXIES_PER_ROW * len(fractions))) for block in blocks]
    height = _TOP + sum(n_lines) * block_height
    fig = plt.figure(figsize=(PAGE_WIDTH_INCH, height))
    top = height - _TOP
    for patch, block, lines in zip(patches, blocks, n_lines, strict=True):
        name = f"{patch} × {patch} pixels"
        middle = top - lines * block_height / 2 + _NOTE_SPACE / 2
        _write(fig, 0.08, middle, name, _HEAD_PT, rotation=90, weight="bold")
        for line in range(2 * lines):
            y = top - side / 2 - line * row_height + 0.04 * (line % 2)
            _write(fig, 0.28, y, ("masked", "filled in")[line % 2], _HEAD_PT, rotation=90)
        for start in range(0, len(block), len(fractions)):
            galaxy = block[start : start + len(fractions)]
            line, place = divmod(start // len(fractions), _GALAXIES_PER_ROW)
            x = _LEFT + place * ((len(fractions) + 1) * (side + _GAP) + _GAP)
            _draw_galaxy(fig, galaxy, x, top - line * block_height, side)
        top -= lines * block_height
    _share_headings(fig, fractions, side, height)
    y = height - _TOP - 1.5 * side - _NOTE_SPACE
    _write(fig, _LEFT + side / 2, y, "below each:\nPSNR [dB],\nSSIM", _NOTE_PT)
    return fig


def _share_headings(fig: Figure, fractions: list[float], side: float, height: float) -> None:
    for place in range(_GALAXIES_PER_ROW):
        x = _LEFT + place * ((len(fractions) + 1) * (side + _GAP) + _GAP)
        heads = ["Original", *(f"{100 * fraction:.0f} %" for fraction in fractions)]
        for column, head in enumerate(heads):
            middle = x + column * (side + _GAP) + side / 2
            _write(fig, middle, height - _TOP + 0.09, head, _HEAD_PT)
        middle = x + (len(fractions) + 2) / 2 * (side + _GAP)
        _write(fig, middle, height - _TOP + 0.24, "Hidden share", _HEAD_PT, weight="bold")


def _draw_galaxy(
    fig: Figure, examples: Sequence[MaskedExample], x: float, top: float, side: float
) -> None:
    """Draw the original, and below one another what was given and what was made of it."""
    first = examples[0]
    _image(fig, first.original, x, top - side, side, "original")
    _write(fig, x + side / 2, top - side - 0.08, first.label, _NOTE_PT)
    for column, example in enumerate(examples, start=1):
        left = x + column * (side + _GAP)
        for name, image, y in (
            ("masked", example.masked, top - side),
            ("reconstructed", example.reconstructed, top - 2 * side - _NOTE_SPACE + 0.04),
        ):
            _image(fig, image, left, y, side, f"{name}, patch={example.patch_pix}")
            text = scores_text(example.original, image)
            _write(fig, left + side / 2, y - 0.07, text, _NOTE_PT)


def draw_restoration(examples: Sequence[RestoredExample]) -> Figure:
    """Return examples of the restoration task: one galaxy per row, original on the right.

    Parameters
    ----------
    examples
        Galaxies; all have the same columns.
    """
    examples = _named(examples)
    heads = [*examples[0].images, "Original"]
    side = 1.2
    width = _LEFT + len(heads) * (side + _GAP)
    height = 0.22 + len(examples) * (side + _NOTE_SPACE)
    fig = plt.figure(figsize=(width, height))
    for column, head in enumerate(heads):
        middle = _LEFT + column * (side + _GAP) + side / 2
        _write(fig, middle, height - 0.1, head, _HEAD_PT, weight="bold")
    for row, example in enumerate(examples):
        y = height - 0.22 - row * (side + _NOTE_SPACE) - side
        note = f"{example.label}\nFWHM {example.fwhm_pix:.1f} pix, σ {example.noise_sigma:.1f}"
        _write(fig, 0.16, y + side / 2, note, _NOTE_PT, rotation=90)
        for column, image in enumerate(example.images.values()):
            left = _LEFT + column * (side + _GAP)
            _image(fig, image, left, y, side, heads[column])
            psnr, ssim = scores_text(example.original, image).split()
            text = f"{psnr} dB   {ssim}"
            _write(fig, left + side / 2, y - 0.08, text, _NOTE_PT)
        _image(fig, example.original, _LEFT + (len(heads) - 1) * (side + _GAP), y, side, "original")
    return fig


def _image(fig: Figure, image: np.ndarray, x: float, y: float, side: float, name: str) -> Axes:
    """Draw an image (side, side, 3) with its lower left corner at (x, y) inches."""
    width, height = fig.get_size_inches()
    axes = fig.add_axes((x / width, y / height, side / width, side / height), label=name)
    axes.imshow(np.clip(image, 0, 1))
    axes.axis("off")
    return axes


def _write(fig: Figure, x: float, y: float, text: str, size: float, **kwargs) -> None:
    """Write text centred on (x, y) inches."""
    width, height = fig.get_size_inches()
    fig.text(x / width, y / height, text, fontsize=size, ha="center", va="center", **kwargs)
