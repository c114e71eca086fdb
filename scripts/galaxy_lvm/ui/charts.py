"""Small line and bar charts as SVG, for the page; all texts are escaped."""

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 42, 10, 10, 32


def line_chart(
    points: Sequence[tuple[float, float]], x_label: str, y_label: str, y_max: float | None = None
) -> Markup:
    """Return a line through points (x, y), both axes from 0.

    Parameters
    ----------
    points
        At least one.
    x_label, y_label
        Names of the axes.
    y_max
        Top of the axis; the largest value where None.
    """
    x_top = max(1.0, *(x for x, _ in points))
    y_top = y_max or max(1.0, *(y for _, y in points))
    path = " ".join(
        f"{'L' if i else 'M'}{_x(x / x_top):.1f} {_y(y / y_top):.1f}"
        for i, (x, y) in enumerate(points)
    )
    # Points too: a line through a single one cannot be seen.
    dots = Markup("").join(
        Markup('<circle class="fill" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(
            _x(x / x_top), _y(y / y_top)
        )
        for x, y in points
    )
    body = Markup('<path class="one" d="{}"/>').format(path) + dots
    return _frame(body, x_label, y_label, x_top, y_top, f"{y_label} against {x_label}")


def bar_chart(counts: Sequence[int], x_label: str, y_label: str) -> Markup:
    """Return bars of counts in equal parts of 0 to 1; their heights are square roots.

    Nearly all galaxies of a pool have low scores: on a plain axis the others could not be seen.
    """
    top = max(1, *counts)
    width = (WIDTH - LEFT - RIGHT) / len(counts)
    bars = Markup("")
    for number, count in enumerate(counts):
        share = (count / top) ** 0.5
        bars += Markup(
            '<rect class="fill" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
            "<title>{:g} to {:g}: {}</title></rect>"
        ).format(
            LEFT + number * width + 0.5, _y(share), width - 1, _y(0) - _y(share),
            number / len(counts), (number + 1) / len(counts), count,
        )  # fmt: skip
    return _frame(bars, x_label, y_label, 1.0, float(top), f"{y_label} by {x_label}")


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _frame(
    body: Markup, x_label: str, y_label: str, x_top: float, y_top: float, title: str
) -> Markup:
    axes = Markup('<path class="axis" fill="none" d="M{0} {1}V{2}H{3}"/>').format(
        LEFT, TOP, _y(0), WIDTH - RIGHT
    )
    texts = [
        (LEFT - 4, _y(0), "end", "0"),
        (LEFT - 4, TOP + 9, "end", f"{y_top:g}"),
        (WIDTH - RIGHT, HEIGHT - 18, "end", f"{x_top:g}"),
        (LEFT, HEIGHT - 18, "start", "0"),
        ((LEFT + WIDTH) / 2, HEIGHT - 4, "middle", x_label),
        (LEFT + 4, TOP + 9, "start", y_label),
    ]
    words = Markup("").join(
        Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(*text)
        for text in texts
    )
    return (
        Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, title)
        + axes + body + words + Markup("</svg>")
    )  # fmt: skip
