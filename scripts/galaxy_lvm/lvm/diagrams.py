"""Figures 1 and 2: the large vision model and its Swin layers, drawn from the built modules."""

import numpy as np
from matplotlib.figure import Figure

from galaxy_lvm.lvm.anatomy import LVMParts, Part, SwinLayerParts, describe_lvm, layer_pair
from galaxy_lvm.lvm.model import LVM
from galaxy_lvm.report.boxes import FAINT, HEAD_PT, Box, Canvas, readable, tint
from galaxy_lvm.report.style import COLOURS, PAGE_WIDTH_INCH

SWIN_COLOUR = COLOURS["blue"]
CONV_COLOUR = COLOURS["orange"]
SKIP_COLOUR = COLOURS["red"]
IMAGE_COLOUR = COLOURS["grey"]

_BOX_WIDTH, _BOX_HEIGHT, _PITCH = 2.65, 0.6, 0.91
_INDENT, _MARGIN = 0.08, 0.03

# Figure 2: one lane per layer, the map with its windows on the right.
_LANE_HEIGHT, _GAP = 1.52, 0.125
_STEP_HEIGHT, _PLUS = 0.56, 0.075
_MAP_SIDE = 0.94
# Windows are told apart by brightness too.
_WINDOW_COLOURS = [
    tint(SWIN_COLOUR, 0.18),
    tint(SWIN_COLOUR, 0.45),
    tint(CONV_COLOUR, 0.35),
    tint(CONV_COLOUR, 0.7),
]


def draw_lvm(lvm: LVM) -> Figure:
    """Return figure 1: the U of encoder and decoder with sizes and weights of every part.

    Parameters
    ----------
    lvm
        Built model; its weights are not looked at, so that it may lie on the meta device.
    """
    return lvm_canvas(lvm).figure


def lvm_canvas(lvm: LVM) -> Canvas:
    """Draw figure 1; see `draw_lvm`."""
    parts = describe_lvm(lvm)
    n = len(parts.stages)
    canvas = Canvas(PAGE_WIDTH_INCH, (n + 1) * _PITCH + _BOX_HEIGHT + 0.75)
    tops = [canvas.height - 0.35 - row * _PITCH for row in range(n + 2)]
    _headings(canvas, parts)
    left = [_image(canvas, parts, tops[0], "left")]
    right = [_image(canvas, parts, tops[0], "right")]
    pairs = [(parts.embed, parts.output, CONV_COLOUR)]
    pairs += [
        (down, up, SWIN_COLOUR)
        for down, up in zip(parts.stages[:-1], parts.decoder_stages, strict=True)
    ]
    for row, (down, up, colour) in enumerate(pairs, start=1):
        left.append(_part(canvas, down, parts, tops[row], row, "left", colour))
        right.append(_part(canvas, up, parts, tops[row], row, "right", colour))
    _vertical_arrows(canvas, parts, left, right)
    _bottom(canvas, parts, tops[n + 1], left[-1], right[-1])
    _skips(canvas, parts, left, right)
    return canvas


def _headings(canvas: Canvas, parts: LVMParts) -> None:
    y = canvas.height - 0.1
    total = parts.n_encoder + parts.n_decoder
    for x, align, name, count in (
        (_MARGIN, "left", "Encoder", parts.n_encoder),
        (canvas.width / 2, "center", "Large vision model", total),
        (canvas.width - _MARGIN, "right", "Decoder", parts.n_decoder),
    ):
        text = f"{name}: {readable(count)} weights"
        canvas.text(x, y, text, size=HEAD_PT + 1, weight="bold", ha=align)


def _column(row: int, side: str) -> float:
    x = _MARGIN + _INDENT * row
    return x if side == "left" else PAGE_WIDTH_INCH - x - _BOX_WIDTH


def _image(canvas: Canvas, parts: LVMParts, top: float, side: str) -> Box:
    box = Box(_column(0, side), top - _BOX_HEIGHT, _BOX_WIDTH, _BOX_HEIGHT)
    name = "Image" if side == "left" else "Output image"
    canvas.box(box, name, [_size(parts.image_side, 3)], IMAGE_COLOUR)
    whole = Part(name, parts.image_side, 3, (), 0)
    _slab(canvas, whole, parts, box, side, IMAGE_COLOUR)
    return box


def _size(side: int, channels: int) -> str:
    return f"{side} × {side} × {channels}"


def _part(
    canvas: Canvas, part: Part, parts: LVMParts, top: float, row: int, side: str, colour: str
) -> Box:
    x = (PAGE_WIDTH_INCH - _BOX_WIDTH) / 2 if side == "middle" else _column(row, side)
    box = Box(x, top - _BOX_HEIGHT, _BOX_WIDTH, _BOX_HEIGHT)
    shift = -0.2 if side == "right" else 0.2
    lines = [f"{_size(part.side, part.channels)},  {readable(part.n_parameters)} weights"]
    canvas.box(box, part.name, [*lines, *part.lines], colour, box.top[0] + shift)
    _slab(canvas, part, parts, box, side, colour)
    return box


def _slab(canvas: Canvas, part: Part, parts: LVMParts, box: Box, side: str, colour: str) -> None:
    """Draw the map's side and channels; both scaled by their logarithm to be seen at all."""
    x = box.x + box.width - 0.25 if side == "right" else box.x + 0.25
    length = 0.06 + 0.24 * np.log2(part.side) / np.log2(parts.image_side)
    depth = 0.24 * np.log2(part.channels) / np.log2(parts.stages[-1].channels)
    canvas.slab(x, box.y + box.height / 2, length, depth, colour)


def _vertical_arrows(canvas: Canvas, parts: LVMParts, left: list[Box], right: list[Box]) -> None:
    """Connect the rows; between two stages the change of resolution is named."""
    for row in range(len(left) - 1):
        x = left[row + 1].top[0]
        canvas.arrow((x, left[row].y), (x, left[row + 1].top[1]))
        if row >= 2:
            _beside(canvas, parts.downs[row - 2], x - 0.08, left[row].y, "right")
        x = right[row + 1].top[0]
        canvas.arrow((x, right[row + 1].top[1]), (x, right[row].y))
        if row >= 2:
            _beside(canvas, parts.ups[row - 2], x + 0.08, right[row].y, "left")


def _beside(canvas: Canvas, part: Part, x: float, y: float, align: str) -> None:
    text = f"{part.lines[0]}\n{readable(part.n_parameters)} weights"
    canvas.text(x, y - (_PITCH - _BOX_HEIGHT) / 2, text, ha=align, color=FAINT)


def _bottom(canvas: Canvas, parts: LVMParts, top: float, left: Box, right: Box) -> None:
    """Draw the coarsest stage, the elbows to it and the feature vector below."""
    box = _part(canvas, parts.stages[-1], parts, top, 0, "middle", SWIN_COLOUR)
    x = box.x - 0.3
    canvas.arrow((x, left.y), (x, box.left[1]), box.left)
    _beside(canvas, parts.downs[-1], x - 0.08, left.y, "right")
    x = PAGE_WIDTH_INCH - x
    canvas.arrow(box.right, (x, box.right[1]), (x, right.y))
    _beside(canvas, parts.ups[-1], x + 0.08, right.y, "left")
    y = box.y - 0.34
    canvas.arrow(box.bottom, (box.bottom[0], y + 0.14), colour=COLOURS["purple"])
    text = f"{parts.pooling}: feature vector of {parts.feature_dim} numbers, for the tasks"
    canvas.text(box.bottom[0], y + 0.04, text, color=COLOURS["black"])


def _skips(canvas: Canvas, parts: LVMParts, left: list[Box], right: list[Box]) -> None:
    """Draw the skip connections that the decoder has, or say that it has none."""
    middle = canvas.width / 2
    joins = dict(zip(range(2, len(left)), parts.joins, strict=True))
    joined = {row: join for row, join in joins.items() if join is not None}
    if not joined:
        text = "no skip connections:\nthe decoder sees the\ncoarsest map only"
        canvas.text(middle, left[2].left[1], text, color=FAINT, style="italic")
        return
    # The image itself joins in front of the last convolution.
    end = (right[1].x - 0.11, right[1].left[1])
    start = (left[0].right[0], left[0].right[1])
    canvas.arrow(start, (end[0], start[1]), end, right[1].left, dashed=True, colour=SKIP_COLOUR)
    canvas.text(middle, start[1] + 0.08, "concatenate", color=FAINT)
    for row, join in joined.items():
        canvas.arrow(left[row].right, right[row].left, dashed=True, colour=SKIP_COLOUR)
        label = join.lines[0].replace(", ", "\n")
        y = left[row].right[1]
        canvas.text(middle, y + 0.05, label.split("\n")[0], va="bottom", color=FAINT)
        text = f"{label.split(chr(10))[1]}\n{readable(join.n_parameters)} weights"
        canvas.text(middle, y - 0.05, text, va="top", color=FAINT)


def draw_swin_layers(lvm: LVM) -> Figure:
    """Return figure 2: two Swin layers in a row, and the windows that their attention sees.

    Parameters
    ----------
    lvm
        Built model. The stage shown is the first whose windows shift.
    """
    return swin_canvas(lvm).figure


def swin_canvas(lvm: LVM) -> Canvas:
    """Draw figure 2; see `draw_swin_layers`."""
    stage, layers = layer_pair(lvm)
    canvas = Canvas(PAGE_WIDTH_INCH, _LANE_HEIGHT * len(layers) + 0.05)
    ends: list[tuple[float, float]] = []
    for number, layer in enumerate(layers, start=1):
        y = canvas.height - (number - 1) * _LANE_HEIGHT - 0.82
        head = f"Swin layer {number} of encoder stage {stage}"
        if number == 1:
            head += f": map of {_size(layer.side, layer.dim)}"
        x = 0.03 if number == 1 else 0.03 + _GAP  # the line from above passes on the left
        canvas.text(x, y + 0.68, head, size=HEAD_PT, weight="bold", ha="left")
        if ends:
            end, turn = ends[-1], y + 0.86
            canvas.arrow(end, (end[0], turn), (0.03, turn), (0.03, y), (0.03 + 1.5 * _GAP, y))
        last = number == len(layers)
        ends.append(_lane(canvas, layer, y, last, start=number == 1))
        _windows(canvas, layer, y)
    return canvas


def _lane(
    canvas: Canvas, layer: SwinLayerParts, y: float, last: bool, start: bool
) -> tuple[float, float]:
    """Draw one layer from left to right; return where its output line ends."""
    x = 0.03 + 1.5 * _GAP
    if start:
        canvas.arrow((0.03, y), (x, y))
    drop = f"drop path {layer.drop_path:.2g}" if layer.drop_path else ""
    if layer.conv:
        x = _residual(canvas, x, y, [_conv_step(layer)], "")
        canvas.arrow((x - _GAP, y), (x, y))
    norm = (0.44, "Layer\nnorm", [], IMAGE_COLOUR)
    shifted = layer.shift > 0
    lines = [
        f"{layer.window} × {layer.window} tokens" + f", shift {layer.shift}" * shifted,
        f"{layer.heads} heads of {layer.dim // layer.heads}",
        f"{readable(layer.n_attention)} weights",
    ]
    attention = (1.37, "Shifted-window MSA" if shifted else "Window MSA", lines, SWIN_COLOUR)
    x = _residual(canvas, x, y, [norm, attention], drop)
    canvas.arrow((x - _GAP, y), (x, y))
    lines = [f"{layer.dim} → {layer.hidden} → {layer.dim}", f"{readable(layer.n_mlp)} weights"]
    x = _residual(canvas, x, y, [norm, (0.96, "MLP", lines, SKIP_COLOUR)], drop)
    end = (x - 0.5 * _GAP, y)
    if last:
        canvas.arrow((x - _GAP, y), (x + 0.4 * _GAP, y))
    else:
        canvas.arrow((x - _GAP, y), end, head=False)
    return end


def _conv_step(layer: SwinLayerParts) -> tuple:
    return 0.98, "Convolution", [layer.conv, f"{readable(layer.n_conv)} weights"], CONV_COLOUR


def _residual(canvas: Canvas, x: float, y: float, steps: list[tuple], note: str) -> float:
    """Draw steps in a row with a shortcut around them; return where the next part starts."""
    branch = x - 0.5 * _GAP
    for number, (width, head, lines, colour) in enumerate(steps):
        box = Box(x, y - _STEP_HEIGHT / 2, width, _STEP_HEIGHT)
        canvas.box(box, head, lines, colour)
        if number + 1 < len(steps):
            canvas.arrow(box.right, (box.right[0] + _GAP, y))
        x += width + _GAP
    canvas.arrow((x - _GAP, y), (x, y))
    centre = x + _PLUS
    over = y + _STEP_HEIGHT / 2 + 0.13
    canvas.arrow((branch, y), (branch, over), (centre, over), (centre, y + _PLUS))
    canvas.plus(centre, y, _PLUS)
    if note:
        canvas.text((branch + centre) / 2, over + 0.07, note, color=FAINT)
    return centre + _PLUS + _GAP


def _windows(canvas: Canvas, layer: SwinLayerParts, y: float) -> None:
    """Draw the map's tokens, coloured by the group that attend to each other."""
    x = canvas.width - _MAP_SIDE - 0.02
    bottom = y - _MAP_SIDE / 2 + 0.06
    groups = window_groups(layer.side, layer.window, layer.shift)
    colours = (groups[:, None] % 2) * 2 + groups[None, :] % 2
    canvas.picture(np.array(_WINDOW_COLOURS)[colours], x, bottom, _MAP_SIDE)
    for line in np.arange(layer.side + 1) / layer.side * _MAP_SIDE:
        style = {"color": "white", "linewidth": 0.3, "zorder": 3}
        canvas.axes.plot([x + line, x + line], [bottom, bottom + _MAP_SIDE], **style)
        canvas.axes.plot([x, x + _MAP_SIDE], [bottom + line, bottom + line], **style)
    n_groups = int(groups.max() + 1) ** 2
    text = f"attends within\n{n_groups} {'parts' if layer.shift else 'windows'}"
    text = text if n_groups > 1 else "attends to\nthe whole map"
    canvas.text(x + _MAP_SIDE / 2, bottom - 0.15, text, color=FAINT)


def window_groups(side: int, window: int, shift: int) -> np.ndarray:
    """Return the number of the window, along one axis, that each token (side,) is in.

    Shifted windows leave part of a window at both borders: those two share one window but are
    masked from each other, so that they count as two.
    """
    return (np.arange(side) - shift) // window + (shift > 0)
