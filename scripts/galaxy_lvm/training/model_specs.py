"""Which classifiers the config asks for: their names, weights and labels; no torch needed."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from galaxy_lvm.core.encoder_files import RELEASED, released_weights
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.report.names import MODEL_NAMES

TORCHVISION_MODELS = ("alexnet", "googlenet", "vgg16", "resnet18", "resnet50")
LVM_MODELS = ("lvm_frozen", "lvm_finetuned", "lvm_scratch")
CLASSICAL_MODELS = ("hog_logistic",)
KNOWN_MODELS = (*LVM_MODELS, *TORCHVISION_MODELS, *CLASSICAL_MODELS)
TIMM_PREFIX = "timm:"
# A function of the user's, `python:module:function`, that returns a network.
PYTHON_PREFIX = "python:"
NO_WEIGHTS, IMAGENET = "none", "imagenet"

_DISPLAY = {
    "lvm_frozen": "LVM, frozen + head",
    "lvm_finetuned": "LVM, fine-tuned",
    "lvm_scratch": "LVM, from scratch",
    "alexnet": "AlexNet",
    "googlenet": "GoogLeNet",
    "vgg16": "VGG16",
    "resnet18": "ResNet18",
    "resnet50": "ResNet50",
    "hog_logistic": "HOG + logistic regression",
    "timm:tf_efficientnet_lite0": "EfficientNet-Lite0",
    "timm:tf_efficientnetv2_b0": "EfficientNetV2-B0",
    "timm:mobilenetv3_small_100": "MobileNetV3-small",
    "timm:mobilenetv3_large_100": "MobileNetV3-large",
    "timm:repvgg_a0": "RepVGG-A0",
    "timm:resnet34": "ResNet34",
}
_STARTS = {NO_WEIGHTS: "from scratch", IMAGENET: "ImageNet"}
# Files of features that are no model of the comparison.
_FEATURES_OF_THE_RUN = {
    "lvm": "the run's own",
    "teacher": "pretrain.teacher's",
    "joint": "images' and spectra's joint",
}


@dataclass(frozen=True)
class ModelSpec:
    """One classifier of the few-shot comparison.

    Attributes
    ----------
    model
        A name of KNOWN_MODELS, `timm:` and the name of a timm model, or `python:module:function`.
    weights
        `none`, `imagenet` or a path; for the LVM `none` stands for the run's own weights, and
        `released` for those that the project comes with.
    frozen
        True: features are extracted once and only a head is trained on them.
    label
        Name in tables, file names and figures; unique.
    learning_rates
        Peaks to choose from for this model; empty for those of the protocol.
    view_side_pix
        Frozen encoders: side of the images that they see; None for that of all features.
    pooling
        Frozen timm encoders: what is kept of the last four maps; None for the network's own vector.
    """

    model: str
    weights: str
    frozen: bool
    label: str
    learning_rates: tuple[float, ...] = ()
    view_side_pix: int | None = None
    pooling: str | None = None

    @property
    def is_lvm(self) -> bool:
        """Whether the encoder is an LVM."""
        return self.model in LVM_MODELS

    @property
    def is_network(self) -> bool:
        """Whether a network is trained or has to extract features."""
        return self.model not in CLASSICAL_MODELS

    @property
    def pretrained(self) -> bool:
        """Whether the encoder starts from weights that were learned before."""
        return self.weights != NO_WEIGHTS or self.model in ("lvm_frozen", "lvm_finetuned")

    def weights_path(self, run_weights: str) -> str:
        """Return the weights file of an LVM: its own, or else the run's."""
        return run_weights if self.weights == NO_WEIGHTS else self.weights_file

    @property
    def weights_file(self) -> str | None:
        """Weights file that the config names; None for none, ImageNet's and the run's own.

        Raises
        ------
        DataError
            If it names the released weights, and this version comes without them.
        """
        if self.weights == RELEASED:
            return str(released_weights())
        return None if self.weights in (NO_WEIGHTS, IMAGENET) else self.weights

    @property
    def features_label(self) -> str:
        """Name of the features file of a frozen encoder; the run's own LVM has the plain one."""
        own = self.model == "lvm_frozen" and self.weights == NO_WEIGHTS and not self.view_side_pix
        return "lvm" if own else self.label

    @property
    def display_name(self) -> str:
        """Name for figures and tables."""
        name = _DISPLAY.get(self.model, self.model.removeprefix(TIMM_PREFIX))
        if name.startswith(PYTHON_PREFIX):
            name = name.rpartition(":")[2]
        if self.is_lvm and self.weights == RELEASED:
            return f"Released {name}"
        if self.is_lvm or not self.is_network:
            return name
        kind = ", frozen + head" if self.frozen else ""
        return f"{name}, {_STARTS.get(self.weights, 'own weights')}{kind}"


def model_specs(
    entries: Iterable[Mapping[str, Any]], section: str = "fewshot.models"
) -> list[ModelSpec]:
    """Return the classifiers that a list of the config describes.

    Parameters
    ----------
    entries
        Mappings with `model` and, optionally, the other keys of `FewShotNetwork`.
    section
        Path of the list, for messages.

    Raises
    ------
    ConfigError
        For an unknown model (the nearest names are given), weights that a model cannot have, or
        two models of one label.
    """
    specs = [_spec(entry, section) for entry in entries]
    labels = [spec.label for spec in specs]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(
            f"{section}: {', '.join(twice)} occurs more than once; give one of them a 'name'"
        )
    return specs


def display_names(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return label -> name to show of every entry of `fewshot.models`, in their order."""
    return {spec.label: spec.display_name for spec in model_specs(entries)}


def reference_specs(entries: Iterable[Mapping[str, Any]]) -> list[ModelSpec]:
    """Return the networks of the config's list `reference.models`; parameters: `model_specs`.

    Raises
    ------
    ConfigError
        As `model_specs`; for a model or a name that the tables have already.
    """
    specs = model_specs(entries, "reference.models")
    for spec in specs:
        if spec.label in MODEL_NAMES:
            raise ConfigError(
                f"reference.models: the name {spec.label!r} is that of another row of the tables; "
                "give the network another 'name'"
            )
        if spec.is_lvm or not spec.is_network:
            raise ConfigError(
                f"reference.models: {spec.label} is no other network; Table 1 has rows of its own "
                "for the LVM and HOG"
            )
    return specs


def check_model_name(
    name: str, known: Iterable[str] = KNOWN_MODELS, section: str = "fewshot.models"
) -> None:
    """Refuse an unknown model name.

    Raises
    ------
    ConfigError
        With the nearest known names.
    """
    known = list(known)
    if name in known:
        return
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known[:20])}"
    raise ConfigError(
        f"{section}: unknown model {name!r}; {hint} Any timm model is named 'timm:NAME', "
        "a function of yours 'python:MODULE:FUNCTION'"
    )


def _spec(entry: Mapping[str, Any], section: str) -> ModelSpec:
    model, weights = entry["model"], entry.get("weights") or NO_WEIGHTS
    if model.startswith(PYTHON_PREFIX):
        _check_own_network(model, weights, section)
    elif not model.startswith(TIMM_PREFIX):
        check_model_name(model, section=section)
    frozen = bool(entry.get("frozen", False)) or model == "lvm_frozen"
    if weights != NO_WEIGHTS and model in ("lvm_scratch", *CLASSICAL_MODELS):
        raise ConfigError(f"{section}: {model} takes no weights, found {weights!r}")
    if weights == RELEASED and model not in LVM_MODELS:
        raise ConfigError(
            f"{section}: the released weights are those of an LVM; {model} takes none, imagenet or "
            "a path"
        )
    if weights == IMAGENET and model in LVM_MODELS:
        raise ConfigError(
            f"{section}: {model} has no ImageNet weights; give 'none' (the weights of this "
            "run), 'released' or the path of an lvm.safetensors"
        )
    if frozen and model in ("lvm_finetuned", "lvm_scratch", *CLASSICAL_MODELS):
        raise ConfigError(f"{section}: {model} cannot be frozen")
    side, pooling = entry.get("view_side_pix"), entry.get("pooling")
    if side is not None and not frozen:
        raise ConfigError(f"{section}: view_side_pix is for frozen encoders; {model} is trained")
    if pooling is not None and not (frozen and model.startswith(TIMM_PREFIX)):
        raise ConfigError(f"{section}: pooling is for frozen timm models; {model} has its own")
    label = entry.get("name") or _label(model, weights, frozen)
    if not re.fullmatch(r"[a-z0-9_]+", label):
        raise ConfigError(
            f"{section}: name {label!r} becomes a file name; use a-z, 0-9 and _ alone"
        )
    if label in _FEATURES_OF_THE_RUN:
        raise ConfigError(
            f"{section}: the name {label!r} is that of {_FEATURES_OF_THE_RUN[label]} features"
        )
    rates = tuple(entry.get("learning_rates") or ())
    return ModelSpec(model, weights, frozen, label, rates, side, pooling)


def _check_own_network(model: str, weights: str, section: str) -> None:
    if not re.fullmatch(r"python:[A-Za-z_][\w.]*:[A-Za-z_]\w*", model):
        raise ConfigError(f"{section}: {model!r}; write 'python:MODULE:FUNCTION'")
    if weights != NO_WEIGHTS:
        raise ConfigError(
            f"{section}: {model} takes no weights, found {weights!r}; let the function load them"
        )


def _label(model: str, weights: str, frozen: bool) -> str:
    parts = [re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_")]
    if weights != NO_WEIGHTS:
        parts.append(weights if weights in (IMAGENET, RELEASED) else "own_weights")
    if frozen and model != "lvm_frozen":
        parts.append("frozen")
    return "_".join(parts)
