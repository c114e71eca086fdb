"""Rows of a file: the same as the list of them, in no memory where nearly all are used."""

import pickle
from hashlib import sha256

import numpy as np
import pytest
from galaxy_lvm.survey.row_choice import Rows
from galaxy_lvm.training.pretrain import _rows_hash

PIECES = [
    [range(10)],
    [[]],
    [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [[0, 2, 3, 4, 6, 7, 8]],  # some left out
    [[3, 4, 5, 6, 7, 8, 9]],  # the first ones left out
    [[1, 8]],  # few
    [[5, 4, 7, 7, 0, 1, 2, 3, 8]],  # in another order, with a repeat
    [range(3), [], [4, 6], [7, 8]],
    [range(3), [4, 6], range(5, 9)],  # a step back between two pieces
    [[4, 5], range(4)],
    [range(2), [3, 3]],
]


@pytest.mark.parametrize("pieces", PIECES, ids=str)
def test_rows_are_those_of_the_list(pieces):
    listed = np.array([row for piece in pieces for row in piece], dtype=np.int64)
    made = Rows(pieces)
    assert len(made) == len(listed) and list(made) == listed.tolist()
    np.testing.assert_array_equal(np.asarray(made), listed)
    places = np.arange(len(listed))[::-1]
    np.testing.assert_array_equal(made.at(places), listed[::-1])
    for size in (1, 3, 100):
        blocks = [block.tolist() for block in made.blocks(size)]
        assert sum(blocks, []) == listed.tolist() and all(len(block) <= size for block in blocks)
    # A training that was begun with the list is taken up.
    assert _rows_hash(made) == _rows_hash(listed) == sha256(listed.tobytes()).hexdigest()


def test_nearly_all_rows_of_a_large_file_take_no_memory_nor_time_to_hand_over():
    n = 2_000_000
    rows = np.delete(np.arange(n), [7, 1_000_000, 1_999_999])
    made = Rows(np.array_split(rows, 31))
    places = np.array([0, 6, 7, 999_998, 999_999, n - 4])
    np.testing.assert_array_equal(made.at(places), rows[places])
    assert len(pickle.dumps(made)) < 1000
