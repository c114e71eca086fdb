"""Figure 3: one encoder, three tasks, and how the strategies share out the steps."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from galaxy_lvm.core.config.tasks import TaskSections
from galaxy_lvm.lvm.model import count_parameters
from galaxy_lvm.multitask.degrade import blur_images, mask_images
from galaxy_lvm.multitask.heads import TASKS, MultitaskModel
from galaxy_lvm.multitask.schedule import STRATEGIES, TaskSchedule
from galaxy_lvm.report.boxes import FAINT, HEAD_PT, Box, Canvas, readable, tint
from galaxy_lvm.report.labels import STRATEGY_NAMES, TASK_COLOURS, TASK_HATCHES, TASK_NAMES
from galaxy_lvm.report.style import COLOURS, PAGE_WIDTH_INCH

_ROW, _BOX_HEIGHT, _PICTURE = 1.14, 0.76, 0.68
_STRIP = 1.3
_ENCODER = (1.4, 1.22)
_HEAD = (2.92, 1.62)
_OUTPUT_X, _LOSS = 4.77, (5.61, 1.37)
_ICON_PIX = 96
_OUTPUT_LINES = {
    "image": "puts out the image",
    "correction": "adds a correction to its input",
    "filling": "adds a correction to its input",
    "guided": "sees smooth copies, corrects",
    "mixture": "mixes smooth copies, corrects",
}
_LOSS_NAMES = {"mse": "Mean squared error", "psnr": "PSNR of each image"}


@dataclass(frozen=True)
class Icons:
    """Small pictures of what the tasks are fed and shall put out."""

    galaxy: np.ndarray
    """A made-up galaxy, float32 (H, W, 3) in [0, 1]."""
    blurred: np.ndarray
    """The same after the restoration task's degradation."""
    masked: np.ndarray
    """The same after the reconstruction task's."""


def draw_multitask(model: MultitaskModel, sections: TaskSections) -> Figure:
    """Return figure 3.

    Parameters
    ----------
    model
        Built model whose encoder is trained; its weights are not looked at.
    sections
        The config's sections of the tasks.
    """
    return multitask_canvas(model, sections).figure


def multitask_canvas(model: MultitaskModel, sections: TaskSections) -> Canvas:
    """Draw figure 3; see `draw_multitask`."""
    canvas = Canvas(PAGE_WIDTH_INCH, len(TASKS) * _ROW + _STRIP + 0.05)
    rows = [canvas.height - 0.46 - i * _ROW for i in range(len(TASKS))]
    icons = make_icons(sections)
    encoder = _encoder(canvas, model, rows)
    _inputs(canvas, sections, icons, encoder, rows)
    for task, y in zip(TASKS, rows, strict=True):
        _task(canvas, model, sections, icons, encoder, task, y)
    _strategies(canvas, sections)
    return canvas


def make_icons(sections: TaskSections) -> Icons:
    """Return pictures of a two-armed spiral, degraded by the config's own recipes."""
    axis = np.linspace(-1, 1, _ICON_PIX, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    radius, angle = np.hypot(x, y / 0.8), np.arctan2(y / 0.8, x)
    arms = 0.5 + 0.5 * np.cos(2 * angle - 4.2 * np.log(radius + 0.08))
    disc = np.exp(-radius / 0.3) * (0.25 + 1.1 * arms * np.clip(radius / 0.2, 0, 1))
    bulge = 1.1 * np.exp(-((radius / 0.1) ** 2))
    colours = np.array([[0.95, 0.75, 0.5], [0.6, 0.75, 1.0]], dtype=np.float32)
    galaxy = np.stack([bulge, disc], axis=-1) @ colours
    galaxy = np.clip(np.arcsinh(4 * galaxy) / 1.6, 0, 1).astype(np.float32)[None]
    blurred, _ = blur_images(galaxy, sections.restoration, seed=1)
    masked, _, _ = mask_images(galaxy, sections.reconstruction, seed=4)
    return Icons(galaxy[0], blurred[0], masked[0])


def _encoder(canvas: Canvas, model: MultitaskModel, rows: list[float]) -> Box:
    x, width = _ENCODER
    bottom = rows[-1] - _BOX_HEIGHT / 2
    box = Box(x, bottom, width, rows[0] + _BOX_HEIGHT / 2 - bottom)
    lines = [
        "of the pretrained LVM",
        f"{len(model.encoder.stages)} stages (figure 1)",
        f"{readable(count_parameters(model.encoder))} weights,",
        "shared by all tasks",
    ]
    return canvas.box(box, "Encoder", lines, COLOURS["grey"])


def _inputs(
    canvas: Canvas, sections: TaskSections, icons: Icons, encoder: Box, rows: list[float]
) -> None:
    blur, mask = sections.restoration, sections.reconstruction
    side, patch = sections.classification.view_side_pix, sections.multitask
    sizes = ", ".join(str(s) for s in mask.patch_sizes_pix)
    notes = {
        "classification": f"random views,\n{side} × {side} pix",
        "restoration": f"FWHM {blur.fwhm_min_pix:g}–{blur.fwhm_max_pix:g} pix\n"
        f"σ {blur.noise_sigma_min:g}–{blur.noise_sigma_max:g} of 255\n"
        f"patches of {patch.patch_side_pix} pix",
        "reconstruction": f"{100 * mask.fraction_min:g}–{100 * mask.fraction_max:g} % "
        "hidden\n"
        f"in {sizes} pix squares",
    }
    pictures = (icons.galaxy, icons.blurred, icons.masked)
    for task, picture, y in zip(TASKS, pictures, rows, strict=True):
        frame = canvas.picture(picture, 0.23, y - _PICTURE / 2 + 0.1, _PICTURE)
        canvas.text(0.57, frame.y - 0.05, notes[task], va="top", color=FAINT)
        canvas.arrow((frame.right[0] + 0.04, y), (encoder.x, y), colour=TASK_COLOURS[task])


def _task(
    canvas: Canvas,
    model: MultitaskModel,
    sections: TaskSections,
    icons: Icons,
    encoder: Box,
    task: str,
    y: float,
) -> None:
    colour = TASK_COLOURS[task]
    lines = _classifier_lines(model) if task == "classification" else _decoder_lines(model, task)
    name = "head" if task == "classification" else "decoder"
    head = Box(_HEAD[0], y - _BOX_HEIGHT / 2, _HEAD[1], _BOX_HEIGHT)
    canvas.box(head, f"{TASK_NAMES[task]} {name}", lines, colour)
    start = encoder.x + encoder.width
    canvas.arrow((start, y), head.left, colour=colour)
    loss = Box(_LOSS[0], y - 0.25, _LOSS[1], 0.5)
    picture = Box(_OUTPUT_X, y - 0.33, 0.66, 0.66)
    canvas.arrow(head.right, (picture.x - 0.03, y), colour=colour)
    if task == "classification":
        n_classes = model.classifier.layers[-1].out_features
        canvas.text(picture.top[0], y, f"{n_classes} class\nscores", size=HEAD_PT)
        smoothing = sections.classification.label_smoothing
        note = [f"label smoothing {smoothing:g}"] if smoothing else []
        canvas.box(loss, "Cross-entropy", note, COLOURS["purple"])
    else:
        canvas.picture(icons.galaxy, picture.x, picture.y, picture.width)
        canvas.box(loss, _LOSS_NAMES[model.image_loss], ["against the original"], COLOURS["purple"])
    canvas.arrow((picture.x + picture.width + 0.03, y), loss.left, colour=colour)


def _classifier_lines(model: MultitaskModel) -> list[str]:
    _, first, _, dropout, last = model.classifier.layers
    return [
        "features, two linear layers",
        f"{first.in_features} → {first.out_features} → {last.out_features}"
        + (f", dropout {dropout.p:g}" if dropout.p else ""),
        f"{readable(count_parameters(model.classifier))} weights",
    ]


def _decoder_lines(model: MultitaskModel, task: str) -> list[str]:
    decoder = model.decoders[task]
    return [
        "with skip connections" if decoder.skip else "without skip connections",
        _OUTPUT_LINES[model.image_output],
        f"{readable(count_parameters(decoder))} weights",
    ]


def _strategies(canvas: Canvas, sections: TaskSections) -> None:
    """Draw who gets which share of the steps, from the schedules themselves."""
    top, gap = _STRIP - 0.12, 0.12
    width = (canvas.width - 2 * gap - 0.04) / len(STRATEGIES)
    for number, strategy in enumerate(STRATEGIES):
        x = 0.02 + number * (width + gap)
        active = strategy == "multi_active"
        schedule = TaskSchedule(TASKS, active, sections.multitask.min_share)
        canvas.text(x, top, STRATEGY_NAMES[strategy], size=HEAD_PT + 0.5, weight="bold", ha="left")
        state = "encoder frozen" if strategy == "pre_train" else "encoder trained"
        canvas.text(x + width, top, state, ha="right", color=FAINT)
        _bar(canvas, schedule, x, top - 0.38, width)
        text = _rule(schedule, sections) if active else _equal(schedule)
        canvas.text(x, top - 0.5, text, ha="left", va="top", linespacing=1.45)
    settings = sections.multitask
    optim = settings.optim
    text = f"{optim.steps} steps of {settings.batch_size} images, one task each"
    canvas.text(0.02, 0.12, text, ha="left", va="bottom", color=FAINT)


def _bar(canvas: Canvas, schedule: TaskSchedule, x: float, y: float, width: float) -> None:
    floor = schedule.min_share if schedule.active else None
    left = x
    for task in schedule.tasks:
        share = schedule.shares[task] if floor is None else floor
        _segment(canvas, left, y, share * width, TASK_COLOURS[task], TASK_HATCHES[task])
        canvas.text(
            left + share * width / 2,
            y + 0.1,
            f"{100 * share:.0f} %",
            weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
        left += share * width
    if floor is not None and left < x + width - 1e-6:
        free = 1 - floor * len(schedule.tasks)
        canvas.axes.add_patch(
            Rectangle(
                (left, y),
                x + width - left,
                0.2,
                facecolor="white",
                edgecolor=FAINT,
                linestyle="--",
                linewidth=0.8,
            )
        )
        canvas.text((left + x + width) / 2, y + 0.1, f"{100 * free:.0f} % by lag")


def _segment(canvas: Canvas, x: float, y: float, width: float, colour: str, hatch: str) -> None:
    canvas.axes.add_patch(
        Rectangle(
            (x, y),
            width,
            0.2,
            facecolor=tint(colour, 0.45),
            edgecolor=colour,
            linewidth=0.8,
            hatch=hatch,
        )
    )


def _equal(schedule: TaskSchedule) -> str:
    names = ", ".join(TASK_NAMES[task].lower() for task in schedule.tasks)
    return f"equal shares throughout:\n{names}"


def _rule(schedule: TaskSchedule, sections: TaskSections) -> str:
    free = 1 - schedule.min_share * len(schedule.tasks)
    every = sections.multitask.validate_every_steps
    return (
        f"share = {schedule.min_share:g} + {free:.2g} × lag / sum of lags\n"
        f"on the validation split, every {every} steps\n"
        "lag of a class score: (1 − F1) / (1 − chance)\n"
        "lag of an image task: MSE / MSE of its input"
    )
