"""What the page says of the rules is what they do, also of a rule that was added."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.selection import LOWER_CHOICES, RULES
from galaxy_lvm.hitl.settings import SessionSettings
from galaxy_lvm.ui import sentences
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.workplace import Workplace


@pytest.fixture
def place(tmp_path):
    """Two hundred galaxies without images: nothing here looks at one."""
    features = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    pool = Pool([f"g{i}" for i in range(200)], features)
    known = pd.DataFrame({"id": pool.ids_of(np.arange(200)), "label": ""})
    return Workplace("arcs", pool, tmp_path / "none.h5", np.arange(200), None, known)


@pytest.mark.parametrize("lower", LOWER_CHOICES)
def test_lower_scores_are_those_that_the_session_asks_about(place, tmp_path, lower):
    settings = SessionSettings(lower=lower)
    place = dataclasses.replace(place, settings=settings)
    with_labels = Labelling(place, tmp_path / "labels.sqlite")
    for name in ("g0", "g1"):
        with_labels.label("ann", name, "positive")  # P/N is infinite: lower scores are next
    words = {"below_boundary": "just below 0.5", "lowest": "the lowest scores of all"}
    said = with_labels.sentence("ann")
    assert words.pop(lower) in said and not any(other in said for other in words.values()), said
    with_labels.close()


def test_a_rule_that_was_added_is_offered_and_told_by_its_name(place, tmp_path, monkeypatch):
    assert list(sentences.rules_in_words()) == list(RULES)
    monkeypatch.setitem(RULES, "surprise", RULES["random"])
    assert sentences.rules_in_words()["surprise"] == "surprise"
    labelling = Labelling(place, tmp_path / "labels.sqlite")
    labelling.choose("ann", "surprise", 0.5, 4)
    assert "surprise" in labelling.state("ann")["sentence"]
    labelling.close()


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_of_the_project_has_words_of_its_own(rule):
    assert sentences.rules_in_words()[rule] != rule
    assert f"rule {rule}" not in sentences.rule_sentence(rule, 0.5, LOWER_CHOICES[0], 1, 1)


def test_at_random_for_want_of_a_positive_ends_with_the_first(place, tmp_path):
    store = tmp_path / "labels.sqlite"
    first = Labelling(place, store)
    first.choose("ann", "random", 0.3, 4)
    first.choose("ann", "random", 0.3, 5)  # more a round: the rule from before is not forgotten
    assert "ends with the first positive" in first.state("ann")["sentence"]
    first.store.suggest("ann", ["g5", "g6"], "random", "")
    first.label("ann", "g5", "negative")
    first.close()

    again = Labelling(place, store)  # a restart keeps it
    assert again.choice("ann") == {"rule": "random", "alpha": 0.3, "n": 5}
    number = again.label("bob", "g6", "positive")  # anyone's: the model is of all labels
    assert again.choice("ann") == {"rule": "alpha", "alpha": 0.3, "n": 5}
    assert "A first galaxy is positive" in again.sentence("ann")
    again.close()

    last = Labelling(place, store)
    assert last.choice("ann")["rule"] == "alpha"
    last.undo("bob", number)
    assert last.choice("ann")["rule"] == "random"
    last.label("bob", "g6", "positive")
    last.choose("ann", "random", 0.3, 5)  # chosen while there is a model: it stays
    last.label("ann", "g7", "positive")
    assert last.choice("ann")["rule"] == "random" and "first" not in last.sentence("ann")
    last.close()


def test_the_first_positive_brings_back_the_rule_from_before(place, tmp_path):
    labelling = Labelling(place, tmp_path / "labels.sqlite")
    labelling.choose("ann", "uncertainty", 0.5, 4)
    labelling.choose("ann", "random", 0.5, 4)
    labelling.label("ann", "g0", "positive")
    assert labelling.choice("ann")["rule"] == "uncertainty"
    labelling.close()
