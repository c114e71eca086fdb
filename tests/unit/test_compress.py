"""Encoders with layers of low rank: nothing is lost that is not there, and what is lost is told."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from galaxy_lvm.cli.main import main
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.features.compress import compress, loss_of, write_compressed
from galaxy_lvm.features.encoder import load_encoder
from galaxy_lvm.lvm.low_rank import Outputs, cut, layers_to_cut, outputs_of
from galaxy_lvm.lvm.model import LVM, LVMConfig
from galaxy_lvm.lvm.weights import load_encoder_into, load_lvm, save_encoder
from small_images import galaxy, write_encoder, write_galaxies

# Full convolutions, also on maps of 2 x 2 tokens, which are a matrix product of their own.
SHAPE = LVMConfig(embed_dim=16, depths=(1, 2), head_dim=8, image_side_pix=32, conv="layer")


def encoder_of(rank=None):
    """Return an encoder whose layers that can be cut have a rank."""
    torch.manual_seed(0)
    encoder = LVM(SHAPE).encoder.eval()
    with torch.no_grad():
        for layer in layers_to_cut(encoder).values():
            matrix = layer.weight.flatten(1)
            if rank is not None:
                left, values, right = torch.linalg.svd(matrix, full_matrices=False)
                matrix = (left[:, :rank] * values[:rank]) @ right[:rank]
                layer.weight.copy_(matrix.view_as(layer.weight))
            layer.bias.normal_()
    return encoder


def vectors(encoder, side):
    images = torch.rand(6, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return encoder.pooled(images)


@pytest.mark.parametrize("side", [16, 32])
def test_layers_of_low_rank_are_found_and_give_the_same_vectors(side):
    encoder = encoder_of(rank=2)
    names = set(layers_to_cut(encoder))
    assert {"stages.0.layers.0.conv", "downs.0.conv", "stages.1.layers.1.attn.qkv"} <= names
    assert not any(name.startswith("embed") for name in names)
    outputs = outputs_of(encoder, lambda module: vectors(module, side))
    assert set(outputs) == names
    small, ranks = cut(encoder, outputs, 1e-5)  # float32 leaves less
    assert set(ranks) == names and set(ranks.values()) <= {1, 2} and 2 in ranks.values()
    n_before, n_after = (sum(p.numel() for p in m.parameters()) for m in (encoder, small))
    assert n_after < 0.6 * n_before
    torch.testing.assert_close(vectors(small, side), vectors(encoder, side), rtol=1e-2, atol=1e-2)
    assert not hasattr(encoder.downs[0].conv, "expand")


def test_kept_directions_lose_no_more_than_is_allowed_and_less_than_others():
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Linear(12, 10))
    inputs = 1 + torch.randn(500, 12) * torch.logspace(0, -2, 12)
    outputs = outputs_of(layer, lambda module: module(inputs))
    made = inputs @ layer[0].weight.detach().T
    spread = made.var(dim=0, correction=0).sum().item()
    assert outputs["0"].variances.sum().item() == pytest.approx(spread, rel=1e-4)
    torch.testing.assert_close(outputs["0"].mean.float(), made.mean(dim=0), rtol=1e-4, atol=1e-5)

    def lost(outputs):
        small, ranks = cut(layer, outputs, 0.05)
        with torch.no_grad():
            missed = small(inputs) - layer(inputs)
        return missed.square().sum().item() / (len(inputs) * spread), ranks

    share, ranks = lost(outputs)
    assert 0 < share <= 0.05 and ranks["0"] < 5
    # Directions of the weights alone do not know which inputs occur.
    left = torch.linalg.svd(layer[0].weight.detach().double())[0]
    others = Outputs(outputs["0"].mean, left, outputs["0"].variances)
    assert lost({"0": others})[0] > share


def test_a_layer_stays_where_two_narrow_ones_would_be_no_smaller():
    layer = torch.nn.Sequential(torch.nn.Linear(8, 8))
    inputs = torch.randn(400, 8)
    small, ranks = cut(layer, outputs_of(layer, lambda module: module(inputs)), 1e-6)
    assert ranks == {} and isinstance(small[0], torch.nn.Linear)


def test_a_written_encoder_is_read_again_by_its_card(tmp_path):
    write = tmp_path / "whole.safetensors"
    save_encoder(write, encoder_of(), {"scores": [1], "features": {"view_side_pix": 32}})
    whole = load_encoder(write, precision="float32")
    crops = np.stack([galaxy(i, 32) for i in range(24)])
    small, table = compress(whole, crops, 0.2)
    path = tmp_path / "small.safetensors"
    write_compressed(path, small, whole, table, {"compression": {"tolerance": 0.2}})
    card = json.loads(path.with_suffix(".json").read_text())
    assert "scores" not in card and card["made_of"] == "whole.safetensors"
    assert card["low_rank"] and path.stat().st_size < write.stat().st_size
    assert card["n_parameters"] == sum(p.numel() for p in small.parameters())
    again = load_encoder(path, precision="float32")
    assert again.settings.view_side_pix == 32
    images = torch.from_numpy(crops).permute(0, 3, 1, 2) / 255
    closer, _ = compress(whole, crops, 0.001)
    with torch.no_grad():
        from_disk, *made = (
            module.pooled(images).numpy()
            for module in (
                again.extract.encoder.encoder,
                small,
                closer,
                whole.extract.encoder.encoder,
            )
        )
    np.testing.assert_allclose(from_disk, made[0], rtol=0.02, atol=0.02)  # float16 on disk
    losses = [loss_of(made[2], values)["feature_error"] for values in made[:2]]
    assert losses[0] > losses[1] > 0
    with pytest.raises(DataError, match="of low rank already"):
        compress(again, crops, 0.2)
    for use in (load_lvm, lambda path: load_encoder_into(encoder_of(), path)):
        with pytest.raises(DataError, match="for feature vectors alone; give the encoder"):
            use(path)
    card["low_rank"] = {"stages.9.qkv": 2}
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(DataError, match=r"small.json: 'stages.9.qkv' with rank 2 fits no layer"):
        load_encoder(path)


def test_what_cannot_be_done_is_refused(tmp_path):
    write_encoder(tmp_path / "micro.safetensors")
    whole = load_encoder(tmp_path / "micro.safetensors")
    crops = np.stack([galaxy(i, 64) for i in range(20)])
    with pytest.raises(ConfigError, match="tolerance: 1.5 is not between 0 and 1"):
        compress(whole, crops, 1.5)
    with pytest.raises(DataError, match="19 images to learn from; give 40 or more"):
        compress(whole, crops[:19], 0.1)


def test_equal_vectors_lose_nothing():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 5))
    labels = np.where(values[:, 0] > 0, "a", "b").astype(object)
    found = loss_of(values, values, labels)
    assert found["feature_error"] == 0 and found["nearest_kept"] == 1
    assert found["accuracy"] == found["accuracy_whole"] > 0.8
    shuffled = loss_of(values, rng.permutation(values), labels)
    assert shuffled["feature_error"] > 1 and shuffled["nearest_kept"] < 0.5
    assert shuffled["accuracy"] < found["accuracy"]


def test_the_command_writes_an_encoder_that_the_others_take(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_encoder(tmp_path / "micro.safetensors")
    write_galaxies(tmp_path / "images", 46)
    rows = [f"g{i}.png,{'odd' if i % 3 else 'even'}" for i in range(44)]
    rows[1] = "g1.png,rare"
    for copy in ("g0_a.png", "g0_b.png"):
        shutil.copy(tmp_path / "images" / "g0.png", tmp_path / "images" / copy)
        rows.append(f"{copy},even")
    lines = [f"{row.split('.')[0]},{row}" for row in rows]
    Path("labels.csv").write_text("\n".join(["id,file,label", *lines, "x,x.png,odd"]) + "\n")
    command = ["compress", "images", "--encoder", "micro.safetensors", "--cores", "1"]
    command += ["--labels", "labels.csv", "--tolerance", "0.05"]
    found = CliRunner().invoke(main, command)
    assert found.exit_code == 0, found.output
    out = tmp_path / "galaxy-lvm-compress"
    table = load_table(out / "compress.parquet")
    before, after = table["numbers"].sum(), table["numbers_kept"].sum()
    assert 0 < after < before
    assert f"{after} numbers instead of {before} ({100 * after / before:.0f} %)" in found.output
    about = json.loads((out / "compressed.json").read_text())["compression"]
    assert (about["n_learned"], about["n_asked"]) == (24, 22)  # copies are on one side
    assert f"22 other images: {100 * about['feature_error']:.1f} % of the variance" in found.output
    assert f"accuracy of logistic regression {about['accuracy']:.3f}" in found.output
    assert "left out of the accuracy, with one image each: rare" in found.output
    told = "48 images: 2 left aside without a label, 0 by --max-images; 46 read, 0 refused"
    assert told in found.output
    assert "x.png" in (out / "skipped.csv").read_text()
    weights = out / "compressed.safetensors"
    used = CliRunner().invoke(main, ["embed", "images", "--encoder", str(weights), "--cores", "1"])
    assert used.exit_code == 0 and "vectors of 224 numbers" in used.output
    Path("others.csv").write_text("id,file,label\nx,x.png,odd\n")
    command[command.index("labels.csv")] = "others.csv"
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1
    assert "others.csv: no image below images has a label in it" in refused.output
    weights.unlink()
    Path("others.csv").write_text("\n".join(["id,file,label", "g1,g1.png,odd", "g2,g2.png,odd"]))
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1 and not weights.exists()
    assert "two classes need two labels each" in refused.output
