"""Matrices of networks, what replaces them, and scores against the kept rank; by hand."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from galaxy_lvm.core.config.layers import Capacity, CapacityOptim, Layers
from galaxy_lvm.core.config.spectra import (
    Finetuning,
    SimulatedSpectra,
    SpectrumMethods,
    SpectrumOptim,
    SpectrumPretraining,
    TransformerShape,
)
from galaxy_lvm.core.config.training import LvmShape
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.layers.capacity import LateValues, capacity_stars, moved, singular_values
from galaxy_lvm.layers.decompose import cut, enough_share, score_by_rank, spectra_of
from galaxy_lvm.layers.matrices import (
    effective_rank,
    matrices_of,
    noise_edge,
    projected,
    pruned,
    truncated,
)
from galaxy_lvm.layers.stars import skill_of
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.report.results import read_results
from galaxy_lvm.spectra.networks import load_network
from galaxy_lvm.spectra.stars import SplitStars, Stars, read_split
from torch import nn

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import decompose_layers  # noqa: E402
import finetune_spectra  # noqa: E402
import plot_layers  # noqa: E402
import pretrain_spectra  # noqa: E402
import score_capacity  # noqa: E402
import simulate_spectra  # noqa: E402
import train_capacity  # noqa: E402


class Network(nn.Module):
    """A matrix of every kind."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.qkv = nn.Linear(8, 24)
        self.conv = nn.Conv2d(2, 4, 3)
        self.each = nn.Conv2d(4, 4, 3, groups=4)
        self.norm = nn.LayerNorm(8)


def test_every_matrix_of_a_network_is_found_once():
    torch.manual_seed(0)
    module = Network()
    found = matrices_of(module)
    assert [(m.name, m.kind) for m in found] == [
        ("first", "linear"),
        ("attention.q", "q"), ("attention.k", "k"), ("attention.v", "v"),
        ("attention.out_proj", "linear"),
        ("qkv.q", "q"), ("qkv.k", "k"), ("qkv.v", "v"),
        ("conv", "convolution"),
    ]  # fmt: skip
    k, conv = found[2], found[-1]
    weight = module.attention.in_proj_weight.detach()
    assert k.read(module) == pytest.approx(weight[8:16].numpy())
    assert conv.read(module).shape == (4, 18)
    before = weight.clone()
    k.write(module, np.zeros((8, 8)))
    assert (weight[8:16] == 0).all() and torch.equal(weight[:8], before[:8])
    conv.write(module, np.arange(72.0).reshape(4, 18))
    assert module.conv.weight[1, 0, 0, 0] == 18


def test_matrices_of_the_lvm_are_those_of_its_layers():
    module = LVM(build_config(LvmShape(preset="lvm_micro")))
    kinds = [m.kind for m in matrices_of(module)]
    assert {"linear", "q", "k", "v"} <= set(kinds)
    assert kinds.count("q") == kinds.count("k") == kinds.count("v") > 1


def test_truncation_is_the_nearest_matrix_of_its_rank():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(7, 5))
    values = np.linalg.svd(matrix, compute_uv=False)
    found = truncated(matrix, 2)
    assert np.linalg.matrix_rank(found) == 2
    # Eckart and Young: what is lost are the other singular values.
    assert np.linalg.norm(matrix - found) ** 2 == pytest.approx((values[2:] ** 2).sum())
    random = projected(matrix, 2, np.random.default_rng(1))
    assert np.linalg.matrix_rank(random) == 2
    assert np.linalg.norm(matrix - random) > np.linalg.norm(matrix - found)
    assert projected(matrix.T, 5, rng) == pytest.approx(matrix.T)


def test_pruning_keeps_the_largest_numbers_of_equal_size():
    matrix = np.arange(1.0, 101.0).reshape(10, 10) * np.where(np.arange(100) % 2, 1, -1).reshape(
        10, 10
    )
    found = pruned(matrix, 2)
    kept = np.abs(found[found != 0])
    assert len(kept) == 2 * 20 and kept.min() == 61
    assert (pruned(matrix, 5) == matrix).all()


def test_noise_stays_below_the_edge_and_what_is_planted_stands_above():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(300, 200))
    values = np.linalg.svd(noise, compute_uv=False)
    assert values[0] == pytest.approx(noise_edge(noise), rel=0.03)
    planted = noise + 5 * np.outer(rng.normal(size=300), rng.normal(size=200))
    values = np.linalg.svd(planted, compute_uv=False)
    assert (values > noise_edge(planted)).sum() == 1
    assert effective_rank(np.ones(9)) == pytest.approx(9)
    assert effective_rank(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)


def test_a_network_of_low_rank_loses_nothing_by_its_leading_directions():
    """The score falls as soon as the kept rank is below the true one; others lose at once."""
    rng = np.random.default_rng(0)
    module = nn.Sequential(nn.Linear(20, 20, bias=False))
    true = rng.normal(size=(20, 4)) @ rng.normal(size=(4, 20))
    matrices = matrices_of(module)
    matrices[0].write(module, true)
    inputs = torch.from_numpy(rng.normal(size=(50, 20)).astype(np.float32))
    wanted = module(inputs).detach()

    def score(network):
        return 1 - ((network(inputs) - wanted).abs().mean() / wanted.abs().mean()).item()

    settings = Layers(kept_shares=(0.1, 0.2, 0.5, 1.0))
    rows = score_by_rank(module, matrices, {"val": score, "test": score}, settings, 1)
    found = {(r["model"], r["condition"]): r["value"] for r in rows if r["metric"] == "val"}
    assert found["svd", "share=0.2"] == pytest.approx(1, abs=1e-4)
    assert found["svd", "share=0.1"] < 0.9
    assert found["projected", "share=0.2"] < 0.6 and found["pruned", "share=0.2"] < 0.9
    assert found["projected", "share=1"] == found["pruned", "share=1"] == 1
    numbers = {r["condition"]: r["value"] for r in rows if r["metric"] == "numbers"}
    assert numbers == {"share=0.1": 80, "share=0.2": 160, "share=0.5": 400, "share=1": 400}
    assert (
        matrices[0].read(cut(module, matrices, 1.0, "svd", 1)[0]) == matrices[0].read(module)
    ).all()


def test_enough_is_where_the_score_stays():
    shares, scores = (0.1, 0.2, 0.5, 1.0), (0.995, 0.7, 0.99, 1.0)
    assert enough_share(shares, scores, 0.99) == 0.5  # what rises again below does not count
    assert enough_share(shares[::-1], scores[::-1], 0.6) == 0.1


def test_singular_values_come_with_the_edge_of_their_matrix():
    torch.manual_seed(0)
    module = Network()
    found = spectra_of(module, matrices_of(module), "trained")
    first = found[found["layer"] == "first"]
    values = np.linalg.svd(module.first.weight.detach().double().numpy(), compute_uv=False)
    assert first["value"].to_numpy() == pytest.approx(values)
    assert len(found) == 6 + 3 * 8 + 8 + 3 * 8 + 4


def optim(steps):
    return SpectrumOptim(steps=steps, learning_rate=0.005, precision="float32")


@pytest.fixture(scope="module")
def decomposed(tmp_path_factory):
    """Run the chapter's scripts on a small Transformer."""
    folder = tmp_path_factory.mktemp("layers")
    store, stars = str(folder / "stars.h5"), SimulatedSpectra(n_stars=200, extinction_mean_mag=0)
    simulate_spectra.main(store, "xp", stars, 1)
    shape = TransformerShape(patch_pix=35, width=16, depth=1, n_heads=2)

    def files(name):
        named = [str(folder / f"{name}.{ending}") for ending in ("safetensors", "csv")]
        return (*named, str(folder / "state"), 1)

    first = SpectrumPretraining(shape=shape, batch_size=32, optim=optim(60))
    pretrain_spectra.main(*files("first"), "xp", stars, first, 1)
    methods = SpectrumMethods(
        labels=("teff", "logg", "fe_h"), finetune=Finetuning(batch_size=32, optim=optim(30))
    )
    weights = str(folder / "member.safetensors")
    finetune_spectra.main(store, str(folder / "first.safetensors"), *files("member"), methods, 0, 1)
    names = ("layers.csv", "values.parquet", "directions.parquet")
    made = [str(folder / name) for name in names]
    settings = Layers(kept_shares=(0.1, 0.5, 1.0), n_stars=10, n_random=1)
    decompose_layers.main(store, weights, *made, settings, methods, 1)
    few, trained = Capacity(batch_size=16, optim=CapacityOptim(steps=20, precision="float32")), []
    for labels in ("true", "shuffled"):
        first = str(folder / "first.safetensors")
        train_capacity.main(store, first, *files(labels), labels, 24, few, methods, 1)
        trained.append(str(folder / f"{labels}.safetensors"))
    capacity = str(folder / "capacity.csv")
    score_capacity.main(store, trained, capacity, settings, methods, 1)
    to = (str(folder / "figure.pdf"), str(folder / "table.csv"))
    plot_layers.main(*made, *to, 0.99, capacity)
    return folder


def test_table_and_page_follow_from_the_rows(decomposed):
    results, table = read_results(decomposed / "layers.csv"), load_table(decomposed / "table.csv")
    whole = results.query("task == 'all' and condition == 'share=1' and metric == 'test'")
    assert whole["value"].nunique() == 1  # nothing is cut at the whole rank
    told = table.query("layer == 'all'")["test_whole"].astype(float)
    assert told.iloc[0] == pytest.approx(whole["value"].iloc[0])
    assert list(table["layer"][:3]) == ["all"] * 3 and len(table) == 3 + 10
    assert {"q", "k", "v", "linear"} == set(table["kind"][3:])
    latent = results.query("task == 'latent' and metric == 'teff'")["value"]
    assert latent.abs().max() <= 1 and len(latent) == 4
    page = (decomposed / "table.html").read_text()
    assert "proves none" in page and "layers.layers.0.self_attn.q" in page
    assert (decomposed / "figure.png").exists()


def test_few_stars_are_scored_on_what_they_were_taught(decomposed):
    methods = SpectrumMethods(labels=("teff", "logg", "fe_h"))
    stars = read_split(str(decomposed / "stars.h5"), methods, 1)
    rows = read_results(decomposed / "capacity.csv")
    found = rows.pivot(index="task", columns="metric", values="value")
    page = (decomposed / "table.html").read_text()
    for labels in ("true", "shuffled"):
        learned = capacity_stars(stars, 24, labels, 1)
        module = load_network(decomposed / f"{labels}.safetensors").eval()
        own = found.loc[labels, "own"]
        assert own == pytest.approx(skill_of(learned, learned)(module), abs=1e-6)
        assert {found.loc[labels, "share_all"]} <= {0.1, 0.5, 1.0}
        assert 0.1 <= found.loc[labels, "share_single"] <= 1
        card = json.loads((decomposed / f"{labels}.json").read_text())
        assert card["moved"] == pytest.approx(found.loc[labels, "moved"]) and card["moved"] > 0
        assert f"<td>{labels}</td><td>{own:.3f}</td>" in page.replace("\n", "")


def test_shuffled_labels_are_the_same_ones_of_other_stars(decomposed):
    methods = SpectrumMethods(labels=("teff", "logg", "fe_h"))
    stars = read_split(str(decomposed / "stars.h5"), methods, 1)
    true, shuffled = (capacity_stars(stars, 30, labels, 1) for labels in ("true", "shuffled"))
    assert (true.ids == shuffled.ids).all() and (true.flux == shuffled.flux).all()
    assert sorted(true.labels[:, 0]) == sorted(shuffled.labels[:, 0])
    assert (true.labels != shuffled.labels).any(axis=1).all()
    rows = {tuple(row) for row in true.labels}
    assert {tuple(row) for row in shuffled.labels} == rows  # a star's labels stay together
    assert list(capacity_stars(stars, 10, "true", 1).ids) == list(true.ids[:10])
    with pytest.raises(DataError, match=r"layers.capacity.n_stars: 999 of \d+ training stars"):
        capacity_stars(stars, 999, "true", 1)


def stars_of(ids):
    """Training stars without light, whose label is the number of their star."""
    number = np.unique(ids, return_inverse=True)[1][:, None].astype(float)
    empty = np.zeros((len(ids), 3), np.float32)
    part = Stars(np.array(ids, object), empty, empty, number, ("teff",), np.arange(3.0))
    return SplitStars(part, part, part)


@pytest.mark.parametrize("ids", [range(100), [0, 0, 0, *range(30)], [k // 2 for k in range(20)]])
def test_shuffling_leaves_no_star_its_own_labels(ids):
    """Also where a star has several spectra, and whatever the seed."""
    stars, orders = stars_of([f"s{k}" for k in ids]), set()
    for seed in range(40):
        true, shuffled = (
            capacity_stars(stars, len(ids), labels, seed) for labels in ("true", "shuffled")
        )
        assert (true.labels != shuffled.labels).all()
        assert sorted(true.labels[:, 0]) == sorted(shuffled.labels[:, 0])
        orders.add(tuple(shuffled.labels[np.argsort(true.labels[:, 0], kind="stable"), 0]))
    assert len(orders) == 40  # no fixed pattern of who gets whose


def test_a_star_with_most_of_the_spectra_cannot_be_given_labels_of_others():
    with pytest.raises(DataError, match="3 of 5 spectra are of the star a, which leaves it no"):
        capacity_stars(stars_of(["a", "a", "a", "b", "c"]), 5, "shuffled", 1)
    assert len(capacity_stars(stars_of(["a", "a", "b", "c"]), 4, "shuffled", 1)) == 4


def test_what_moves_late_is_seen_also_by_a_training_that_goes_on():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    late = LateValues(module, steps=20)
    late.look(16)
    assert late.values == {}
    late.look(17)
    before = singular_values(module)
    with torch.no_grad():
        module[0].weight.mul_(1.5)
    after = singular_values(module)
    squares = {name: values.square().sum() for name, values in after.items()}
    expected = (squares["0"] / 9 / (squares["0"] + squares["1"])).sqrt().item()
    assert moved(late.values, after) == pytest.approx(expected)
    again = LateValues(module, steps=20)
    again.load_state_dict(late.state_dict())
    again.look(18)
    assert moved(again.values, before) == 0
    resumed = LateValues(module, steps=20)  # killed before any was taken
    resumed.look(18)
    assert moved(resumed.values, after) == 0
