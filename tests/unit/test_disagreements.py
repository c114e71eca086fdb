"""Labels to look at again: the ones that were swapped come first."""

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.multitask.disagreement_figure import draw_disagreements
from galaxy_lvm.multitask.disagreements import label_disagreements
from galaxy_lvm.report.style import plt

CLASSES = ["elliptical", "spiral", "other"]


def predictions(labels, truth, models=("a", "b"), seed=0):
    """Models that are right about the truth, whatever the label says, more or less sure."""
    rng = np.random.default_rng(seed)
    tables = []
    for model in models:
        scores = rng.normal(0, 0.3, (len(truth), 3))
        scores[np.arange(len(truth)), truth] += 2
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        table = pd.DataFrame(shares, columns=[f"p_{name}" for name in CLASSES])
        tables.append(
            table.assign(id=[f"g{i}" for i in range(len(truth))], label=labels, model=model)
        )
    return pd.concat(tables, ignore_index=True)


def test_swapped_labels_come_first_with_every_network_against_them():
    truth = np.random.default_rng(1).integers(0, 3, 60)
    labels = truth.copy()
    swapped = [3, 17, 41]
    labels[swapped] = (truth[swapped] + 1) % 3
    table = label_disagreements(predictions(labels, truth), CLASSES)
    assert len(table) == 60 and table["p_label"].is_monotonic_increasing
    first = table.head(3)
    assert set(first["id"]) == {f"g{i}" for i in swapped}
    assert first["n_against"].tolist() == [2, 2, 2]
    names = {f"g{i}": CLASSES[truth[i]] for i in swapped}
    assert first.set_index("id")["predicted"].to_dict() == names
    assert table["n_against"].iloc[3:].max() == 0


def test_what_cannot_be_compared_is_refused():
    table = predictions(np.zeros(4, int), np.zeros(4, int))
    table.loc[0, "label"] = 1
    with pytest.raises(DataError, match="different labels"):
        label_disagreements(table, CLASSES)
    with pytest.raises(DataError, match="no predictions"):
        label_disagreements(table.head(0), CLASSES)


def test_the_picture_says_label_and_vote_and_frames_what_all_contradict():
    truth = np.array([0, 1, 2, 0, 1])
    labels = np.array([1, 1, 2, 0, 1])
    table = label_disagreements(predictions(labels, truth), CLASSES)
    images = {f"g{i}": np.full((16, 16, 3), 40 * i, np.uint8) for i in range(5)}
    fig = draw_disagreements(images, table)
    shown = [text.get_text() for text in fig.axes[0].texts]
    assert "Spiral\n→ Elliptical" in shown
    assert len(fig.axes[0].patches) == 1
    plt.close(fig)
