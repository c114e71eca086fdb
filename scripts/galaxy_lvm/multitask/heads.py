"""Task heads on one encoder (paper III.A, figure 3)."""

import copy
from dataclasses import replace

import numpy as np
from accelerate import init_empty_weights
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.lvm.model import LVM, Decoder, LVMConfig
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
    residual
        Whether the image decoders predict a correction to their input instead of the image.
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
        residual: bool = True,
        frozen_encoder: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = lvm.encoder
        self.frozen_encoder = frozen_encoder
        self.encoder.requires_grad_(not frozen_encoder)
        self.classifier = ClassifierHead(lvm.encoder.feature_dim, hidden_dim, n_classes, dropout)
        self.decoders = nn.ModuleDict(
            {task: _decoder_like(lvm, skip_connections) for task in IMAGE_TASKS}
        )
        if residual:
            for decoder in self.decoders.values():
                # The correction starts at nothing: the first output is the input itself.
                nn.init.zeros_(decoder.output.weight)
                nn.init.zeros_(decoder.output.bias)
        self.residual = residual
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
            loss = functional.mse_loss(self.restore(task, images).float(), target)
        return {"loss": loss}

    def classify(self, images: Tensor) -> Tensor:
        """Return class scores (B, n_classes) before the softmax."""
        return self.classifier(self.encoder.pooled(images))

    def restore(self, task: str, images: Tensor) -> Tensor:
        """Return the image (B, 3, H, W) that an image task makes of its input."""
        output = self.decoders[task](self.encoder(images, DOMAIN_OF[task]), images)
        return images + output if self.residual else output


def _decoder_like(lvm: LVM, skip_connections: bool) -> Decoder:
    """Return a decoder that starts from the pretrained one where the shapes agree."""
    if skip_connections == lvm.config.skip_connections:
        return copy.deepcopy(lvm.decoder)
    decoder = Decoder(replace(lvm.config, skip_connections=skip_connections))
    state, own = lvm.decoder.state_dict(), decoder.state_dict()
    same = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    decoder.load_state_dict({**own, **same})
    return decoder


def build_empty_multitask(config: LVMConfig, n_classes: int, **options) -> MultitaskModel:
    """Return a multitask model without storage for its weights; options as `MultitaskModel`."""
    with init_empty_weights():
        return MultitaskModel(LVM(config), n_classes, **options)


def restored_images(model: MultitaskModel, task: str, images: np.ndarray, **kwargs) -> np.ndarray:
    """Return what an image task makes of `images` (N, H, W, 3), float32 in [0, 1]."""
    model.eval()

    def restore(batch: Tensor) -> Tensor:
        return model.restore(task, batch).clamp(0, 1).permute(0, 2, 3, 1)

    return predict_in_batches(restore, images, **kwargs)
