"""Every limit that the config allows works in the code: nothing raises deep inside."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from annotated_types import Ge, Gt, Le, Lt
from galaxy_lvm.core.config.survey import Crop, Splits
from galaxy_lvm.core.config.tasks import Baselines
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.multitask.baselines import classification_baseline
from galaxy_lvm.survey.crops import crop_chunk
from galaxy_lvm.survey.splits import make_splits

OPEN_END = 1e-6
# Smallest frames of the code, odd and even ones, and those of the surveys.
FRAME_SIDES_PIX = (16, 17, 18, 19, 31, 32, 65, 127, 152, 256)


def limits(section) -> Iterator[tuple[str, float]]:
    """Yield every numeric field with each of its limits; an open one is approached."""
    for name, field in section.model_fields.items():
        for limit in field.metadata:
            if isinstance(limit, Ge | Le):
                yield name, limit.ge if isinstance(limit, Ge) else limit.le
            elif isinstance(limit, Gt | Lt):
                yield name, limit.gt + OPEN_END if isinstance(limit, Gt) else limit.lt - OPEN_END


def frames(side_pix, rng):
    """A galaxy in noise, off the centre; one at the frame's edge; noise alone; all white."""
    rows, columns = np.indices((side_pix, side_pix))
    grey = [rng.integers(0, 255, (side_pix, side_pix)), np.full((side_pix, side_pix), 255)]
    for share in (0.4, 0.95):
        distance = (rows - share * side_pix) ** 2 + (columns - side_pix / 2) ** 2
        light = 200 * np.exp(-distance / (side_pix / 10) ** 2)
        grey.append(np.clip(light + rng.normal(12, 3, light.shape), 0, 255))
    return np.repeat(np.stack(grey)[..., None], 3, axis=3).astype(np.uint8)


@pytest.mark.parametrize(("name", "value"), list(limits(Crop)))
def test_crops_are_cut_at_every_limit(name, value):
    settings, rng = Crop(**{name: value}), np.random.default_rng(0)
    for side in FRAME_SIDES_PIX:
        crops, boxes, _ = crop_chunk(frames(side, rng), settings)
        assert crops.shape == (4, settings.side_pix, settings.side_pix, 3)
        widths = boxes[:, 2:] - boxes[:, :2]
        assert (widths >= 1).all() and boxes.min() >= 0 and boxes.max() <= side, side


def test_half_a_frame_is_no_reach():
    with pytest.raises(ValueError, match="centre_fraction"):
        Crop(centre_fraction=0.5)


def divided(n_per_class, **settings):
    n = 2 * n_per_class
    table = pd.DataFrame({"index": range(n), "id": [f"g{i}" for i in range(n)]})
    table = table.assign(label=np.repeat(["spiral", "other"], n_per_class), group=np.arange(n))
    made, _ = make_splits(table, Splits(**settings), seed=1)
    return made.groupby(["label", "split"]).size().unstack(fill_value=0)


@pytest.mark.parametrize("train", [1e-6, 0.02, 0.05])
@pytest.mark.parametrize("n_per_class", [3, 4, 10, 11])
def test_no_class_is_left_without_a_galaxy_to_train_on(train, n_per_class):
    other = (1 - train) / 2
    counts = divided(n_per_class, train=train, val=other, test=other, min_per_class=3)
    assert (counts[["train", "val", "test"]] >= 1).all(axis=None)
    assert (counts.sum(axis=1) == n_per_class).all()


@pytest.mark.parametrize(("name", "value"), [x for x in limits(Splits) if "_" in x[0]])
def test_splits_are_made_at_every_limit(name, value):
    counts = divided(30, **{name: value})
    assert (counts[["train", "val", "test"]] >= 1).all(axis=None)


def test_a_draw_of_one_class_names_its_key():
    images = frames(32, np.random.default_rng(0))[np.arange(40) % 4]
    labels, ids = np.repeat([0, 1], [39, 1]), [str(i) for i in range(40)]
    data = images, labels, ids
    with pytest.raises(ConfigError, match="baselines.n_class_train: the 2 .*of one class; raise"):
        classification_baseline(data, data, data, 2, Baselines(n_class_train=2), seed=1)
