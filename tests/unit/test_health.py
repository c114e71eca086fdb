"""Health of the data: counts add up, pixels and magnitudes have known values, all is drawn."""

import h5py
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.survey.health import kind_of, measure_health
from galaxy_lvm.survey.rejected import rejection, write_rejected
from plot_health import main as plot_health

N, SIDE_PIX, CROP_PIX = 12, 24, 16
BOX = (4, 4, 20, 20)


def text(values):
    return {"data": list(values), "dtype": h5py.string_dtype("utf-8")}


@pytest.fixture
def dataset(tmp_path):
    """Write twelve crops of fourteen cutouts; two pairs of copies, one of them in two splits."""
    ids = [f"g{i}" for i in range(N)]
    frames = np.zeros((N + 2, 3, SIDE_PIX, SIDE_PIX), np.float32)
    # One nanomaggie in r on the box, and light outside it, which is no part of the galaxy.
    frames[:, 1, 4:20, 4:20] = np.arange(1, N + 3)[:, None, None] / 256
    frames[:, 1, 0, 0] = 1000
    frames[5, 1] = -1
    with h5py.File(tmp_path / "cutouts.h5", "w") as file:
        file["images"] = frames
        file.create_dataset("id", **text([*ids, "blank", "hole"]))
        file["ra"], file["dec"] = np.linspace(0, 350, N + 2), np.linspace(-80, 80, N + 2)
    crops = np.full((N, CROP_PIX, CROP_PIX, 3), 100, np.uint8)
    crops[3, :4] = 0
    crops[4, :, :8, 2] = 255
    with h5py.File(tmp_path / "crops.h5", "w") as file:
        file["images"], file["box"] = crops, np.tile(BOX, (N, 1))
        file["flag"] = np.array([1, 1, 4] + [0] * (N - 3), np.uint8)
        file["cutout_index"] = np.arange(N)
        file.create_dataset("id", **text(ids))
    split = ["train", "train", "train", "test", *["val"] * 3, *["train"] * 4]
    table = pd.DataFrame({"index": range(11), "id": ids[:11], "split": split, "label": "spiral"})
    table["group"] = [0, 0, 2, 2, *range(4, 11)]
    table.to_parquet(tmp_path / "splits.parquet")
    lost = [rejection("import", "no such file; copy it", file="a.fits")]
    lost += [rejection("crop", f"is blank; {name}", name) for name in ("blank", "hole")]
    lost += [rejection("split", "class 'ring' has 1 galaxy", "g11")]
    write_rejected(tmp_path / "rejected.csv", lost)
    names = ("cutouts.h5", "crops.h5", "splits.parquet", "rejected.csv")
    return [tmp_path / name for name in names]


def counted(counts):
    return {(row.step, row.what): row.galaxies for row in counts.itertuples()}


def test_every_step_and_loss_is_counted(dataset):
    found = counted(measure_health(*dataset, n_sampled=N, seed=1).counts)
    steps = [found[step, ""] for step in ("catalogue", "cutouts", "crops", "splits")]
    assert steps == [15, 14, 12, 11]
    assert [found["splits", name] for name in ("train", "val", "test")] == [7, 3, 1]
    lost = {what: n for (step, what), n in found.items() if step == "lost"}
    assert lost == {
        "import: no such file": 1,
        "crop: is blank": 2,
        "split: class ... has N galaxy": 1,
    }
    assert sum(lost.values()) == steps[0] - steps[-1]  # nobody is lost without a reason
    assert found["flagged", "default_box"] == 2 and found["flagged", "bad_pixels"] == 1
    assert found["copies", "kept with their original"] == 2
    assert found["copies", "across splits"] == 2  # rows 2 and 3: train and test


def test_pixels_and_magnitudes_have_their_known_values(dataset):
    health = measure_health(*dataset, n_sampled=N, seed=1)
    expected = 22.5 - 2.5 * np.log10(np.arange(1, N + 1.0))
    expected[5] = np.nan
    np.testing.assert_allclose(health.mag, expected, rtol=1e-6)
    np.testing.assert_allclose(health.black, np.where(np.arange(N) == 3, 0.25, 0))
    np.testing.assert_allclose(health.saturated, np.where(np.arange(N) == 4, 0.5, 0))
    assert set(health.box_side_pix) == {16}
    np.testing.assert_allclose(health.ra_deg, np.linspace(0, 350, N + 2)[:N])
    few = measure_health(*dataset, n_sampled=5, seed=1)
    assert len(few.black) == len(few.mag) == 5 and len(few.ra_deg) == N


def test_the_figure_and_its_table_are_written(dataset, tmp_path):
    plot_health(*dataset, tmp_path / "health.pdf", tmp_path / "health.csv")
    assert (tmp_path / "health.png").stat().st_size > 10_000
    written = pd.read_csv(tmp_path / "health.csv", keep_default_na=False)
    known = measure_health(*dataset, n_sampled=N, seed=1).counts
    assert counted(written) == counted(known)


def test_galaxies_without_positions_or_fluxes_have_a_figure_too(dataset, tmp_path):
    with h5py.File(dataset[0], "a") as file:
        for name in ("images", "ra", "dec"):
            del file[name]
        file["images_rgb"] = np.zeros((N + 2, SIDE_PIX, SIDE_PIX, 3), np.uint8)
    health = measure_health(*dataset, n_sampled=N, seed=1)
    assert not len(health.mag) and np.isnan(health.ra_deg).all()
    plot_health(*dataset, tmp_path / "health.pdf", tmp_path / "health.csv")
    assert (tmp_path / "health.png").exists()


def test_reasons_are_joined_without_what_is_of_one_galaxy():
    one = kind_of("22.5 % of its pixels are missing; fetch it again")
    assert one == kind_of("31 % of its pixels are missing; raise a limit") != kind_of("is blank")
