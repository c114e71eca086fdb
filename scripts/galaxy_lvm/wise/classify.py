"""Class probabilities of test sources: floors on photometry, networks on cutouts."""

import time
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch

from galaxy_lvm.core.config.wise import COMPACT, WiseNetworks
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.survey.splits_table import Galaxies, Splits
from galaxy_lvm.training.backbones import build_encoder
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.loop import make_accelerator
from galaxy_lvm.training.model_specs import ModelSpec
from galaxy_lvm.training.network import NetworkTrainer, cross_entropy
from galaxy_lvm.training.network_settings import NetworkProtocol
from galaxy_lvm.wise.bands import BANDS
from galaxy_lvm.wise.scores import EXPERIMENT

# Of boosting, chosen from on validation sources.
_LEAVES = (4, 8, 16)
_TIMED_IMAGES, _TIMED_BATCHES = 64, 5


def photometric_features(photometry: pd.DataFrame, with_fit: bool) -> np.ndarray:
    """Return W1, W1-W2, W2-W3 (n, 3) [mag]; `with_fit` adds log chi^2 of the fits in each band."""
    w1, w2, w3 = (photometry[f"{band}_mag"].to_numpy() for band in BANDS)
    columns = [w1, w1 - w2, w2 - w3]
    if with_fit:
        columns += [np.log(photometry[f"{band}_chi2"].to_numpy()) for band in BANDS]
    return np.stack(columns, axis=1)


def floor_probabilities(
    photometry: pd.DataFrame, splits: Splits, seed: int
) -> dict[str, tuple[np.ndarray, float]]:
    """Fit the floors on training sources; return probabilities of test sources by method.

    Parameters
    ----------
    photometry
        Of `psf_photometry`, with `id`.
    splits
        The three parts.
    seed
        Of boosting.

    Returns
    -------
    dict
        `quadratic`: Gaussians of magnitude and two colours for every class; `boosting`: trees on
        the same numbers and chi^2 of the fits, which tells extended and blended sources. Each with
        probabilities (n_test, n_classes) and the cross-entropy of validation sources.
    """
    # 1.5 CPU seconds, which the trainings of networks do without.
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
    from sklearn.ensemble import HistGradientBoostingClassifier

    parts = splits.all_labelled()
    rows = photometry.set_index("id")

    def numbers(part: str, with_fit: bool) -> np.ndarray:
        return photometric_features(rows.loc[parts[part].ids], with_fit)

    labels = {name: galaxies.labels for name, galaxies in parts.items()}
    methods = [("quadratic", False, QuadraticDiscriminantAnalysis())]
    for leaves in _LEAVES:
        trees = HistGradientBoostingClassifier(max_leaf_nodes=leaves, max_iter=100,
                                               learning_rate=0.05, random_state=seed)  # fmt: skip
        methods.append(("boosting", True, trees))
    found: dict[str, tuple[np.ndarray, float]] = {}
    for name, with_fit, method in methods:
        method.fit(numbers("train", with_fit), labels["train"])
        loss = cross_entropy(method.predict_proba(numbers("val", with_fit)), labels["val"])
        if name not in found or loss < found[name][1]:
            found[name] = method.predict_proba(numbers("test", with_fit)), loss
    return found


def prediction_table(
    model: str,
    seed: int,
    test: Galaxies,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
    photometry: pd.DataFrame,
) -> pd.DataFrame:
    """Return a row per test source: model, seed, id, label, predicted, W1 and probabilities."""
    w1 = photometry.set_index("id")["w1_mag"].loc[test.ids].to_numpy()
    names = np.array(class_names)
    table = {"model": model, "seed": int(seed), "id": test.ids, "label": names[test.labels],
             "predicted": names[probabilities.argmax(axis=1)], "w1_mag": w1}  # fmt: skip
    shares = {f"p_{name}": probabilities[:, k] for k, name in enumerate(class_names)}
    return pd.DataFrame({**table, **shares})


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
    about = [asdict(spec), protocol.model_dump(), seed]
    state = files.state(about, [spec.weights_file])
    trainer = NetworkTrainer(spec, files.crops, None, protocol, parts["test"], n_classes)
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
