"""Cards of other networks, and of none: what is there is told, and what belongs here."""

import json

import pytest
from galaxy_lvm.align.network import load_aligned
from galaxy_lvm.core.cards import read_card_of
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.multitask.train import load_multitask
from galaxy_lvm.spectra.networks import load_network


def weights(folder, **card):
    (folder / "w.json").write_text(json.dumps(card))
    return folder / "w.safetensors"


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (load_network, "here belongs spectrum_transformer or spectrum_language_model"),
        (load_aligned, "here belongs aligned_networks"),
        (load_multitask, "no settings, classes, but kind, architecture"),
    ],
)
def test_weights_of_another_network_are_refused_with_what_they_are(tmp_path, load, wanted):
    other = weights(tmp_path, kind="a_third_one", architecture={})
    with pytest.raises(DataError, match=rf"{tmp_path}/w.json: weights of something else.*{wanted}"):
        load(other)


@pytest.mark.parametrize("load", [load_network, load_aligned])
def test_a_card_without_a_kind_says_what_it_has(tmp_path, load):
    lvm = weights(tmp_path, architecture={"widths": [8]}, seed=1)
    with pytest.raises(DataError, match="no kind, but architecture, seed; here belongs"):
        load(lvm)


def test_a_card_that_lacks_the_architecture_is_damaged(tmp_path):
    path = weights(tmp_path, kind="spectrum_transformer", seed=1)
    with pytest.raises(DataError, match="a damaged card: no architecture, but kind, seed; copy"):
        load_network(path)


def test_a_card_with_all_that_is_wanted_is_handed_on(tmp_path):
    card = {"kind": "one", "architecture": {"width": 3}, "seed": 1}
    assert read_card_of(weights(tmp_path, **card), ("architecture",), ("one", "two")) == card
