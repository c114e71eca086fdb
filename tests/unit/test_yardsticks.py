"""Networks that a user would pick instead: ImageNet weights without a network, frozen."""

import h5py
import numpy as np
import pytest
import skimage.data
import timm
import torch
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.encoder_files import released_weights
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.features import extract
from galaxy_lvm.features.extract import extract_features
from galaxy_lvm.lvm.weights import load_encoder_of
from galaxy_lvm.training.augment import resize, to_float
from galaxy_lvm.training.backbones import build_encoder, feature_dim
from galaxy_lvm.training.model_specs import model_specs
from galaxy_lvm.training.packaged_weights import load_in_order, load_packaged, packaged_file

LITE0 = "tf_efficientnet_lite0"
ESPRESSO, CATS = 967, range(281, 288)  # classes of ImageNet


def spec(**entry):
    return model_specs([{"model": f"timm:{LITE0}", "weights": "imagenet", "frozen": True} | entry])[
        0
    ]


@pytest.mark.parametrize("name", [LITE0, "efficientnet_lite0"])
def test_the_package_holds_what_imagenet_teaches(name):
    network = timm.create_model(name).eval()
    load_packaged(network, packaged_file(name))
    guesses = []
    for picture in (skimage.data.coffee(), skimage.data.chelsea()):
        side = min(picture.shape[:2])
        y, x = ((n - side) // 2 for n in picture.shape[:2])
        square = np.ascontiguousarray(picture[y : y + side, x : x + side])
        image = resize(to_float(square[None]), 224)
        mean, std = (torch.tensor(network.pretrained_cfg[k]).view(3, 1, 1) for k in ("mean", "std"))
        with torch.inference_mode():
            guesses.append(int(network((image - mean) / std).argmax()))
    assert guesses[0] == ESPRESSO and guesses[1] in CATS


def test_other_models_have_no_package_and_other_weights_are_refused():
    assert packaged_file("resnet18") is None
    network = timm.create_model("resnet10t")
    state = dict(timm.create_model(LITE0).state_dict())
    with pytest.raises(ValueError, match="247 tensors do not fit"):
        load_in_order(network, state)


def test_an_encoder_from_the_package_is_pretrained_and_keeps_its_maps():
    plain = build_encoder(spec(), 64)
    staged = build_encoder(spec(pooling="stages"), 64)
    weights = [
        torch.cat(
            [value.flatten() for name, value in part.state_dict().items() if "blocks" in name]
        )
        for part in (plain.network, staged.network.network)
    ]
    assert torch.equal(*weights)
    assert feature_dim(plain, 64) == 1280
    assert feature_dim(staged, 64) == 2 * (24 + 40 + 112 + 320)


def test_the_released_encoder_stands_beside_the_runs_own():
    frozen, own = model_specs(
        [{"model": "lvm_frozen", "weights": "released"}, {"model": "lvm_frozen"}]
    )
    assert (frozen.label, own.label) == ("lvm_frozen_released", "lvm_frozen")
    assert frozen.weights_path("of_the_run") == str(released_weights())
    assert own.weights_path("of_the_run") == "of_the_run"
    assert frozen.features_label not in ("lvm", own.features_label)
    assert frozen.display_name.startswith("Released") and frozen.pretrained
    encoder = build_encoder(frozen, 64, frozen.weights_path("of_the_run"))
    kept = load_encoder_of(released_weights()).state_dict()
    assert all(
        torch.equal(value, kept[name]) for name, value in encoder.encoder.state_dict().items()
    )
    with pytest.raises(ConfigError, match="released weights are those of an LVM; resnet18"):
        model_specs([{"model": "resnet18", "weights": "released"}])


def test_names_of_features_of_the_run_are_no_models():
    for name in ("lvm", "teacher"):
        with pytest.raises(ConfigError, match=f"name '{name}' is that of"):
            model_specs([{"model": "lvm_frozen", "name": name}])


def test_what_only_frozen_encoders_know_is_refused_for_others():
    with pytest.raises(ConfigError, match="view_side_pix is for frozen encoders"):
        model_specs([{"model": "resnet18", "view_side_pix": 96}])
    with pytest.raises(ConfigError, match="pooling is for frozen timm models"):
        model_specs([{"model": "lvm_frozen", "pooling": "stages"}])
    larger = model_specs([{"model": "lvm_frozen", "view_side_pix": 96}])[0]
    assert larger.features_label == "lvm_frozen"  # not the features that all else reads


def test_a_frozen_encoder_sees_images_of_its_own_side(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "crops.h5", "w") as file:
        file["images"] = np.zeros((2, 128, 128, 3), np.uint8)
        file.create_dataset("id", data=["a", "b"], dtype=h5py.string_dtype())
    seen = []

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(1))

        def forward(self, images):
            seen.append(images.shape[-1])
            return images.mean(dim=(2, 3)) * self.one

    monkeypatch.setattr(extract, "build_encoder", lambda *_: Encoder())
    extract_features(
        tmp_path / "crops.h5", spec(view_side_pix=96), None, tmp_path / "f.npy", tmp_path / "state",
        1, Features(view_side_pix=32),
    )  # fmt: skip
    assert set(seen) == {96}
    assert np.load(tmp_path / "f.npy").shape == (2, 3)
