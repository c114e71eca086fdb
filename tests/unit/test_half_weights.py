"""Weights in half precision, an encoder without its decoder, and cards that do not fit."""

import json

import pytest
import torch
from galaxy_lvm.core import encoder_files
from galaxy_lvm.core.encoder_files import encoder_file, weights_file
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lvm.model import LVM, PRESETS
from galaxy_lvm.lvm.weights import (
    load_encoder_of,
    load_lvm,
    read_card,
    save_encoder,
    save_lvm,
    save_weights,
)
from safetensors.torch import load_file
from small_images import write_encoder

# Half precision keeps 11 bits: one part in 2,048 a weight, less in a vector that sums over many.
TOLERANCE = 2e-3


def test_half_precision_is_half_as_large_and_gives_the_same_features(tmp_path):
    torch.manual_seed(1)
    lvm = LVM(PRESETS["lvm_tiny"]).eval()
    path = tmp_path / "w.safetensors"
    save_encoder(path, lvm.encoder, {})
    state = load_file(path)
    assert {state[name].dtype for name, _ in lvm.encoder.named_parameters()} == {torch.float16}
    statistics = [value for name, value in state.items() if "running" in name]
    assert statistics and all(value.dtype == torch.float32 for value in statistics)
    n = sum(p.numel() for p in lvm.encoder.parameters())
    assert path.stat().st_size < 2.1 * n
    again = load_encoder_of(path).eval()
    assert all(p.dtype == torch.float32 for p in again.parameters())
    images = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        expected, found = lvm.encoder.pooled(images), again.pooled(images)
    difference = (found - expected).norm(dim=1) / expected.norm(dim=1)
    assert 0 < difference.max() < TOLERANCE


def test_a_weight_beyond_half_precision_is_refused(tmp_path):
    layer = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(layer.bias, 1e6)
    with pytest.raises(DataError, match=r"'bias' is not finite in float16"):
        save_weights(tmp_path / "w.safetensors", layer, {}, half=True)
    assert not list(tmp_path.iterdir())


def test_an_encoder_alone_becomes_an_lvm_with_a_random_decoder(tmp_path, caplog):
    lvm = write_encoder(tmp_path / "w.safetensors")
    with caplog.at_level("INFO", logger="galaxy_lvm"):
        one, two = load_lvm(tmp_path / "w.safetensors"), load_lvm(tmp_path / "w.safetensors")
    assert "the decoder starts from random weights" in caplog.text
    for name, value in lvm.encoder.state_dict().items():
        torch.testing.assert_close(one.encoder.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert any(p.abs().sum() > 0 for p in one.decoder.parameters())
    before = torch.get_rng_state()
    load_lvm(tmp_path / "w.safetensors")
    assert torch.equal(before, torch.get_rng_state())


def test_a_whole_lvm_gives_its_encoder(tmp_path):
    lvm = write_encoder(tmp_path / "w.safetensors", whole=True)
    encoder = load_encoder_of(tmp_path / "w.safetensors")
    pairs = zip(lvm.encoder.parameters(), encoder.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def edited_card(path, edit):
    card = json.loads(path.with_suffix(".json").read_text())
    edit(card)
    path.with_suffix(".json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda card: card.update(card_version=2), r"w\.json: a card of version 2, newer than"),
        (lambda card: card.update(card_version="x"), r"w\.json: a card of version 'x'"),
        (lambda card: card["architecture"].pop("depths"), r"w\.json: architecture lacks depths"),
        (lambda card: card["architecture"].update(heads=3), r"w\.json: architecture has heads"),
        (lambda card: card.pop("architecture"), r"w\.json: describes no LVM"),
        (lambda card: card.update(architecture="swin"), r"w\.json: describes no LVM"),
        (lambda card: card["architecture"].update(embed_dim=24), r"another architecture, \d+ diff"),
        (lambda card: card["architecture"].update(backbone="lvm", lvm={}), "a detector of lenses"),
    ],
)  # fmt: skip
def test_cards_that_do_not_fit_are_refused_in_words(tmp_path, edit, message):
    path = tmp_path / "w.safetensors"
    write_encoder(path)
    edited_card(path, edit)
    for load in (load_lvm, load_encoder_of):
        with pytest.raises(DataError, match=message):
            load(path)


def test_a_missing_card_is_named(tmp_path):
    path = tmp_path / "w.safetensors"
    write_encoder(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(DataError, match=r"w\.json: missing; weights are only used together"):
        load_encoder_of(path)


def test_a_card_says_its_precision_and_parts(tmp_path):
    write_encoder(tmp_path / "half.safetensors")
    write_encoder(tmp_path / "whole.safetensors", whole=True)
    half, whole = (read_card(tmp_path / f"{n}.safetensors") for n in ("half", "whole"))
    assert (half["precision"], half["parts"]) == ("float16", ["encoder"])
    assert whole["precision"] == "float32" and "parts" not in whole


def test_released_weights_are_found_or_missed_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder_files, "_PLACES", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(DataError, match=r"no released weights in this version.*a finished run"):
        encoder_file("released")
    write_encoder(tmp_path / "b" / "released.safetensors")
    assert encoder_file("released") == weights_file("released")
    assert encoder_file("released").parent == tmp_path / "b"


def test_the_encoder_of_a_run_is_the_one_that_its_tasks_use(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"r1: neither 'released', nor a \.safetensors file"):
        encoder_file("r1")
    run = tmp_path / "results" / "r1"
    run.mkdir(parents=True)
    with pytest.raises(DataError, match="has not finished its pretraining"):
        encoder_file("r1")
    for name in ("a_skips", "b_skips"):
        (run / "models" / "pretrain" / name).mkdir(parents=True)
        (run / "models" / "pretrain" / name / "lvm.safetensors").touch()
    with pytest.raises(DataError, match=r"several encoders; give the path of one"):
        encoder_file("r1")
    (run / "models" / "multitask").mkdir()
    card = {"pretrained": "results/r1/models/pretrain/b_skips/lvm.safetensors"}
    (run / "models" / "multitask" / "multi_active_0.json").write_text(json.dumps(card))
    assert encoder_file("r1").parent.name == "b_skips"
    assert encoder_file(run).parent.name == "b_skips"
    with pytest.raises(DataError, match="no such weights"):
        encoder_file("gone.safetensors")


def test_whole_lvms_stay_in_full_precision(tmp_path):
    torch.manual_seed(2)
    lvm = LVM(PRESETS["lvm_micro"])
    save_lvm(tmp_path / "w.safetensors", lvm, {})
    assert {v.dtype for v in load_file(tmp_path / "w.safetensors").values()} == {torch.float32}
