"""Orders that are computed: every item once, in no order that can be seen."""

import numpy as np
import pytest
from galaxy_lvm.training import feed
from galaxy_lvm.training.feed import Sampler
from galaxy_lvm.training.shuffle import shuffled_positions


@pytest.mark.parametrize("n_items", [1, 2, 3, 5, 16, 17, 1000, 4096, 4097, 65_537])
def test_every_item_stands_at_one_place(n_items):
    order = shuffled_positions(np.arange(n_items), n_items, seed=7)
    assert sorted(order) == list(range(n_items))


def test_places_of_76_million_are_found_one_by_one():
    n_items = 76_446_849
    places = np.array([0, 1, n_items // 2, n_items - 1])
    order = shuffled_positions(places, n_items, seed=3)
    assert len(set(order)) == 4 and (order < n_items).all()
    assert order[2] == shuffled_positions(places[2:3], n_items, seed=3)[0]


def test_the_order_looks_random():
    """Correlation of place and item, rising pairs, and how even a batch is, as chance has them."""
    n = 20_000
    for seed in range(5):
        order = shuffled_positions(np.arange(n), n, seed)
        assert abs(np.corrcoef(np.arange(n), order)[0, 1]) < 4 / np.sqrt(n)
        assert abs((np.diff(order) > 0).mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
        counts = np.histogram(order[:1000], bins=20, range=(0, n))[0]
        assert ((counts - 50) ** 2 / 50).sum() < 45  # chi-square of 19 degrees, 99.9 %: 43.8
        # Neighbours in the order are no neighbours in the file more often than by chance.
        assert (np.abs(np.diff(order)) < 10).mean() < 3 * 20 / n
    assert not (order == shuffled_positions(np.arange(n), n, 77)).mean() > 0.001


def test_a_sampler_of_many_keeps_no_order(monkeypatch):
    monkeypatch.setattr(feed, "KEPT_ORDERS_UP_TO", 0)
    sampler = Sampler(10, 4, seed=1)
    seen = np.concatenate([sampler.positions(step) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) != list(seen[10:])
    assert not sampler._cache
    np.testing.assert_array_equal(sampler.positions(3), Sampler(10, 4, seed=1).positions(3))
    assert Sampler(10, 4, seed=2).positions(0).tolist() != sampler.positions(0).tolist()
