"""Batch normalisation with statistics for each kind of image."""

import pytest
import torch
from galaxy_lvm.core.config.training import Lvm
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.lvm.norms import (
    STATISTICS_OF,
    DomainBatchNorm,
    calibrate,
    follow_clean_images,
    set_domain,
)
from torch import nn


def test_one_domain_equals_torchs_batch_norm():
    torch.manual_seed(0)
    ours, theirs = DomainBatchNorm(5), nn.BatchNorm2d(5)
    for _ in range(4):
        x = 3 + 2 * torch.randn(6, 4, 4, 5)
        torch.testing.assert_close(ours(x), theirs(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    ours.eval(), theirs.eval()
    x = torch.randn(2, 4, 4, 5)
    torch.testing.assert_close(ours(x), theirs(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


def test_statistics_of_one_kind_of_image_leave_the_others_alone():
    norm = DomainBatchNorm(3)
    set_domain(norm, "blurred")
    norm(7 + torch.randn(8, 4, 4, 3))
    clean, blurred = (norm.running_mean[STATISTICS_OF[d]] for d in ("clean", "blurred"))
    assert (blurred > 0.5).all()
    assert not clean.any()


def test_statistics_of_masked_images_stay_as_they_were_calibrated():
    torch.manual_seed(0)
    norm = DomainBatchNorm(3)
    calibrate(nn.Sequential(norm), [2 + torch.randn(8, 4, 4, 3)])
    kept = norm.running_mean[STATISTICS_OF["masked"]].clone()
    set_domain(norm, "masked")
    masked = torch.zeros(8, 4, 4, 3)
    expected = norm.eval()(masked)
    set_domain(norm, "clean")
    for _ in range(50):
        norm.train()(9 + torch.randn(8, 4, 4, 3))
    set_domain(norm, "masked")
    torch.testing.assert_close(norm.train()(masked), expected)
    assert torch.equal(norm.running_mean[STATISTICS_OF["masked"]], kept)
    assert (kept - 2).abs().max() < 0.5 < (norm.running_mean[0] - kept).min()


def test_masked_images_can_follow_clean_ones():
    torch.manual_seed(0)
    norm = DomainBatchNorm(3)
    follow_clean_images(nn.Sequential(norm))
    for _ in range(50):
        norm(2 + torch.randn(8, 4, 4, 3))
    set_domain(norm, "masked")
    kept = norm.running_mean.clone()
    masked = norm.train()(torch.full((8, 4, 4, 3), 2.0))
    assert masked.abs().max() < 0.3  # 2 is the mean of the clean images
    assert torch.equal(norm.running_mean, kept)


def test_an_unknown_kind_of_image_is_refused():
    with pytest.raises(ValueError, match="blurred"):
        set_domain(DomainBatchNorm(2), "noisy")


def test_calibration_makes_evaluation_agree_with_training():
    torch.manual_seed(0)
    encoder = LVM(build_config(Lvm(preset="lvm_micro", norm="batch"))).encoder
    images = 0.3 * torch.rand(16, 3, 64, 64)
    encoder.train()
    trained = encoder.pooled(images)
    uncalibrated = encoder.eval().pooled(images)
    calibrate(encoder, [images])
    assert not encoder.training
    error = (encoder.pooled(images) - trained).abs().mean()
    # Running variances are unbiased, those of a batch are not: equal up to a few per cent.
    assert error < 0.05 * trained.abs().mean() < (uncalibrated - trained).abs().mean()
    torch.testing.assert_close(
        encoder(images, "masked")[-1], encoder(images, "clean")[-1]
    )  # all kinds start from the clean ones


def test_calibration_averages_its_batches():
    norm = nn.Sequential(DomainBatchNorm(2))
    calibrate(norm, [torch.full((4, 2, 2, 2), level) + torch.randn(4, 2, 2, 2) for level in (0, 6)])
    torch.testing.assert_close(norm[0].running_mean[0], torch.full((2,), 3.0), atol=0.6, rtol=0)
