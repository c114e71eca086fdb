"""Figure 6: scores of detections beside each other stay legible."""

import itertools

import pytest
from galaxy_lvm.lenses.example_figure import place_label

SIDE_PIX, SIZE = (256, 256), (24.0, 14.0)
CORNER = (8.0, 230.0, 60.0, 18.0)


def overlaps(a, b):
    return all(a[k] < b[k] + b[k + 2] and b[k] < a[k] + a[k + 2] for k in (0, 1))


def placed(boxes, above):
    taken = [CORNER]
    for box in boxes:
        taken.append(place_label(box, SIZE, SIDE_PIX, taken, above))
    return taken


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize(
    "boxes",
    [
        [(100, 100, 130, 130), (104, 102, 134, 132), (98, 97, 128, 128), (101, 99, 131, 129)],
        [(100, 100, 120, 120), (121, 100, 141, 120), (142, 100, 162, 120)],
        [(0, 0, 20, 20), (2, 2, 22, 22)],
        [(230, 236, 256, 256), (226, 232, 254, 255)],
        [(10, 226, 40, 250)],
        [(0, 0, 256, 256), (0, 0, 256, 250)],
    ],
    ids=["around one lens", "in a row", "corner", "opposite corner", "below the text", "whole"],
)
def test_no_score_lies_over_another_or_leaves_the_field(boxes, above):
    places = placed(boxes, above)
    for x, y, width, height in places:
        assert x >= 0 and x + width <= SIDE_PIX[1] and y >= 0 and y + height <= SIDE_PIX[0]
    assert not [pair for pair in itertools.combinations(places, 2) if overlaps(*pair)]


def test_a_score_alone_stands_on_its_own_side():
    box = (100, 100, 130, 130)
    assert placed([box], above=True)[1][1] == 131
    assert placed([box], above=False)[1][1] == 100 - 1 - SIZE[1]
