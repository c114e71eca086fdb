"""Diagrams say what was built; figures have the panels they promise."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config.tasks import TaskSections
from galaxy_lvm.core.marks import FIGURE_KEY, FIGURE_VALUE
from galaxy_lvm.lvm.anatomy import build_empty, describe_lvm, layer_pair, swin_layers
from galaxy_lvm.lvm.diagrams import lvm_canvas, swin_canvas, window_groups
from galaxy_lvm.lvm.model import LVM, PRESETS, LVMConfig, count_parameters
from galaxy_lvm.lvm.swin_layer import SwinLayer, window_mask
from galaxy_lvm.multitask.diagram import make_icons, multitask_canvas
from galaxy_lvm.multitask.heads import build_empty_multitask
from galaxy_lvm.multitask.outputs import OUTPUTS
from galaxy_lvm.multitask.reconstruction_figure import (
    MaskedExample,
    RestoredExample,
    draw_reconstruction,
    draw_restoration,
    scores_text,
)
from galaxy_lvm.multitask.reliability import calibration_error, reliability
from galaxy_lvm.multitask.schedule import STRATEGIES, TaskSchedule
from galaxy_lvm.multitask.training_figures import (
    draw_classification,
    draw_multitask_training,
    draw_objectives,
    share_steps,
)
from galaxy_lvm.report import style
from galaxy_lvm.report.boxes import readable
from galaxy_lvm.report.image_scores import image_metrics
from galaxy_lvm.report.style import plt, save
from galaxy_lvm.training.objectives_table import objectives_html, objectives_summary
from PIL import Image

SMALL = LVMConfig(embed_dim=16, depths=(2, 1, 1), head_dim=8, skip_connections=True)
SECTIONS = TaskSections.model_validate(
    {
        "multitask": {
            "min_share": 0.2,
            "validate_every_steps": 25,
            "batch_size": 32,
            "patch_side_pix": 64,
            "optim": {"steps": 300},
        },
        "classification": {"view_side_pix": 64, "label_smoothing": 0.1},
        "restoration": {"fwhm_max_pix": 6.0, "noise_sigma_max": 9.0},
        "reconstruction": {"fraction_max": 0.6, "patch_sizes_pix": [4, 8]},
    }
)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


EDGE_INCH = 0.02


def texts(canvas):
    return [text.get_text() for text in canvas.axes.texts]


def assert_no_text_leaves_its_box(canvas):
    """Every text lies in its box, and no two boxes overlap."""
    canvas.figure.canvas.draw()
    to_inches = canvas.axes.transData.inverted()
    for box, inside in canvas.framed:
        for text in inside:
            (x0, y0), (x1, y1) = to_inches.transform(text.get_window_extent())
            assert box.x + EDGE_INCH < x0, text.get_text()
            assert x1 < box.x + box.width - EDGE_INCH, text.get_text()
            assert box.y < y0 and y1 < box.y + box.height, text.get_text()
    shown = [text for text in canvas.axes.texts if text.get_text()]
    assert min(text.get_fontsize() for text in shown) >= style.SMALL_PT
    frames = [text.get_window_extent().transformed(to_inches) for text in shown]
    for i, (text, a) in enumerate(zip(shown, frames, strict=True)):
        assert a.x0 > -0.01 and a.x1 < canvas.width + 0.01 and a.y0 > -0.01, text.get_text()
        # Frames have some air above and below the letters.
        for other, b in zip(shown[:i], frames, strict=False):
            overlap = a.width > 0 and b.width > 0 and a.x0 < b.x1 and b.x0 < a.x1
            deep = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert not overlap or deep < 0.03, (text.get_text(), other.get_text())
    boxes = [box for box, _ in canvas.framed]
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            apart_x = a.x + a.width <= b.x or b.x + b.width <= a.x
            apart_y = a.y + a.height <= b.y or b.y + b.height <= a.y
            assert apart_x or apart_y


def test_parts_of_the_lvm_add_up_to_its_weights():
    for config in (SMALL, replace(SMALL, skip_connections=False), PRESETS["lvm_tiny"]):
        lvm = LVM(config) if config is SMALL else build_empty(config)
        parts = describe_lvm(lvm)
        encoder = [parts.embed, *parts.stages, *parts.downs]
        assert sum(p.n_parameters for p in encoder) == count_parameters(lvm.encoder)
        decoder = [*parts.decoder_stages, *parts.ups, parts.output, *filter(None, parts.joins)]
        assert sum(p.n_parameters for p in decoder) == count_parameters(lvm.decoder)
        assert parts.n_encoder + parts.n_decoder == count_parameters(lvm)


def test_a_model_without_storage_has_the_same_weights():
    empty = build_empty(SMALL)
    assert all(p.is_meta for p in empty.parameters())
    assert count_parameters(empty) == count_parameters(LVM(SMALL))


def test_the_lvm_diagram_lists_the_stages_and_weights_of_the_model():
    lvm = build_empty(SMALL)
    canvas = lvm_canvas(lvm)
    found = texts(canvas)
    assert [t for t in found if t.startswith("Encoder stage")] == [
        "Encoder stage 1", "Encoder stage 2", "Encoder stage 3"
    ]  # fmt: skip
    assert sum(t.startswith("Decoder stage") for t in found) == 2
    assert f"Large vision model: {readable(count_parameters(lvm))} weights" in found
    assert f"Encoder: {readable(count_parameters(lvm.encoder))} weights" in found
    lines = "\n".join(found)
    for side, channels in zip(SMALL.sides, SMALL.dims, strict=True):
        assert f"{side} × {side} × {channels}," in lines
    assert "2 Swin layers, 2 heads, window 8, shift 4" in lines
    assert "vector of 64 numbers" in lines
    assert "3 × 3 convolutions 11 → 8 → 3" in lines  # half the channels and the image, to RGB
    assert_no_text_leaves_its_box(canvas)


def test_skip_connections_are_drawn_only_where_they_are():
    assert texts(lvm_canvas(build_empty(SMALL))).count("concatenate") == 3  # two maps, the image
    found = texts(lvm_canvas(build_empty(replace(SMALL, skip_connections=False))))
    assert "concatenate" not in found
    assert any("no skip connections" in text for text in found)


@pytest.mark.parametrize("preset", PRESETS)
def test_no_text_leaves_its_box_at_any_size(preset):
    lvm = build_empty(PRESETS[preset])
    assert_no_text_leaves_its_box(lvm_canvas(lvm))
    assert_no_text_leaves_its_box(swin_canvas(lvm))
    config = PRESETS[preset]
    for output in OUTPUTS:
        model = build_empty_multitask(
            config, n_classes=4, dropout=0.2, image_output=output, image_loss="psnr"
        )
        assert_no_text_leaves_its_box(multitask_canvas(model, SECTIONS))


def test_the_layer_diagram_shows_a_plain_and_a_shifted_layer():
    lvm = build_empty(SMALL)
    stage, layers = layer_pair(lvm)
    assert stage == 1
    assert [layer.shift for layer in layers] == [0, 4]
    found = "\n".join(texts(swin_canvas(lvm)))
    assert "Window MSA" in found and "Shifted-window MSA" in found
    assert "8 × 8 tokens, shift 4" in found and "2 heads of 8" in found
    assert "16 → 64 → 16" in found
    assert "within\n16 windows" in found and "within\n25 parts" in found


def test_stages_without_shift_still_give_a_diagram():
    lvm = build_empty(LVMConfig(embed_dim=16, depths=(1, 1), head_dim=8, conv="none"))
    _, layers = layer_pair(lvm)
    assert len(layers) == 1
    assert swin_layers(lvm.encoder.stages[0])[0].conv == ""
    assert_no_text_leaves_its_box(swin_canvas(lvm))


def test_window_groups_are_those_that_the_layer_masks():
    lvm = LVM(replace(SMALL, image_side_pix=64))
    block = [m for m in lvm.encoder.stages[0].layers if isinstance(m, SwinLayer)][1]
    side, window, shift = 16, block.window, block.shift
    assert shift == 4
    groups = window_groups(side, window, shift)
    cells = groups[:, None] * 100 + groups[None, :]
    shifted = np.roll(cells, (-shift, -shift), axis=(0, 1))
    n = side // window
    tokens = shifted.reshape(n, window, n, window).swapaxes(1, 2).reshape(n * n, -1)
    together = tokens[:, :, None] == tokens[:, None, :]
    mask = window_mask(torch.zeros(1, side, side, 1), window, shift)
    assert np.array_equal(together, mask.numpy() == 0)


def test_the_multitask_diagram_follows_model_and_config():
    model = build_empty_multitask(SMALL, n_classes=7, hidden_dim=32, image_output="image")
    canvas = multitask_canvas(model, SECTIONS)
    found = "\n".join(texts(canvas))
    assert "64 → 32 → 7" in found and "7 class" in found
    assert readable(count_parameters(model.decoders["restoration"])) in found
    assert "puts out the image" in found and "adds a correction" not in found
    assert "20 %" in found and "40 % by lag" in found
    assert "share = 0.2 + 0.4" in found and "every 25 steps" in found
    assert "FWHM 2–6 pix\nσ 1–9 of 255" in found and "0–60 % hidden" in found
    assert found.count("33 %") == 6  # both strategies with equal shares
    icons = make_icons(SECTIONS)
    assert (icons.masked == 0).mean() > (icons.galaxy == 0).mean()
    assert icons.blurred.max() < icons.galaxy.max()


def test_readable_numbers():
    assert [readable(n) for n in (528, 4_700, 133_940, 100_464_908)] == [
        "528", "4.7 k", "134 k", "100.5 M"
    ]  # fmt: skip


def masked_examples(patches, fractions, rng):
    examples = []
    for patch in patches:
        for label in ("elliptical", ""):
            original = rng.random((32, 32, 3), dtype=np.float32)
            for fraction in fractions:
                args = (original, original * 0.5, original * 0.9)
                examples.append(MaskedExample(patch, fraction, label, *args))
    return examples


def test_figure_4_has_a_panel_per_patch_share_and_galaxy():
    examples = masked_examples((4, 8, 16), (0.1, 0.3, 0.5, 0.7), np.random.default_rng(1))
    fig = draw_reconstruction(examples)
    names = [axes.get_label() for axes in fig.axes]
    assert names.count("original") == 3 * 2
    for patch in (4, 8, 16):
        assert names.count(f"masked, patch={patch}") == 2 * 4
        assert names.count(f"reconstructed, patch={patch}") == 2 * 4
    found = [text.get_text() for text in fig.texts]
    assert [found.count(f"{share} %") for share in (10, 30, 50, 70)] == [2, 2, 2, 2]
    assert "8 × 8 pixels" in found
    for example in examples:
        assert scores_text(example.original, example.reconstructed) in found
    frames = [axes.get_position() for axes in fig.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(frames) for b in frames[:i])


def test_scores_under_the_panels_are_those_of_the_tables():
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 32, 32, 3), dtype=np.float32)
    row = image_metrics(a[None], b[None]).iloc[0]
    assert scores_text(a, b) == f"{row['psnr']:.1f}   {row['ssim']:.2f}"


def test_restoration_figure_has_a_row_per_galaxy():
    rng = np.random.default_rng(3)
    examples = []
    for sigma in (3.0, 11.0):
        image = rng.random((32, 32, 3), dtype=np.float32)
        columns = {"Blurred": image * 0.5, "Restored": image * 0.8}
        examples.append(RestoredExample("spiral", 4.25, sigma, image, columns))
    fig = draw_restoration(examples)
    assert len(fig.axes) == 2 * 3
    assert any("FWHM 4.2 pix, σ 11.0" in text.get_text() for text in fig.texts)


def history(active, n=4):
    schedule = TaskSchedule(("classification", "restoration", "reconstruction"), active)
    rows = []
    for k in range(1, n + 1):
        lags = {"classification": 0.8 / k, "restoration": 0.9, "reconstruction": 0.4}
        schedule.update(lags)
        row = {"step": 10 * k, "accuracy": 0.5, "f1": 0.4}
        for task, lag in lags.items():
            row |= {f"lag_{task}": lag, f"share_{task}": schedule.shares[task]}
            row |= {f"mse_{task}": 0.01 * lag, f"mse_input_{task}": 0.01}
        rows.append(row)
    return pd.DataFrame(rows)


def test_shares_hold_from_one_validation_to_the_next_and_sum_to_one():
    table = history(active=True)
    edges, shares = share_steps(table)
    assert edges.tolist() == [0, 10, 20, 30, 40]
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.allclose(shares[0], 1 / 3)  # before the first validation nothing is known
    columns = ["share_classification", "share_restoration", "share_reconstruction"]
    assert np.allclose(shares[1], table.loc[0, columns].astype(float))
    assert shares[3, 1] > shares[0, 1]  # restoration lags most


def test_training_figure_stacks_shares_up_to_one(tmp_path):
    histories = {name: history(name == "multi_active") for name in STRATEGIES}
    fig = draw_multitask_training(histories)
    for axes in fig.axes[:3]:
        top = np.max([patch.get_data().values for patch in axes.patches], axis=0)
        assert np.allclose(top, 1)
    save(fig, tmp_path / "a" / "training.pdf")
    assert (tmp_path / "a" / "training.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "a" / "training.png").read_bytes().startswith(b"\x89PNG")


def test_the_png_loses_its_alpha_and_nothing_else(tmp_path):
    fig, axes = plt.subplots(figsize=(2, 1))
    axes.imshow(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    fig.savefig(tmp_path / "plain.png", dpi=130)
    save(fig, tmp_path / "saved.pdf", png_dpi=130)
    with Image.open(tmp_path / "plain.png") as plain, Image.open(tmp_path / "saved.png") as saved:
        assert saved.mode == "RGB"
        assert np.array_equal(np.asarray(plain.convert("RGB")), np.asarray(saved))
        assert saved.text[FIGURE_KEY] == FIGURE_VALUE
    sizes = [(tmp_path / f"{name}.png").stat().st_size for name in ("saved", "plain")]
    assert sizes[0] < sizes[1]


def test_the_png_has_the_places_of_the_pdf_and_the_figure_keeps_its_layout(tmp_path):
    fig, axes = style.figure(3, 2)
    axes.set_ylabel("a\nlabel\nof\nlines")
    plain, seen = fig.savefig, []

    def watched(*places, **options):
        plain(*places, **options)
        seen.append(axes.get_position().bounds)

    fig.savefig = watched
    save(fig, tmp_path / "saved.pdf", close=False)
    assert seen[0] == seen[1]
    axes.set_ylabel("")
    fig.savefig(tmp_path / "again.png")
    assert seen[2][0] < seen[0][0], "without its label the axes are wider: the layout still works"
    plt.close(fig)


def test_training_without_a_validation_still_gives_a_figure():
    draw_multitask_training(dict.fromkeys(STRATEGIES, pd.DataFrame()))


def objectives():
    f1 = {"random": 0.5, "reconstruct_skips": 0.55, "contrastive_noskips": 0.7}
    rows = []
    for model, value in f1.items():
        scores = {"f1": value, "f1_low95": value - 0.1, "f1_high95": value + 0.1}
        scores |= {"accuracy": value, "f1_val": value}
        if model != "random":
            scores |= {"pretrain_seconds": 12.0, "final_loss": 0.1}
        rows += [{"model": model, "metric": m, "value": v} for m, v in scores.items()]
    return pd.DataFrame(rows)


def test_objectives_mark_the_one_in_use():
    table = objectives_summary(objectives(), "reconstruct_skips")
    assert table.index.tolist() == ["contrastive_noskips", "reconstruct_skips", "random"]
    assert table["in_use"].tolist() == [False, True, False]
    page = objectives_html(table)
    assert "Reconstruct, with skips (in use)" in page and "Contrastive, no skips<" in page
    assert "0.450 to 0.650" in page
    losses = {
        name: pd.DataFrame({"step": range(30), "loss": np.linspace(1, 0.1, 30)})
        for name in ("reconstruct_skips", "contrastive_noskips")
    }
    fig = draw_objectives(table, losses, "reconstruct_skips")
    bars = fig.axes[0]
    labels = [label.get_text() for label in bars.get_yticklabels()]
    marked = [i for i, text in enumerate(labels) if "(in use)" in text]
    assert len(marked) == 1 and labels[marked[0]].startswith("Reconstruct, with skips")
    colours = [tuple(patch.get_facecolor()) for patch in bars.patches]
    assert colours.count(colours[marked[0]]) == 1
    assert len(fig.axes) == 1 + 2  # bars, and one panel per objective


def test_reliability_of_a_calibrated_and_of_an_overconfident_model():
    rng = np.random.default_rng(4)
    shares = rng.dirichlet([1.0, 1.0, 1.0], 4000)
    labels = np.array([rng.choice(3, p=p) for p in shares])
    table = reliability(labels, shares)
    assert table["n"].sum() == 4000
    assert ((table["low95"] <= table["right"]) & (table["right"] <= table["high95"])).all()
    assert calibration_error(table) < 0.04
    sure = np.eye(3)[shares.argmax(axis=1)]
    expected = 1 - (labels == shares.argmax(axis=1)).mean()
    assert calibration_error(reliability(labels, sure)) == pytest.approx(expected)


def test_confusion_matrices_print_counts_of_the_true_class():
    predictions = pd.DataFrame(
        {"p_a": [0.9, 0.8, 0.1, 0.7], "p_b": [0.1, 0.2, 0.9, 0.3], "label": [0, 0, 1, 1]}
    ).assign(model="multi_active")
    fig = draw_classification(predictions, ["a", "b"])
    cells = [text.get_text() for text in fig.axes[0].texts]
    assert cells == ["100 %\n2", "0 %\n0", "50 %\n1", "50 %\n1"]


def test_error_bars_end_where_a_score_must():
    value, low, high = np.array([0.5, 0.9, 0.2]), [0.4, 0.6, np.nan], [0.7, 1.3, np.nan]
    lengths = style.bar_lengths(value, low, high)
    np.testing.assert_allclose(lengths, [[0.1, 0.3, 0], [0.2, 0.1, 0]], atol=1e-12)
