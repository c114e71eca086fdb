"""Features: the right vector for every galaxy, in shards, after a kill; refused when foreign."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.config.training import Lvm
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features import extract as extraction
from galaxy_lvm.features import file_rows
from galaxy_lvm.features.extract import FeatureExtractor, extract_features
from galaxy_lvm.features.store import FeatureStore, ids_path, write_features
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.lvm.weights import save_lvm
from galaxy_lvm.training import accelerator
from galaxy_lvm.training.backbones import build_encoder, feature_dim
from galaxy_lvm.training.model_specs import model_specs
from safetensors.torch import save_file

N = 23


def spec(model, **entry):
    return model_specs([{"model": model, **entry}])[0]


@pytest.fixture(scope="module")
def lvm_path(tmp_path_factory):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("lvm") / "lvm.safetensors"
    save_lvm(path, LVM(build_config(Lvm(preset="lvm_micro"))), {})
    return path


@pytest.fixture(scope="module")
def crops_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("crops") / "crops.h5"
    images = np.random.default_rng(0).integers(0, 255, (N, 64, 64, 3), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(1, 64, 64, 3))
        names = [f"g{i}" for i in range(N)]
        file.create_dataset("id", data=names, dtype=h5py.string_dtype("utf-8"))
    return path


def settings(**changes):
    values = {"view_side_pix": 32, "batch_size": 3, "block_crops": 4, "shard_crops": 10}
    return Features(**{**values, "precision": "float32", "n_orientations": 1, **changes})


def extract(crops_path, lvm_path, tmp_path, name="lvm.npy", **changes):
    path = tmp_path / name
    extract_features(
        crops_path, spec("lvm_frozen"), lvm_path, path, tmp_path / "state", 1, settings(**changes)
    )
    return path


def test_shards_and_blocks_change_nothing(crops_path, lvm_path, tmp_path):
    small = FeatureStore.open(extract(crops_path, lvm_path, tmp_path))
    whole = FeatureStore.open(
        extract(crops_path, lvm_path, tmp_path, "whole.npy", shard_crops=100, block_crops=100)
    )
    assert isinstance(small.values, np.memmap)
    assert small.values.dtype == np.float32
    np.testing.assert_allclose(small.values, whole.values, rtol=1e-4, atol=1e-5)
    with h5py.File(crops_path) as file:
        extractor = FeatureExtractor(build_encoder(spec("lvm_frozen"), 32, lvm_path), settings())
        direct = extractor(file["images"][7:8])
    np.testing.assert_allclose(small.take(["g7"]), direct, rtol=1e-4, atol=1e-5)
    assert list(small.ids) == [f"g{i}" for i in range(N)]
    assert np.array_equal(small.index, np.arange(N))
    assert not list((tmp_path / "state").iterdir())  # shards are gone once they are joined


def test_a_killed_extraction_goes_on_with_the_shards_it_has(
    crops_path, lvm_path, tmp_path, monkeypatch
):
    whole = FeatureStore.open(extract(crops_path, lvm_path, tmp_path / "whole"))
    seen = []
    real = FeatureExtractor.__call__

    def count(self, crops):
        seen.append(len(crops))
        if kill_at is not None and sum(seen) > kill_at:
            raise KeyboardInterrupt
        return real(self, crops)

    monkeypatch.setattr(extraction.FeatureExtractor, "__call__", count)
    kill_at = 14  # in the second shard of 10
    with pytest.raises(KeyboardInterrupt):
        extract(crops_path, lvm_path, tmp_path)
    assert not (tmp_path / "lvm.npy").exists()
    seen.clear()
    kill_at = None
    again = FeatureStore.open(extract(crops_path, lvm_path, tmp_path))
    assert sum(seen) == N - 10
    assert np.array_equal(again.values, whole.values)


def test_shards_of_another_precision_are_not_joined(crops_path, lvm_path, tmp_path, monkeypatch):
    """What `auto` comes to depends on the machine that goes on."""
    folders = []
    monkeypatch.setattr(extraction, "_write_shards", lambda s, e, folder, n: folders.append(folder))
    for is_able in (True, False):
        monkeypatch.setattr(accelerator, "_computes_in_bfloat16", lambda is_able=is_able: is_able)
        with pytest.raises(FileNotFoundError):
            extract(crops_path, lvm_path, tmp_path, precision="auto")
    assert len(set(folders)) == 2


def test_open_shards_are_dealt(tmp_path):
    """With 9 shards on 8 GPUs, or after a kill, none waits for one that has most of them."""
    edges = [(i, i + 1) for i in range(4)]
    extraction._shard_path(tmp_path, 0).touch()
    extraction._shard_path(tmp_path, 2).touch()
    assert extraction._open_shards(tmp_path, edges) == [1, 3]


def test_orientations_make_vectors_blind_to_them(crops_path, lvm_path):
    extractor = FeatureExtractor(
        build_encoder(spec("lvm_frozen"), 32, lvm_path), settings(n_orientations=8)
    )
    with h5py.File(crops_path) as file:
        images = file["images"][:3]
    turned = np.ascontiguousarray(np.rot90(images, axes=(1, 2)))
    np.testing.assert_allclose(extractor(images), extractor(turned), rtol=1e-4, atol=1e-5)


def test_rows_of_follows_the_order_asked_for(tmp_path):
    path = tmp_path / "f.npy"
    write_features(path, np.arange(8).reshape(4, 2), ["d", "a", "c", "b"], [3, 0, 2, 1])
    store = FeatureStore.open(path)
    assert store.rows_of(["a", "b", "d"]).tolist() == [1, 3, 0]
    assert store.take(["b"]).tolist() == [[6, 7]]
    assert store.dim == 2


def test_features_of_other_galaxies_are_refused(tmp_path):
    path = tmp_path / "f.npy"
    write_features(path, np.zeros((2, 3)), ["a", "b"], [0, 1])
    with pytest.raises(DataError, match=r"no feature vector for 1 of 2 galaxies, first 'z'"):
        FeatureStore.open(path).rows_of(["a", "z"])
    pd.DataFrame({"index": [0], "id": ["a"]}).to_parquet(ids_path(path))
    with pytest.raises(DataError, match="2 vectors"):
        FeatureStore.open(path)
    pd.DataFrame({"index": [0, 1], "id": ["a", "a"]}).to_parquet(ids_path(path))
    with pytest.raises(DataError, match="more than once"):
        FeatureStore.open(path).rows_of(["a"])
    with pytest.raises(DataError, match="missing"):
        FeatureStore.open(tmp_path / "none.npy")


def test_a_vector_that_is_not_finite_names_its_crop(crops_path, lvm_path, tmp_path, monkeypatch):
    real = FeatureExtractor.__call__

    def spoil(self, crops):
        values = real(self, crops)
        values[-1] = np.nan
        return values

    monkeypatch.setattr(extraction.FeatureExtractor, "__call__", spoil)
    with pytest.raises(DataError, match="crop 3: its feature vector is not finite"):
        extract(crops_path, lvm_path, tmp_path)


@pytest.mark.parametrize(("name", "dim"), [("alexnet", 4096), ("resnet18", 512)])
def test_networks_take_small_images(name, dim):
    encoder = build_encoder(spec(name), 64)
    assert feature_dim(encoder, 64) == dim
    assert encoder.training


def test_vgg16_takes_small_images_without_repeating_its_map():
    with torch.device("meta"):
        encoder = build_encoder(spec("vgg16"), 64)
        first = next(m for m in encoder.network.classifier if isinstance(m, torch.nn.Linear))
    assert first.in_features == 512 * 2 * 2  # 64 pixels halved five times


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ConfigError, match="32 pixels are too few for alexnet"):
        build_encoder(spec("alexnet"), 32)


def test_any_timm_model_and_the_nearest_names_of_others():
    encoder = build_encoder(spec("timm:resnet10t"), 64)
    assert feature_dim(encoder, 64) == 512
    with pytest.raises(ConfigError, match=r"resnet1O.*did you mean .*resnet10"):
        build_encoder(spec("timm:resnet1Ot"), 64)


def test_own_weights_are_loaded_without_their_classes(tmp_path):
    from torchvision.models import resnet18

    torch.manual_seed(1)
    source = resnet18(num_classes=7)
    path = tmp_path / "mine.safetensors"
    save_file(source.state_dict(), path)
    encoder = build_encoder(spec("resnet18", weights=str(path)), 64)
    assert torch.equal(encoder.network.conv1.weight, source.conv1.weight)
    state = source.state_dict()
    del state["layer1.0.conv1.weight"]
    save_file(state, path)
    with pytest.raises(DataError, match=r"1 weights do not fit resnet18, first 'layer1.0.conv1"):
        build_encoder(spec("resnet18", weights=str(path)), 64)
    with pytest.raises(DataError, match="no such weights"):
        build_encoder(spec("resnet18", weights=str(tmp_path / "none.pth")), 64)


def test_an_lvm_from_scratch_shares_the_shape_alone(lvm_path):
    torch.manual_seed(5)
    trained = build_encoder(spec("lvm_finetuned"), 32, lvm_path)
    fresh = build_encoder(spec("lvm_scratch"), 32, lvm_path)
    pairs = zip(trained.parameters(), fresh.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)
    with pytest.raises(DataError, match="no weights for lvm_frozen"):
        build_encoder(spec("lvm_frozen"), 32, "nowhere.safetensors")


def test_model_specs_refuse_what_cannot_be():
    with pytest.raises(ConfigError, match="unknown model 'resnet51'; did you mean resnet50"):
        model_specs([{"model": "resnet51"}])
    with pytest.raises(ConfigError, match="no ImageNet weights"):
        model_specs([{"model": "lvm_frozen", "weights": "imagenet"}])
    with pytest.raises(ConfigError, match="occurs more than once"):
        model_specs([{"model": "resnet18"}, {"model": "resnet18"}])
    both = model_specs([{"model": "resnet50"}, {"model": "resnet50", "weights": "imagenet"}])
    assert [s.label for s in both] == ["resnet50", "resnet50_imagenet"]
    peer = spec("timm:convnext_tiny.fb_in22k", weights="imagenet", frozen=True)
    assert peer.label == "timm_convnext_tiny_fb_in22k_imagenet_frozen"
    assert peer.features_label == peer.label
    assert spec("lvm_frozen").features_label == "lvm"


def test_rows_that_are_mapped_only_while_read_are_those_of_the_map(tmp_path, monkeypatch):
    monkeypatch.setattr(file_rows, "_PIECE", 3)
    values = np.arange(22, dtype=np.float32).reshape(11, 2)
    write_features(tmp_path / "f.npy", values, [str(i) for i in range(11)], range(11))
    store = FeatureStore.open(tmp_path / "f.npy")
    mask = values[:, 0] % 3 == 0
    assert store.rows.shape == store.values.shape
    for key in (slice(2, 9), np.array([7, 0, 7, 10, 3]), np.array([], int), mask):
        np.testing.assert_array_equal(store.rows[key], store.values[key])
