"""Where a search takes its score threshold from: the scores of that very detector."""

import json

import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses.search import find_threshold
from galaxy_lvm.report.results import long_rows, write_results

CARD = {"architecture": {"backbone": "resnet50"}, "n_train": 30, "seed": 1}


def detector(folder, card):
    """Write a card; return the weights' name, which are not read."""
    weights = folder / "mine.safetensors"
    weights.with_suffix(".json").write_text(json.dumps(card))
    return weights


def test_a_threshold_of_another_detector_is_refused(tmp_path):
    path, weights = tmp_path / "lenses.csv", detector(tmp_path, CARD)
    write_results(path, long_rows("lenses", "boxes", "lvm", "train=30", 1, {"threshold": 0.3}))
    with pytest.raises(DataError, match="no scores of a detector with.*resnet50"):
        find_threshold(weights, path)
    write_results(path, long_rows("lenses", "boxes", "resnet50", "train=30", 1, {"threshold": 0.4}))
    assert find_threshold(weights, path) == 0.4


def test_a_card_that_does_not_say_of_which_training_it_is_is_named(tmp_path):
    weights = detector(tmp_path, {key: CARD[key] for key in ("architecture", "seed")})
    with pytest.raises(DataError, match=r"mine.json: .*no n_train, but architecture, seed"):
        find_threshold(weights)
