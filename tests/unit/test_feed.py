"""What feeds a training: rows without a list of them, and crops read ahead."""

import threading

import h5py
import numpy as np
import pytest
from galaxy_lvm.core.config.training import Pretraining
from galaxy_lvm.training import feed
from galaxy_lvm.training.feed import JoinedCrops, ReadAhead
from galaxy_lvm.training.pretrain import PretrainFeed


def test_what_is_read_ahead_is_what_the_step_needs_and_is_read_once():
    read, threads = [], set()

    def reads(step):
        read.append(step)
        threads.add(threading.current_thread())
        return np.full(3, step)

    ahead = ReadAhead(reads, n_ahead=2)
    assert [ahead.of(step)[0] for step in range(5)] == [0, 1, 2, 3, 4]
    assert ahead.of(50)[0] == 50  # a training that goes on elsewhere
    assert read[:5] == [0, 1, 2, 3, 4] and len(read) == len(set(read))
    assert threading.main_thread() not in threads


def test_an_error_in_reading_comes_to_the_step_that_needs_it():
    def reads(step):
        if step == 2:
            raise OSError("the disk is gone")
        return np.zeros(1)

    ahead = ReadAhead(reads)
    ahead.of(0)
    ahead.of(1)
    with pytest.raises(OSError, match="the disk is gone"):
        ahead.of(2)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_crops_from_disk_make_the_views_of_crops_in_memory(tmp_path, monkeypatch, accumulate):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "crops.h5", "w") as file:
        file["images"] = rng.integers(0, 255, (12, 64, 64, 3), dtype=np.uint8)
    settings = Pretraining(batch_size=8, accumulate=accumulate)

    def batches():
        crops = JoinedCrops([(tmp_path / "crops.h5", [0, 1, 2, 4, 5, 6, 7, 9])])
        made = PretrainFeed(crops, settings, 1, 1, rank=1, world_size=2)
        return crops.in_memory, [part for step in range(3) for part in made.batch(step)]

    in_memory, kept = batches()
    monkeypatch.setattr(feed, "IN_MEMORY_BYTES", 0)
    on_disk, read = batches()
    assert in_memory and not on_disk
    assert len(kept) == len(read) == 3 * accumulate
    for one, other in zip(kept, read, strict=True):
        assert one["seed"] == other["seed"]
        assert len(one["views"][0]) == 4 // accumulate
        np.testing.assert_array_equal(one["views"][0], other["views"][0])
