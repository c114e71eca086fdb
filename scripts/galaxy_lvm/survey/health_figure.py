"""A dataset's health on one page: counts, losses, sky, sizes, magnitudes, extreme pixels."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import drawn
from galaxy_lvm.survey.health import Health

N_LOSSES = 8
_BLUE, _RED, _GREY = (style.COLOURS[name] for name in ("blue", "red", "grey"))


def health_figure(health: Health) -> Figure:
    """Return six panels; one that has nothing to show says why."""
    fig, grid = style.figure(style.PAGE_WIDTH_INCH, 4.6, nrows=2, ncols=3)
    fig.get_layout_engine().set(wspace=0.06)
    steps, losses, sky, sizes, mags, pixels = grid.ravel()
    _steps(steps, health)
    _losses(losses, health)
    place = sky.get_subplotspec()
    sky.remove()
    _sky(fig, place, health)
    _sizes(sizes, health)
    _magnitudes(mags, health)
    _pixels(pixels, health)
    return fig


def _steps(axes: Axes, health: Health) -> None:
    counts = health.counts
    shown = counts[counts["step"].isin(["catalogue", "cutouts", "crops", "splits"])]
    names = [step if not what else f"  {what}" for step, what in zip(shown["step"], shown["what"],
                                                                     strict=True)]  # fmt: skip
    colours = [_GREY if what else _BLUE for what in shown["what"]]
    _bars(axes, names, shown["galaxies"].tolist(), colours)
    axes.set(title="Galaxies at every step")


def _losses(axes: Axes, health: Health) -> None:
    counts = health.counts
    lost = counts[counts["step"] == "lost"]
    names, values = lost["what"].tolist(), lost["galaxies"].tolist()
    if len(names) > N_LOSSES:
        names = [*names[: N_LOSSES - 1], "other reasons"]
        values = [*values[: N_LOSSES - 1], sum(values[N_LOSSES - 1 :])]
    colours = [_RED] * len(names)
    for step, colour in (("flagged", _GREY), ("copies", _BLUE)):
        for row in counts[counts["step"] == step].itertuples():
            names.append(f"{step}: {row.what}".replace("_", " "))
            values.append(row.galaxies)
            colours.append(_RED if row.what == "across splits" else colour)
    _bars(axes, [name if len(name) < 34 else f"{name[:31]}..." for name in names], values, colours)
    axes.set(title="Lost, flagged, copies")


def _bars(axes: Axes, names: list[str], values: list[int], colours: list[str]) -> None:
    places = np.arange(len(names))
    axes.barh(places, values, color=colours)
    axes.set_yticks(places, [drawn(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.35 * max(1, *values))
    axes.grid(False)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    for place, value in zip(places, values, strict=True):
        axes.annotate(f"{value}", (value, place), (2, 0), textcoords="offset points",
                      va="center", fontsize=style.SMALL_PT)  # fmt: skip


def _sky(fig: Figure, place: object, health: Health) -> None:
    known = np.isfinite(health.ra_deg) & np.isfinite(health.dec_deg)
    if not known.any():
        axes = fig.add_subplot(place)
        _say(axes, "Sky", "no positions known")
        return
    axes = fig.add_subplot(place, projection="mollweide")
    # East to the left, 180 degrees in the middle.
    x = np.radians(180 - health.ra_deg[known] % 360)
    axes.scatter(x, np.radians(health.dec_deg[known]), s=3, color=_BLUE, alpha=0.5, linewidths=0,
                 rasterized=True)  # fmt: skip
    axes.set_xticks(np.radians([-90, 0, 90]), ["270°", "180°", "90°"])
    axes.set_yticks(np.radians([-30, 0, 30]), ["-30°", "0°", "30°"])
    axes.set_title(f"{int(known.sum())} of {len(known)} positions")


def _sizes(axes: Axes, health: Health) -> None:
    known = np.isfinite(health.pixel_scale_arcsec)
    sides = health.box_side_pix * (health.pixel_scale_arcsec if known else 1.0)
    axes.hist(sides, bins=24, color=_BLUE)
    unit = "arcsec" if known else "pix"
    axes.set(xlabel=f"side of the box [{unit}]", ylabel="galaxies", title="Sizes")


def _magnitudes(axes: Axes, health: Health) -> None:
    found = health.mag[np.isfinite(health.mag)]
    if not len(found):
        _say(axes, "Magnitudes", "none: colours, not fluxes" if not len(health.mag)
             else "no positive flux")  # fmt: skip
        return
    axes.hist(found, bins=24, color=_BLUE)
    of_sample = f"galaxies ({len(found)} of {len(health.mag)})"
    axes.set(xlabel=f"{health.mag_band} in the box [mag]", ylabel=of_sample, title="Magnitudes")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _pixels(axes: Axes, health: Health) -> None:
    for name, shares, colour in (("saturated", health.saturated, _RED),
                                 ("black", health.black, _GREY)):  # fmt: skip
        ordered = 100 * np.sort(shares)[::-1]
        axes.plot(100 * (np.arange(len(ordered)) + 1) / len(ordered), ordered, color=colour,
                  label=f"{name}: {100 * shares.mean():.2g} %")  # fmt: skip
    axes.set(xlabel="crops with as many [%]", ylabel="extreme pixels [%]", ylim=(0, None))
    axes.set_title(f"Pixels of {len(health.black)} crops")
    axes.legend(loc="upper right", handlelength=1.0)


def _say(axes: Axes, title: str, text: str) -> None:
    axes.set(xticks=[], yticks=[], title=title)
    axes.grid(False)
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
