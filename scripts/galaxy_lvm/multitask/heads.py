"""Task heads on one encoder (paper III.A, figure 3)."""

from dataclasses import replace

import numpy as np
import torch
from accelerate import init_empty_weights
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.lvm.model import LVM, Decoder, LVMConfig
from galaxy_lvm.multitask.outputs import compose, look_at, n_out, n_seen
from galaxy_lvm.report.metrics import MSE_FLOOR
from galaxy_lvm.training.predict import predict_in_batches

IMAGE_TASKS = ("restoration", "reconstruction")
TASKS = ("classification", *IMAGE_TASKS)
# What kind of images a task feeds to the encoder.
DOMAIN_OF = {"classification": "clean", "restoration": "blurred", "reconstruction": "masked"}


class ClassifierHead(nn.Module):
    """Two fully connected layers from a feature vector to class scores.

    The features are brought to mean 0 and variance 1 first, as training has seen them: those of a
    pretrained encoder differ between galaxies by much less than the first updates move them all.

    Parameters
    ----------
    feature_dim, hidden_dim, n_classes
        Sizes of the layers.
    dropout
        Share of hidden units that a training step leaves out.
    """

    def __init__(
        self, feature_dim: int, hidden_dim: int, n_classes: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(feature_dim, affine=False),
            nn.Linear(feature_dim, hidden_dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim, n_classes),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, D) to (B, n_classes)."""
        return self.layers(features)


class MultitaskModel(nn.Module):
    """One encoder; a classifier, and an image decoder each for restoration and reconstruction.

    Parameters
    ----------
    lvm
        Pretrained model. Its encoder is taken, and its decoder is where the image decoders start
        (as far as the shapes agree: skip connections may differ).
    n_classes, hidden_dim, dropout
        The classifier's.
    skip_connections
        Whether the image decoders see the encoder's finer features.
    image_output
        What the image decoders put out; see `outputs`.
    image_loss
        What they learn from: "mse", or "psnr" (see `image_loss`).
    fine_layers
        Convolutions at full resolution in an image decoder, before the last one.
    frozen_encoder
        True for the strategy `pre_train`: only the heads learn.
    label_smoothing
        Share of a label that is spread over all classes.
    """

    def __init__(
        self,
        lvm: LVM,
        n_classes: int,
        hidden_dim: int = 256,
        dropout: float = 0.0,
        skip_connections: bool = True,
        image_output: str = "correction",
        image_loss: str = "mse",
        fine_layers: int = 1,
        frozen_encoder: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = lvm.encoder
        self.frozen_encoder = frozen_encoder
        self.encoder.requires_grad_(not frozen_encoder)
        self.classifier = ClassifierHead(lvm.encoder.feature_dim, hidden_dim, n_classes, dropout)
        shape = (n_seen(image_output), n_out(image_output), fine_layers)
        self.decoders = nn.ModuleDict(
            {task: _decoder_like(lvm, skip_connections, shape) for task in IMAGE_TASKS}
        )
        if image_output != "image":
            for decoder in self.decoders.values():
                # The correction starts at nothing: restoration's first output is the input itself.
                nn.init.zeros_(decoder.output.weight)
                nn.init.zeros_(decoder.output.bias)
        self.image_output, self.image_loss = image_output, image_loss
        self.label_smoothing = label_smoothing

    def train(self, mode: bool = True) -> "MultitaskModel":
        """Set the mode; a frozen encoder stays in evaluation mode (its statistics are fixed)."""
        super().train(mode)
        if self.frozen_encoder:
            self.encoder.eval()
        return self

    def forward(self, task: str, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the loss of one task.

        Parameters
        ----------
        task
            One of TASKS.
        images
            Inputs (B, 3, H, W) in [0, 1].
        target
            Class numbers (B,) or class shares (B, n_classes), or images (B, 3, H, W).
        """
        if task == "classification":
            scores = self.classify(images).float()
            loss = functional.cross_entropy(scores, target, label_smoothing=self.label_smoothing)
        else:
            loss = image_loss(self.restore(task, images), target, self.image_loss)
        return {"loss": loss}

    def classify(self, images: Tensor) -> Tensor:
        """Return class scores (B, n_classes) before the softmax."""
        return self.classifier(self.encoder.pooled(images))

    def restore(self, task: str, images: Tensor) -> Tensor:
        """Return the image (B, 3, H, W) that an image task makes of its input."""
        given = look_at(task, images, self.image_output)
        features = self.encoder(images, DOMAIN_OF[task])
        return compose(task, given, self.decoders[task](features, given.seen), self.image_output)


def image_loss(image: Tensor, target: Tensor, kind: str) -> Tensor:
    """Return how far images (B, 3, H, W) are from their targets.

    Parameters
    ----------
    image, target
        Grey levels in [0, 1].
    kind
        "mse": mean squared error, which the worst images rule. "psnr": mean over images of its
        logarithm, as PSNR is averaged: halving an error counts alike in every image, and the
        gradient is of the size of a cross-entropy's.
    """
    error = (image.float() - target).square()
    if kind == "mse":
        return error.mean()
    return (error.mean(dim=(1, 2, 3)) + MSE_FLOOR).log().mean()


def _decoder_like(lvm: LVM, skip_connections: bool, shape: tuple[int, int, int]) -> Decoder:
    """Return a decoder (n_seen, n_out, fine_layers) that starts from the pretrained one.

    As far as the names and shapes of the weights agree.
    """
    decoder = Decoder(replace(lvm.config, skip_connections=skip_connections), *shape)
    state, own = lvm.decoder.state_dict(), decoder.state_dict()
    same = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    decoder.load_state_dict({**own, **same})
    return decoder


def build_empty_multitask(config: LVMConfig, n_classes: int, **options) -> MultitaskModel:
    """Return a multitask model without storage for its weights; options as `MultitaskModel`."""
    with init_empty_weights():
        return MultitaskModel(LVM(config), n_classes, **options)


# Images at a time. Whole images at full resolution leave a CPU's caches: on one core 64 of 128
# pixels took 3.2 s and 0.2 GB in eights, 4.8 s and 0.9 GB at once.
_AT_ONCE = {"cpu": 8}
_AT_ONCE_ELSEWHERE = 64


def restored_images(
    model: MultitaskModel,
    task: str,
    images: np.ndarray,
    device: torch.device | str = "cpu",
    **kwargs,
) -> np.ndarray:
    """Return what an image task makes of `images` (N, H, W, 3), float32 in [0, 1]."""
    model.eval()
    batch_size = _AT_ONCE.get(torch.device(device).type, _AT_ONCE_ELSEWHERE)

    def restore(batch: Tensor) -> Tensor:
        return model.restore(task, batch).clamp(0, 1).permute(0, 2, 3, 1)

    return predict_in_batches(restore, images, device, batch_size, **kwargs)
