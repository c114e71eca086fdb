"""Encoders by name: torchvision's, the LVM, any timm model; images in, one vector each out."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.lvm.model import LVM, Encoder
from galaxy_lvm.lvm.pooling import Pooling
from galaxy_lvm.lvm.weights import load_lvm
from galaxy_lvm.training.augment import resize
from galaxy_lvm.training.model_specs import (
    IMAGENET,
    NO_WEIGHTS,
    PYTHON_PREFIX,
    TIMM_PREFIX,
    ModelSpec,
    check_model_name,
)
from galaxy_lvm.training.packaged_weights import load_packaged, packaged_file

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Layers that hold the ImageNet classes: the only ones that a weights file may lack or add.
_CLASS_LAYERS = ("fc.", "classifier.", "head.", "heads.", "last_linear.")

_N_MAPS = 4  # as many as the LVM has stages


class PooledLVM(nn.Module):
    """The LVM's encoder as a map from an image to one vector.

    Parameters
    ----------
    encoder
        Encoder of an LVM.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) in [0, 1] to (B, D)."""
        return self.encoder.pooled(images)


class NormalisedNetwork(nn.Module):
    """A network with its input scaled as ImageNet weights expect it.

    Parameters
    ----------
    network
        Maps normalised images to (B, D).
    mean, std
        Of the channels, for values in [0, 1].
    side_pix
        Side to which images are brought first; None takes them as they are.
    """

    def __init__(
        self,
        network: nn.Module,
        mean: tuple[float, ...] = _IMAGENET_MEAN,
        std: tuple[float, ...] = _IMAGENET_STD,
        side_pix: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.side_pix = side_pix
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) in [0, 1] to (B, D)."""
        if self.side_pix is not None:
            images = resize(images, self.side_pix)
        return self.network((images - self.mean) / self.std).flatten(1)


def build_encoder(
    spec: ModelSpec, side_pix: int, lvm_weights: str | os.PathLike | None = None
) -> nn.Module:
    """Return an encoder: images (B, 3, side, side) in [0, 1] to vectors (B, D).

    Parameters
    ----------
    spec
        Which one, and the weights it starts from.
    side_pix
        Side of the images it will see.
    lvm_weights
        Weights of the LVM models; see `ModelSpec.weights_path`.

    Raises
    ------
    ConfigError
        For an unknown timm model (the nearest names are given), a function that is not found or
        makes no encoder, or images too small for a model.
    DataError
        If weights cannot be had or belong to another model.
    """
    if spec.is_lvm:
        return _lvm_encoder(spec, lvm_weights)
    if spec.model.startswith(TIMM_PREFIX):
        return _timm_encoder(spec)
    if spec.model.startswith(PYTHON_PREFIX):
        return _own_encoder(spec, side_pix)
    return NormalisedNetwork(_torchvision_network(spec, side_pix))


@torch.no_grad()
def feature_dim(encoder: nn.Module, side_pix: int) -> int:
    """Return the length D of the vectors that an encoder makes of images of this side."""
    was_training = encoder.training
    device = next(encoder.parameters()).device
    n = encoder.eval()(torch.zeros(1, 3, side_pix, side_pix, device=device)).shape[1]
    encoder.train(was_training)
    return n


def _lvm_encoder(spec: ModelSpec, lvm_weights: str | os.PathLike | None) -> PooledLVM:
    path = lvm_weights
    if path is None or not Path(path).exists():
        raise DataError(f"{path}: no weights for {spec.label}; run pretrain_lvm or name a file")
    lvm = load_lvm(path)
    return PooledLVM((LVM(lvm.config) if spec.model == "lvm_scratch" else lvm).encoder)


def _own_encoder(spec: ModelSpec, side_pix: int) -> nn.Module:
    """Return what the user's function makes, if it maps images to vectors."""
    module, _, function = spec.model.removeprefix(PYTHON_PREFIX).partition(":")
    try:
        network = getattr(import_module(module), function)()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{spec.model}: {error}; put {module}.py beside the scripts or install it"
        ) from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{spec.model}: returns {type(network).__name__}, expected an nn.Module")
    with torch.no_grad():
        shape = tuple(network.eval()(torch.zeros(1, 3, side_pix, side_pix)).shape)
    network.train()
    if len(shape) != 2 or shape[0] != 1:
        raise ConfigError(f"{spec.model}: makes {shape} of one image, expected vectors (1, D)")
    return network


def _torchvision_network(spec: ModelSpec, side_pix: int) -> nn.Module:
    import torchvision  # see `_timm_encoder`

    imagenet = spec.weights == IMAGENET
    # GoogLeNet's classifiers on the way are left out, as torchvision does where it has weights.
    alone = spec.model == "googlenet" and not imagenet
    how = {"aux_logits": False, "init_weights": False} if alone else {}
    network = _fetch(
        spec,
        lambda: torchvision.models.get_model(
            spec.model, weights="DEFAULT" * imagenet or None, **how
        ),
    )
    if spec.weights == NO_WEIGHTS and spec.model in ("alexnet", "vgg16"):
        _fit_to_small_maps(network, spec.model, side_pix)
    if spec.weights not in (NO_WEIGHTS, IMAGENET):
        _load_own_weights(network, spec)
    if hasattr(network, "fc"):
        network.fc = nn.Identity()
    else:
        network.classifier[-1] = nn.Identity()
    return network


def _fit_to_small_maps(network: nn.Module, name: str, side_pix: int) -> None:
    """Leave out the repetition of maps smaller than the pooling of these two networks asks for.

    Made for 224 pixels, they bring every map to 6 x 6 or 7 x 7. A smaller map would be repeated and
    each copy be given weights of its own: the same functions at many times the cost.
    """
    try:
        with torch.no_grad():
            map_side = network.features.eval()(torch.zeros(1, 3, side_pix, side_pix)).shape[-1]
    except RuntimeError as error:
        raise ConfigError(
            f"features.view_side_pix: {side_pix} pixels are too few for {name}: {error}"
        ) from None
    network.features.train()
    side = min(map_side, network.avgpool.output_size[0])
    number = next(i for i, m in enumerate(network.classifier) if isinstance(m, nn.Linear))
    first = network.classifier[number]
    channels = first.in_features // network.avgpool.output_size[0] ** 2
    network.avgpool = nn.AdaptiveAvgPool2d(side)
    network.classifier[number] = nn.Linear(channels * side**2, first.out_features)


class PooledMaps(nn.Module):
    """A timm network as a map from an image to mean and deviation of its maps; see `Pooling`.

    Parameters
    ----------
    network
        timm model that knows `forward_intermediates`.
    kind
        A pooling without weights of its own.
    """

    def __init__(self, network: nn.Module, kind: str) -> None:
        super().__init__()
        # As the pooling reads maps: EfficientNet-Lite0 takes 0.7 of the time so, on one core with
        # AVX-512 and without. Networks that end in a vector stay as they are: ResNet18 takes more.
        self.network = network.to(memory_format=torch.channels_last)
        dims = [stage["num_chs"] for stage in network.feature_info][-_N_MAPS:]
        self.pooling = Pooling(kind, dims)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, D)."""
        maps = self.network.forward_intermediates(images, indices=_N_MAPS, intermediates_only=True)
        return self.pooling([one.permute(0, 2, 3, 1) for one in maps])


def _timm_encoder(spec: ModelSpec) -> NormalisedNetwork:
    # Both import torch's compiler, 2 of the 4 CPU seconds in which a job with torch starts.
    import timm

    name = spec.model.removeprefix(TIMM_PREFIX)
    if not name.startswith(("hf_hub:", "hf-hub:")):
        check_model_name(name.partition(".")[0], timm.list_models())
    packaged = packaged_file(name) if spec.weights == IMAGENET else None
    if packaged is not None:
        network = timm.create_model(name)
        load_packaged(network, packaged)
        network.reset_classifier(0)
    else:
        fetched = spec.weights == IMAGENET
        network = _fetch(spec, lambda: timm.create_model(name, pretrained=fetched, num_classes=0))
    if spec.weights not in (NO_WEIGHTS, IMAGENET):
        _load_own_weights(network, spec)
    about = network.pretrained_cfg
    if spec.pooling is not None:
        if not hasattr(network, "forward_intermediates"):
            raise ConfigError(f"{spec.label}: timm's {name} does not give its maps; no 'pooling'")
        network = PooledMaps(network, spec.pooling)
    # Transformers with a fixed grid of tokens get images of the size that they were made for.
    side = about["input_size"][-1] if about.get("fixed_input_size") else None
    return NormalisedNetwork(network, about["mean"], about["std"], side)


def _fetch(spec: ModelSpec, make: Any) -> nn.Module:
    """Call `make`; say what to do where its weights cannot be downloaded."""
    try:
        return make()
    except (OSError, RuntimeError) as error:
        if spec.weights != IMAGENET:
            raise
        raise DataError(
            f"{spec.label}: the ImageNet weights could not be fetched ({error}); "
            "set weights to the path of a file, or to none"
        ) from error


def _load_own_weights(network: nn.Module, spec: ModelSpec) -> None:
    path = Path(spec.weights)
    if not path.exists():
        raise DataError(f"{path}: no such weights for {spec.label}; give none, imagenet or a path")
    if path.suffix == ".safetensors":
        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
    own = network.state_dict()
    last = _CLASS_LAYERS[:1] if spec.model.startswith("resnet") else _CLASS_LAYERS
    if spec.model in ("alexnet", "vgg16"):
        last = (f"classifier.{len(network.classifier) - 1}.",)
    usable = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    differing = [
        k for k in sorted(own.keys() ^ usable.keys() | state.keys() - own.keys())
        if not k.startswith(last)
    ]  # fmt: skip
    if differing:
        raise DataError(
            f"{path}: {len(differing)} weights do not fit {spec.model}, first {differing[0]!r}"
        )
    network.load_state_dict(usable, strict=False)
