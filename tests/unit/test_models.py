"""The LVM: sizes as in the paper, gradients everywhere, skips that do what they say."""

import numpy as np
import pytest
import torch
from galaxy_lvm.core.config.training import Lvm
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.lvm.model import LVM, PRESETS, LVMConfig, build_config, count_parameters
from galaxy_lvm.lvm.swin_layer import SwinLayer
from galaxy_lvm.lvm.weights import load_into, load_lvm, read_card, save_lvm
from galaxy_lvm.multitask.heads import MultitaskModel
from galaxy_lvm.training.predict import class_probabilities
from timm.models.swin_transformer import SwinTransformerBlock


def micro(**changes) -> LVM:
    torch.manual_seed(0)
    return LVM(build_config(Lvm(preset="lvm_micro", **changes)))


def test_base_has_the_papers_size():
    with torch.device("meta"):
        n = count_parameters(LVM(PRESETS["lvm_base"]))
    assert 95e6 < n < 105e6  # "approximately 100 million" (II.A)
    assert PRESETS["lvm_base"].dims[-1] == 768


def test_shapes_follow_the_image():
    lvm = micro()
    for side in (64, 96):
        image = torch.rand(2, 3, side, side)
        features = lvm.encoder(image)
        assert [f.shape[1] for f in features] == [side // 4, side // 8, side // 16]
        assert lvm(image).shape == image.shape


@pytest.mark.parametrize(
    ("conv", "norm"),
    [("none", "layer"), ("stage", "layer"), ("block", "batch"), ("layer", "batch")],
)
@pytest.mark.parametrize("skips", [True, False])
def test_gradients_reach_every_weight(conv, norm, skips):
    lvm = micro(conv=conv, norm=norm, skip_connections=skips, depths=[2, 2])
    lvm(torch.rand(2, 3, 32, 32)).square().mean().backward()
    dead = [n for n, p in lvm.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # Without skips the finer maps' norms have no reader: they serve the tasks' decoders later.
    expected = [] if skips else ["encoder.norms.0.weight", "encoder.norms.0.bias"]
    assert dead == expected


def test_shifted_windows_let_distant_pixels_meet():
    lvm = micro(depths=[2, 2], window=2, conv="none")
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    lvm.encoder(image)[0][0, 7, 7, 0].backward()
    seen = image.grad[0].abs().sum(0) > 0
    # Token 7 ends its window of 2; only the shifted second layer can bring in token 8 and on.
    assert seen[28:32, 36:40].any()


def test_without_skips_the_decoder_only_sees_the_deepest_map():
    lvm = micro(skip_connections=False).eval()
    image = torch.rand(1, 3, 64, 64)
    features = lvm.encoder(image)
    blind = lvm.decoder([torch.zeros_like(f) for f in features[:-1]] + features[-1:], image * 0)
    assert torch.equal(blind, lvm.decoder(features, image))
    skipping = micro().eval()
    features = skipping.encoder(image)
    blind = skipping.decoder(
        [torch.zeros_like(f) for f in features[:-1]] + features[-1:], image * 0
    )
    assert not torch.allclose(blind, skipping.decoder(features, image))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"preset": "lvm_tiny", "image_side_pix": 100}, "lvm.image_side_pix"),
        ({"preset": "lvm_tiny", "embed_dim": 50}, "lvm.embed_dim"),
    ],
)
def test_impossible_shapes_are_refused(settings, key):
    with pytest.raises(ConfigError, match=key):
        build_config(Lvm(**settings))


def test_weights_round_trip_with_their_card(tmp_path):
    lvm = micro().eval()
    save_lvm(tmp_path / "lvm.safetensors", lvm, {"seed": 5})
    again = load_lvm(tmp_path / "lvm.safetensors").eval()
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(lvm(image), again(image))
    card = read_card(tmp_path / "lvm.safetensors")
    assert card["seed"] == 5
    assert card["n_parameters"] == sum(p.numel() for p in lvm.parameters())


def test_weights_of_another_architecture_are_refused(tmp_path):
    save_lvm(tmp_path / "lvm.safetensors", micro(), {})
    with pytest.raises(DataError, match="another architecture"):
        load_into(micro(embed_dim=24), tmp_path / "lvm.safetensors")


def test_multitask_starts_as_the_identity_and_freezes_the_encoder():
    model = MultitaskModel(micro(skip_connections=False), n_classes=4, frozen_encoder=True)
    image = torch.rand(2, 3, 64, 64)
    assert torch.equal(model.restore("restoration", image), image)  # residual from zero
    losses = model.train()("classification", image, torch.tensor([0, 3]))
    losses["loss"].backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(p.grad is not None for p in model.classifier.parameters())
    assert not model.encoder.training


def test_task_decoders_start_from_the_pretrained_decoder():
    lvm = micro()
    model = MultitaskModel(lvm, n_classes=2, image_output="image")
    image = torch.rand(1, 3, 64, 64)
    lvm.eval(), model.eval()
    assert torch.equal(model.restore("reconstruction", image), lvm(image))


def test_config_lists_dims_and_sides():
    config = LVMConfig(embed_dim=32, depths=(1, 1, 1), head_dim=16, image_side_pix=64)
    assert config.dims == [32, 64, 128]
    assert config.sides == [16, 8, 4]


@pytest.mark.parametrize("shift", (0, 2))
@pytest.mark.parametrize("precision", (torch.float32, torch.bfloat16))
def test_a_layer_is_timms_to_the_last_bit(shift, precision):
    """The same draws for the same seed, names of the weights, updates and numbers."""
    about = {"input_resolution": (8, 8), "num_heads": 3, "drop_path": 0.3}
    torch.manual_seed(0)
    ours = SwinLayer(12, num_heads=3, side=8, window=4, shift=shift, drop_path=0.3)
    torch.manual_seed(0)
    timms = SwinTransformerBlock(
        12, **about, window_size=4, shift_size=shift, dynamic_mask=True
    )  # fmt: skip
    expected = timms.state_dict()
    assert list(ours.state_dict()) == list(expected)
    assert all(torch.equal(value, expected[k]) for k, value in ours.state_dict().items())
    for size in ((8, 8), (4, 4), (8, 12), (6, 9)):
        if shift and size == (4, 4):
            continue  # timm shifts what one window holds
        results = []
        for layer in (ours, timms):
            torch.manual_seed(1)
            x = torch.randn(5, *size, 12, requires_grad=True)
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                y = layer(x)
            gradients = torch.autograd.grad(y.square().sum(), (x, *layer.parameters()))
            results.append((y, *gradients))
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True)), size


def test_a_window_shrinks_to_the_nominal_map_and_is_not_shifted_then():
    layer = SwinLayer(12, num_heads=3, side=4, window=8, shift=4)
    timms = SwinTransformerBlock(12, (4, 4), num_heads=3, window_size=8, shift_size=4)
    assert (layer.window, layer.shift) == (timms.window_size[0], timms.shift_size[0]) == (4, 0)
    assert len(layer.attn.relative_position_bias_table) == 49


def test_a_map_smaller_than_the_window_attends_to_its_own_tokens_only():
    torch.manual_seed(0)
    layer = SwinLayer(6, num_heads=1, side=8, window=4, shift=2)
    x = torch.randn(1, 2, 3, 6)
    attn = layer.attn
    q, k, v = attn.qkv(x.reshape(6, 6)).chunk(3, dim=-1)
    scores = torch.empty(6, 6)
    for i in range(6):
        for j in range(6):
            dy, dx = i // 3 - j // 3, i % 3 - j % 3  # offset of two tokens in the map
            bias = attn.relative_position_bias_table[(dy + 3) * 7 + dx + 3, 0]
            scores[i, j] = (q[i] * k[j]).sum() * attn.scale + bias
    expected = attn.proj(scores.softmax(dim=-1) @ v).reshape(1, 2, 3, 6)
    torch.testing.assert_close(layer._attend(x), expected)


def test_class_probabilities_are_averaged_over_the_views_that_were_asked_for():
    class Brightness:
        """Takes the brightness of the view's top left pixel for the probability of class 0."""

        def eval(self):
            return self

        def classify(self, views):
            share = views[:, 0, 0, 0].clamp(0.01, 0.99)
            return torch.stack([share, 1 - share], dim=1).log()

    images = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    images[0, 2:6, 2:6] = 204  # the inner half is bright, the corners are dark
    one = class_probabilities(Brightness(), images, 8, 8)
    two = class_probabilities(Brightness(), images, 8, 8, zooms=(1.0, 2.0))
    assert one[0, 0] == pytest.approx(0.01, abs=1e-6)
    assert two[0, 0] == pytest.approx((0.01 + 0.8) / 2, abs=1e-3)
