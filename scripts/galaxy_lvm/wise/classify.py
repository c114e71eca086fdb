"""Class probabilities of test sources by networks on cutouts."""

import time
from dataclasses import asdict
from functools import partial

import numpy as np
import torch

from galaxy_lvm.core.config.wise import COMPACT, WiseNetworks
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.accelerator import make_accelerator
from galaxy_lvm.training.backbones import build_encoder
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import ModelSpec
from galaxy_lvm.training.network import NetworkTrainer
from galaxy_lvm.training.network_settings import NetworkProtocol
from galaxy_lvm.wise.noise import fade
from galaxy_lvm.wise.scores import EXPERIMENT

_TIMED_IMAGES, _TIMED_BATCHES = 64, 5


def protocol_of(settings: WiseNetworks, spec: ModelSpec, side_pix: int) -> NetworkProtocol:
    """Return how a network learns: on whole cutouts, turned and mirrored, never resampled.

    The compact network sees pixels as they are; others see them enlarged to `view_side_pix`.
    """
    side = side_pix if spec.model == COMPACT else max(side_pix, settings.view_side_pix)
    return NetworkProtocol(
        training=settings.training,
        views=None,
        view_side_pix=side,
        n_orientations=settings.n_orientations,
        finetune_head_factor=1.0,
        logistic_c=(0.01, 0.1, 1.0),
        channels_last=True,  # 0.5 to 0.9 of the time of a step, by network and CPU
    )


def train_network(
    spec: ModelSpec,
    files: NetworkFiles,
    side_pix: int,
    settings: WiseNetworks,
    seed: int,
) -> tuple[np.ndarray, dict[str, float]]:
    """Train one network; return probabilities (n_test, n_classes) and what is known of it.

    Learning rate and step to keep are chosen on validation sources. A run that was killed goes on
    from its last checkpoint.

    Parameters
    ----------
    spec
        The network.
    files
        Crops and splits, and where the unfinished lies.
    side_pix
        Side of the crops.
    settings
        The config's section `wise.networks`.
    seed
        Of this training.

    Returns
    -------
    tuple
        Probabilities, and `n_weights`, `images_per_s` (one forward pass on this machine),
        `loss_val`, `chosen_steps`, `chosen_learning_rate`.

    Raises
    ------
    DataError
        If the network needs features or an LVM.
    """
    if spec.is_lvm or spec.frozen or not spec.is_network:
        raise DataError(f"wise.models: {spec.label} is no network that is trained as a whole here")
    splits = Splits(files.splits)
    parts, n_classes = splits.all_labelled(), len(splits.class_names)
    protocol = protocol_of(settings, spec, side_pix)
    about = [asdict(spec), protocol.model_dump(), settings.fade_max_mag, seed]
    state = files.state(about, [spec.weights_file])
    fainter = partial(fade, max_mag=settings.fade_max_mag)
    trainer = NetworkTrainer(
        spec, files.crops, None, protocol, parts["test"], n_classes, alter=fainter
    )
    fit = trainer.fit(parts["train"], parts["val"], derive_seed(seed, "wise"), state)
    known = {"loss_val": fit.loss_val} | {f"chosen_{k}": v for k, v in fit.chosen.items()}
    return fit.shares, known | weigh(spec, protocol.view_side_pix)


def weigh(spec: ModelSpec, side_pix: int) -> dict[str, float]:
    """Return the number of an encoder's weights, and images a second at inference here."""
    device = make_accelerator("float32").device
    encoder = build_encoder(spec, side_pix).to(device).eval()
    images = torch.rand(_TIMED_IMAGES, 3, side_pix, side_pix, device=device)
    with torch.no_grad():
        encoder(images).sum().item()
        start = time.perf_counter()
        for _ in range(_TIMED_BATCHES):
            encoder(images).sum().item()  # waits for a GPU
    seconds = time.perf_counter() - start
    n_weights = sum(parameter.numel() for parameter in encoder.parameters())
    return {"n_weights": n_weights, "images_per_s": _TIMED_IMAGES * _TIMED_BATCHES / seconds}


def network_rows(sky: str, spec: ModelSpec, seed: int, known: dict[str, float]) -> list[dict]:
    """Return rows of the long table on a network itself."""
    log.info("%s, %s: %.0f weights, %.0f images/s, validation loss %.3f", sky, spec.label,
             known["n_weights"], known["images_per_s"], known["loss_val"])  # fmt: skip
    return long_rows(EXPERIMENT, sky, spec.label, "network", seed, known)
