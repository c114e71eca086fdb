"""Every limit that the config allows works in the code: nothing raises deep inside."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from annotated_types import Ge, Gt, Le, Lt
from galaxy_lvm.core.config.survey import Crop, Folder, Mock, Splits
from galaxy_lvm.core.config.tasks import Baselines
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.multitask.baselines import classification_baseline
from galaxy_lvm.simulation.survey import simulate_chunks
from galaxy_lvm.survey.crops import crop_chunk
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.survey.splits import make_splits
from galaxy_lvm.survey.store import CutoutStore
from PIL import Image
from test_folder import blob, picture, write_fits

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


@pytest.mark.parametrize(("name", "value"), list(limits(Mock)))
def test_galaxies_are_simulated_at_every_limit(name, value):
    settings = Mock(**{"n_galaxies": 4, name: value})
    images = np.concatenate([images for images, _ in simulate_chunks(settings, seed=1)])
    assert len(images) == settings.n_galaxies and np.isfinite(images).all()


@pytest.fixture(scope="module")
def own_images(tmp_path_factory):
    """A folder with colour images of two sides, and one with FITS files with and without a WCS."""
    folder = tmp_path_factory.mktemp("own")
    for side in (40, 64):
        Image.fromarray(picture(side)).save(folder / f"{side}.png")
    for name, scale in (("wcs", 0.262), ("plain", None)):
        write_fits(folder / f"{name}.fits", blob(), scale)
    (folder / "colours.csv").write_text("id,file,label\n1,40.png,a\n2,64.png,b\n")
    (folder / "fluxes.csv").write_text("id,file,label\n1,wcs.fits,a\n2,plain.fits,b\n")
    return folder


# Colours are cut to a side; FITS files are refused one by one where they are too coarse.
FOLDER_KINDS = {"image_side_pix": "colours", "max_image_side_pix": "colours"}


@pytest.mark.parametrize(("name", "value"), list(limits(Folder)))
def test_a_folder_is_read_at_every_limit(own_images, tmp_path, name, value):
    settings = Folder(**{name: value})
    table = own_images / f"{FOLDER_KINDS.get(name, 'fluxes')}.csv"
    if name == "max_pixel_scale_arcsec":
        with pytest.raises(DataError, match="coarser than max_pixel_scale_arcsec"):
            import_images(own_images, table, tmp_path / "c.h5", settings)
        return
    rejected = import_images(own_images, table, tmp_path / "c.h5", settings)
    with CutoutStore(tmp_path / "c.h5") as store:
        n_read = len(store)
        assert n_read + sum(line["row"] != "" for line in rejected) == 2 and n_read
        assert np.isfinite(store.images[:]).all()
        side = store.images.shape[1 if store.rgb else 2]
    assert side == (value if name in FOLDER_KINDS else 152)
