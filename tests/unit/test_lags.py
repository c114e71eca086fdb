"""What steers multi_active: three ways to measure how far a task lags."""

import numpy as np
import pytest
from galaxy_lvm.core.config.tasks import Baselines, Blur, Mask
from galaxy_lvm.multitask.baselines import classical_errors
from galaxy_lvm.multitask.classical import BlurredSet
from galaxy_lvm.multitask.schedule import lag_of_mse, task_lags
from galaxy_lvm.multitask.tasks import reconstruction_test_sets, restoration_test_set

SCORES = {
    "f1": 0.7,
    "mse_restoration": 0.0007, "mse_input_restoration": 0.0010, "mse_classical_restoration": 0.0006,
    "mse_reconstruction": 0.005, "mse_input_reconstruction": 0.025,
    "mse_classical_reconstruction": 0.001,
}  # fmt: skip


def test_lags_by_hand():
    by_input = task_lags(SCORES, 4, "input")
    assert by_input == pytest.approx(
        {"classification": 0.4, "restoration": 0.7, "reconstruction": 0.2}
    )
    classical = task_lags(SCORES, 4, "classical")
    assert classical == pytest.approx(
        {"classification": 0.4, "restoration": 0.25, "reconstruction": 1 / 6}
    )
    paper = task_lags(SCORES, 4, "paper")
    assert paper == pytest.approx(
        {"classification": 0.3, "restoration": 0.0007, "reconstruction": 0.005}
    )


def test_better_than_any_classical_method_is_no_lag():
    scores = SCORES | {"mse_restoration": 0.0005}
    assert task_lags(scores, 4, "classical")["restoration"] == 0
    assert task_lags(scores, 4, "input")["restoration"] == pytest.approx(0.5)
    assert lag_of_mse(0.002, 0.001, 0.0005) == 1  # worse than doing nothing
    assert lag_of_mse(0.001, 0.001, 0.001) == 0  # nothing can be gained


def test_classical_errors_are_those_of_methods_that_know_everything():
    y, x = np.mgrid[:32, :32] - 15.5
    widths = np.linspace(3, 6, 6)[:, None, None]
    grey = 200 * np.exp(-(x**2 + y**2) / (2 * widths**2)) + 20
    images = np.repeat(grey[..., None], 3, axis=3).astype(np.uint8)
    blur, mask = Blur(fwhm_max_pix=4.0), Mask(patch_sizes_pix=(4,))
    sharp, blurred, table = restoration_test_set(images, blur, 1, "val")
    whole, masked, hidden, _ = reconstruction_test_sets(images, mask, 1, "val")[""]
    known = BlurredSet.from_table(blurred, table, blur)
    found = classical_errors((sharp, known), (whole, masked, hidden), Baselines())
    assert 0 < found["mse_classical_restoration"] < 0.7 * np.mean((blurred - sharp) ** 2)
    assert 0 < found["mse_classical_reconstruction"] < 0.3 * np.mean((masked - whole) ** 2)
    # Without knowing the noise the same filter does worse.
    blind = BlurredSet(known.images, known.transfer, 30 * known.sigma)
    worse = classical_errors((sharp, blind), (whole, masked, hidden), Baselines())
    assert worse["mse_classical_restoration"] > found["mse_classical_restoration"]
