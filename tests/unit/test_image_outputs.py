"""What an image task keeps of its input, fills in by itself, and minimises."""

import math

import numpy as np
import pytest
import torch
from galaxy_lvm.lvm.model import LVM, LVMConfig
from galaxy_lvm.multitask.heads import IMAGE_TASKS, MultitaskModel, image_loss
from galaxy_lvm.multitask.outputs import (
    OUTPUTS,
    WIDTHS_PIX,
    compose,
    look_at,
    n_out,
    n_seen,
    smooth,
)
from galaxy_lvm.report.metrics import mean_psnr
from scipy.ndimage import gaussian_filter

KEEPING = ("filling", "guided", "mixture")


def model_of(output, **options):
    torch.manual_seed(0)
    lvm = LVM(LVMConfig(embed_dim=16, depths=(1, 1, 1), head_dim=8))
    return MultitaskModel(lvm, 3, image_output=output, **options)


def masked_image(side=64, level=None):
    """Return a smooth image, or one of a single level, with two black squares, and the mask."""
    grid = torch.linspace(0.2, 0.8, side)
    image = (grid[:, None] * grid)[None, None].repeat(1, 3, 1, 1)
    image = image if level is None else torch.full_like(image, level)
    hidden = torch.zeros(1, 1, side, side, dtype=torch.bool)
    hidden[..., 8:24, 8:24] = hidden[..., 40:44, 48:52] = True
    return image, image.masked_fill(hidden, 0.0), hidden


@torch.no_grad()
def with_any_weights(model):
    """Return the model with output layers that do something."""
    for decoder in model.decoders.values():
        torch.nn.init.normal_(decoder.output.weight, std=0.1)
    return model.eval()


@pytest.mark.parametrize("output", KEEPING)
def test_visible_pixels_are_kept_and_hidden_ones_filled(output):
    _, masked, hidden = masked_image()
    with torch.no_grad():
        filled = with_any_weights(model_of(output)).restore("reconstruction", masked)
    same = (filled == masked).all(dim=1, keepdim=True)
    assert same[~hidden].all()
    assert not same[hidden].any()


@pytest.mark.parametrize("output", ["image", "correction"])
def test_a_free_output_may_change_what_is_visible(output):
    _, masked, hidden = masked_image()
    with torch.no_grad():
        filled = with_any_weights(model_of(output)).restore("reconstruction", masked)
    assert (filled != masked).any(dim=1, keepdim=True)[~hidden].any()


@pytest.mark.parametrize("output", [name for name in OUTPUTS if name != "image"])
def test_restoration_starts_at_its_input(output):
    image, _, _ = masked_image()
    assert torch.equal(model_of(output).restore("restoration", image), image)


def test_an_untrained_mixture_fills_a_level_with_that_level():
    # The black of hidden squares must not leak into the mean of what is around them.
    level, masked, _ = masked_image(level=0.6)
    torch.testing.assert_close(model_of("mixture").restore("reconstruction", masked), level)


def test_a_mixture_sharpens_with_negative_weights_and_keeps_the_light():
    image, _, _ = masked_image()
    given = look_at("restoration", image, "mixture")
    raw = torch.zeros(1, n_out("mixture"), 64, 64)
    raw[:, 3] = -1.0  # minus the narrowest copy: unsharp masking
    sharper = compose("restoration", given, raw, "mixture")
    expected = 2 * image - torch.from_numpy(
        np.stack([gaussian_filter(c.numpy(), WIDTHS_PIX[0], truncate=9) for c in image[0]])[None]
    )
    torch.testing.assert_close(sharper, expected, atol=1e-5, rtol=0)
    assert sharper.mean().item() == pytest.approx(image.mean().item(), abs=1e-5)


def test_copies_are_mirrored_gaussians():
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    copies = smooth(image)
    assert copies.shape == (2, len(WIDTHS_PIX), 3, 32, 48)
    for k, width in enumerate(WIDTHS_PIX):
        expected = gaussian_filter(image[1, 2].numpy(), width, mode="reflect", truncate=8)
        np.testing.assert_allclose(copies[1, k, 2].numpy(), expected, atol=1e-5)


def test_copies_keep_their_digits_under_autocast():
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        copies = smooth(image)
    assert copies.dtype == torch.float32
    assert torch.equal(copies, smooth(image))


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("task", IMAGE_TASKS)
def test_channels_are_as_many_as_the_decoder_is_built_for(task, output):
    seen = look_at(task, masked_image()[1], output).seen
    assert seen.shape == (1, n_seen(output), 64, 64)
    assert torch.isfinite(seen).all()


def test_restoration_is_told_of_more_noise_at_the_finest_scale():
    image, _, _ = masked_image()
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(2))
    told = [
        look_at("restoration", image + sigma * noise, "guided").seen[0, -len(WIDTHS_PIX), 0, 0]
        for sigma in (0.004, 0.02, 0.06)
    ]
    assert told[0] < told[1] < told[2]
    # In the logarithm of the amplitude, so three times the noise is ln 3 more.
    assert (told[2] - told[1]).item() == pytest.approx(math.log(3), abs=0.05)


def test_the_loss_psnr_is_the_score_in_nats():
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(4, 3, 16, 16, generator=generator)
    noise = torch.randn(4, 3, 16, 16, generator=generator)
    image = target + noise * torch.tensor([0.01, 0.03, 0.1, 0.3])[:, None, None, None]
    arrays = (a.permute(0, 2, 3, 1).numpy() for a in (target, image))
    expected = -mean_psnr(*arrays) * math.log(10) / 10
    # The floor of 8-bit rounding is added, not cut at.
    assert image_loss(image, target, "psnr").item() == pytest.approx(expected, abs=0.01)
    assert image_loss(image, target, "mse").item() == pytest.approx(
        (image - target).square().mean().item()
    )


def test_no_image_rules_the_psnr_loss():
    target = torch.zeros(2, 3, 8, 8)
    image = torch.stack([torch.full((3, 8, 8), 0.01), torch.full((3, 8, 8), 0.3)])
    shares = {}
    for kind in ("mse", "psnr"):
        leaf = image.clone().requires_grad_()
        image_loss(leaf, target, kind).backward()
        pull = (leaf.grad * image).sum(dim=(1, 2, 3))  # change of the loss by relative change
        shares[kind] = (pull[0] / pull.sum()).item()
    assert shares["mse"] < 0.01
    assert shares["psnr"] == pytest.approx(0.5, abs=0.01)


def test_more_fine_layers_are_more_convolutions_at_full_resolution():
    counts = []
    for layers in (1, 3):
        decoder = model_of("mixture", fine_layers=layers).decoders["restoration"]
        counts.append(sum(isinstance(m, torch.nn.Conv2d) for m in decoder.fine))
    assert counts == [1, 3]


def test_a_mixture_learns_to_restore_within_a_few_steps():
    torch.manual_seed(0)
    model = model_of("mixture", image_loss="psnr").train()
    clean = masked_image()[0].repeat(4, 1, 1, 1)
    noisy = (clean + 0.1 * torch.randn(clean.shape)).clamp(0, 1)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    before = image_loss(noisy, clean, "psnr").item()
    for _ in range(15):
        optimizer.zero_grad()
        loss = model("restoration", noisy, clean)["loss"]
        loss.backward()
        optimizer.step()
    assert loss.item() < before - math.log(4)  # 6 dB
