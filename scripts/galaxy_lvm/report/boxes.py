"""Boxes, arrows and map glyphs for diagrams, on a canvas measured in inches."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon
from matplotlib.path import Path
from matplotlib.text import Text

from galaxy_lvm.report import style

TEXT_PT = style.SMALL_PT
HEAD_PT = 7.5
INK = "#222222"
FAINT = "#5F5F5F"
LINE_INCH = 0.118


def tint(colour: str, strength: float) -> tuple[float, float, float]:
    """Return a colour mixed with white; strength 1 is the colour itself."""
    return tuple(1 - strength * (1 - c) for c in to_rgb(colour))


def readable(count: int) -> str:
    """Return a number of weights in three digits at most: 134 k, 12.7 M, 100.5 M."""
    if count >= 1e6:
        return f"{count / 1e6:.1f} M"
    if count >= 1e3:
        return f"{count / 1e3:.0f} k" if count >= 1e4 else f"{count / 1e3:.1f} k"
    return str(count)


@dataclass(frozen=True)
class Box:
    """Where a box lies, in inches; corners and edge centres for arrows."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        """Centre of the left edge."""
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        """Centre of the right edge."""
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> tuple[float, float]:
        """Centre of the top edge."""
        return self.x + self.width / 2, self.y + self.height

    @property
    def bottom(self) -> tuple[float, float]:
        """Centre of the bottom edge."""
        return self.x + self.width / 2, self.y


@dataclass
class Canvas:
    """A figure without axes lines whose data coordinates are inches.

    Parameters
    ----------
    width, height
        Size in inches.
    """

    width: float
    height: float
    figure: Figure = field(init=False)
    axes: Axes = field(init=False)
    framed: list[tuple[Box, list[Text]]] = field(init=False, default_factory=list)
    """Every box that was drawn, with the texts that belong inside it."""

    def __post_init__(self) -> None:
        """Open the figure."""
        self.figure = style.plt.figure(figsize=(self.width, self.height))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, self.width), ylim=(0, self.height), aspect="equal")
        self.axes.axis("off")

    def box(
        self,
        box: Box,
        head: str,
        lines: Sequence[str] = (),
        colour: str = style.COLOURS["grey"],
        text_x: float | None = None,
        dashed: bool = False,
    ) -> Box:
        """Draw a box with a bold heading and lines of text, centred on `text_x` or the box."""
        self.axes.add_patch(
            FancyBboxPatch(
                (box.x, box.y),
                box.width,
                box.height,
                boxstyle="round,pad=0,rounding_size=0.05",
                facecolor=tint(colour, 0.16),
                edgecolor=tint(colour, 0.9),
                linewidth=0.9,
                linestyle="--" if dashed else "-",
            )
        )
        x = box.x + box.width / 2 if text_x is None else text_x
        y = box.y + box.height / 2 + LINE_INCH * len(lines) / 2
        texts = [self.text(x, y, head, size=HEAD_PT, weight="bold")]
        for number, line in enumerate(lines, start=1):
            texts.append(self.text(x, y - number * LINE_INCH, line))
        self.framed.append((box, texts))
        return box

    def text(self, x: float, y: float, text: str, size: float = TEXT_PT, **kwargs) -> Text:
        """Write text, centred on (x, y) unless `ha` or `va` say otherwise."""
        options = {"ha": "center", "va": "center", "color": INK, "linespacing": 1.25, **kwargs}
        return self.axes.text(x, y, text, fontsize=size, **options)

    def arrow(
        self,
        *points: tuple[float, float],
        colour: str = INK,
        dashed: bool = False,
        head: bool = True,
    ) -> None:
        """Draw an arrow through points (straight segments)."""
        path = Path(points, [Path.MOVETO] + [Path.LINETO] * (len(points) - 1))
        self.axes.add_patch(
            FancyArrowPatch(
                path=path,
                arrowstyle="-|>,head_length=3.2,head_width=1.6" if head else "-",
                mutation_scale=1,
                facecolor=colour if head else "none",
                edgecolor=colour,
                linewidth=0.9,
                linestyle=(0, (3, 2)) if dashed else "-",
                joinstyle="round",
                capstyle="butt",
                shrinkA=0,
                shrinkB=0,
            )
        )

    def plus(self, x: float, y: float, radius: float = 0.075) -> None:
        """Draw the sign of an addition."""
        self.axes.add_patch(
            Circle((x, y), radius, facecolor="white", edgecolor=INK, linewidth=0.9, zorder=3)
        )
        for dx, dy in ((0.6, 0), (0, 0.6)):
            self.axes.plot(
                [x - dx * radius, x + dx * radius],
                [y - dy * radius, y + dy * radius],
                color=INK,
                linewidth=0.9,
                zorder=4,
            )

    def slab(self, x: float, y: float, side: float, depth: float, colour: str) -> None:
        """Draw a feature map centred on (x, y): a square of `side`, `depth` for its channels."""
        slant = 0.5 * depth
        x0, y0 = x - (side + slant) / 2, y - (side + slant) / 2
        x1, y1 = x0 + side, y0 + side
        faces = {
            0.55: [(x0, y0), (x1, y0), (x1, y1), (x0, y1)],
            0.35: [(x0, y1), (x1, y1), (x1 + slant, y1 + slant), (x0 + slant, y1 + slant)],
            0.75: [(x1, y0), (x1 + slant, y0 + slant), (x1 + slant, y1 + slant), (x1, y1)],
        }
        for strength, corners in faces.items():
            self.axes.add_patch(
                Polygon(corners, facecolor=tint(colour, strength), edgecolor="white", lw=0.5)
            )

    def picture(self, image: object, x: float, y: float, side: float) -> Box:
        """Draw an image with its lower left corner at (x, y)."""
        self.axes.imshow(image, extent=(x, x + side, y, y + side), zorder=2, cmap="gray")
        # imshow resets the limits to the image's.
        self.axes.set(xlim=(0, self.width), ylim=(0, self.height))
        return Box(x, y, side, side)
