"""Feature vectors from the encoder's maps: what each pooling keeps, and that old weights stay."""

import json

import pytest
import torch
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.lvm.model import LVM, PRESETS, LVMConfig
from galaxy_lvm.lvm.pooling import POOLINGS, Pooling, pooled_dim
from galaxy_lvm.lvm.weights import card_path, load_lvm, save_lvm

DIMS = [8, 16, 32]


def random_maps(seed=0, n=3):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(n, 16 // 2**i, 16 // 2**i, dim, generator=generator)
        for i, dim in enumerate(DIMS)
    ]


@pytest.mark.parametrize("kind", POOLINGS)
def test_vectors_have_the_stated_length(kind):
    assert Pooling(kind, DIMS)(random_maps()).shape == (3, pooled_dim(kind, DIMS))
    config = LVMConfig(embed_dim=16, depths=(1, 1, 1), head_dim=8, pooling=kind)
    encoder = LVM(config).encoder.eval()
    assert encoder.pooled(torch.rand(2, 3, 32, 32)).shape == (2, encoder.feature_dim)


def test_the_papers_is_the_mean_over_the_coarsest_map():
    maps = random_maps()
    assert torch.equal(Pooling("mean", DIMS)(maps), maps[-1].mean(dim=(1, 2)))


def test_mean_and_deviation_are_those_of_numpy():
    maps = random_maps()
    vectors = Pooling("stages", DIMS)(maps).numpy()
    expected = [m.numpy().reshape(3, -1, m.shape[-1]) for m in maps]
    first = 0
    for values in expected:
        n = values.shape[-1]
        assert vectors[:, first : first + n] == pytest.approx(values.mean(axis=1), abs=1e-5)
        spread = vectors[:, first + n : first + 2 * n]
        assert spread == pytest.approx(values.std(axis=1), abs=1e-5)
        first += 2 * n
    coarsest = Pooling("mean_std", DIMS)(maps).numpy()
    assert (coarsest == vectors[:, -2 * DIMS[-1] :]).all()


@pytest.mark.parametrize("kind", POOLINGS)
def test_places_can_change_seats(kind):
    """A galaxy turned or moved by whole tokens keeps its vector."""
    torch.manual_seed(1)
    pooling, maps = Pooling(kind, DIMS), random_maps()
    if pooling.attention is not None:
        torch.nn.init.normal_(pooling.attention.scores.weight)
    turned = [one.rot90(1, (1, 2)).roll(1, 2) for one in maps]
    assert torch.allclose(pooling(maps), pooling(turned), atol=1e-5)


def test_attention_starts_as_the_mean_and_learns_where_to_look():
    maps = random_maps()
    maps[-1][:, 2, 1, 0] += 9  # one place stands out in one channel
    pooling = Pooling("attention", DIMS)
    assert torch.allclose(pooling(maps), maps[-1].mean(dim=(1, 2)), atol=1e-6)
    optimizer = torch.optim.Adam(pooling.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (pooling(maps)[:, 1] - maps[-1][:, 2, 1, 1]).square().sum()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


@pytest.mark.parametrize("side", [1, 2])
def test_a_map_without_structure_has_a_finite_gradient(side):
    maps = [torch.full((2, side, side, dim), 0.3, requires_grad=True) for dim in DIMS]
    Pooling("stages", DIMS)(maps).sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in maps)


def test_weights_from_before_pooling_was_a_choice_keep_the_mean(tmp_path):
    path = tmp_path / "lvm.safetensors"
    save_lvm(path, LVM(PRESETS["lvm_micro"]), {})
    card = json.loads(card_path(path).read_text())
    del card["architecture"]["pooling"]
    card_path(path).write_text(json.dumps(card))
    lvm = load_lvm(path).eval()
    images = torch.rand(2, 3, 32, 32)
    assert lvm.config.pooling == "mean"
    assert torch.equal(lvm.encoder.pooled(images), lvm.encoder(images)[-1].mean(dim=(1, 2)))


def test_an_unknown_pooling_is_named():
    with pytest.raises(ConfigError, match="lvm.pooling: 'max'"):
        LVMConfig(pooling="max")
