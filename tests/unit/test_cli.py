"""The command `galaxy-lvm`: what it writes, what it says, and what it refuses."""

import json
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from galaxy_lvm.cli.main import COMMANDS, main
from galaxy_lvm.core import encoder_files
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.features.encoder import load_encoder
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.survey.rejected import read_rejected
from small_images import write_encoder, write_galaxies

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "micro.safetensors"
    write_encoder(path)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, with images in `images`."""
    monkeypatch.chdir(tmp_path)
    write_galaxies(tmp_path / "images", 4)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def embed(weights, *more):
    return call("embed", "images", "--encoder", weights, "--cores", 1, *more)


def test_every_subcommand_is_described():
    found = call("--help")
    assert found.exit_code == 0
    for name, place in COMMANDS.items():
        module, _, function = place.partition(":")
        assert getattr(import_module(module), function).name == name
        assert f"  {name}  " in found.output
        assert call(name, "--help").exit_code == 0
    assert call("embedd").exit_code == 2


def test_the_command_is_installed_under_its_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["galaxy-lvm"].partition(":")
    assert getattr(import_module(module), function) is main


def test_embed_writes_vectors_tables_and_a_gallery(here, weights):
    (here / "images" / "bad.png").write_bytes(b"no picture")
    for name in ("a.tif", "b.webp", "c.TIF"):
        (here / "images" / name).touch()
    found = embed(weights)
    assert found.exit_code == 0, found.output
    out = here / "galaxy-lvm-embed"
    last = found.output.strip().splitlines()[-1]
    assert last == (
        "4 images read, 1 skipped (listed in galaxy-lvm-embed/skipped.csv); "
        "vectors of 224 numbers; written to galaxy-lvm-embed"
    )
    store = FeatureStore.open(out / "features.npy")
    expected = load_encoder(weights).embed(sorted((here / "images").glob("g*.png")))
    np.testing.assert_allclose(store.values, expected.features, rtol=1e-4, atol=1e-5)
    numbers = ("width_pix", "height_pix")
    table = load_table(out / "embed.csv", numbers=numbers)
    pd.testing.assert_frame_equal(table, load_table(out / "embed.parquet"), check_dtype=False)
    assert list(table["id"]) == list(store.ids) == [f"g{i}.png" for i in range(4)]
    assert list(read_rejected(out / "skipped.csv")["id"]) == ["bad.png"]
    assert (out / "gallery.png").stat().st_size > 10_000 and (out / "gallery.pdf").exists()
    log = (out / "galaxy-lvm.log").read_text()
    assert "encoder" in log and log.count("colour frames of") == 1
    assert "3 files of other types (.tif, .webp) passed over" in log


def test_a_second_run_replaces_its_own_files_and_no_others(here, weights):
    assert embed(weights).exit_code == 0
    (here / "images" / "g3.png").unlink()
    assert embed(weights).exit_code == 0
    assert len(FeatureStore.open(here / "galaxy-lvm-embed" / "features.npy")) == 3
    (here / "mine").mkdir()
    (here / "mine" / "features.npy").write_text("years of work")
    found = embed(weights, "--output", "mine")
    assert found.exit_code == 1
    assert "mine/features.npy: is there already and was not written by galaxy-lvm" in found.output
    assert (here / "mine" / "features.npy").read_text() == "years of work"
    assert [path.name for path in (here / "mine").iterdir()] == ["features.npy"]
    (here / "galaxy-lvm-embed" / "galaxy-lvm.json").write_text("{}")
    assert "no record of galaxy-lvm" in embed(weights).output
    (here / "file").touch()
    assert "is a file; name another folder" in embed(weights, "--output", "file").output


def test_what_lies_in_the_output_folder_is_no_input(here, weights):
    for _ in range(2):
        found = call("embed", ".", "--encoder", weights, "--cores", 1)
        assert found.exit_code == 0, found.output
        assert "4 images read, 0 skipped" in found.output


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.with_suffix(".json").unlink(), "micro.json: missing"),
        (lambda path: path.unlink(), "micro.safetensors: no such weights"),
        (lambda path: path.write_bytes(b"x" * 100), "micro.safetensors: no readable weights"),
        (lambda path: _other_shape(path), "micro.safetensors: weights of another architecture"),
    ],
)
def test_weights_that_do_not_fit_end_with_a_sentence(here, spoil, message):
    path = here / "micro.safetensors"
    write_encoder(path)
    spoil(path)
    found = embed(path)
    assert found.exit_code == 1 and f"Error: {path.parent}/{message}" in found.output
    assert "Traceback" not in found.output
    assert "Traceback" in (here / "galaxy-lvm-embed" / "galaxy-lvm.log").read_text()


def _other_shape(path):
    card = path.with_suffix(".json")
    about = json.loads(card.read_text())
    about["architecture"]["embed_dim"] = 24
    card.write_text(json.dumps(about))


def test_folders_without_images_end_with_a_sentence(here, weights):
    (here / "empty").mkdir()
    for folder, message in (("nowhere", "no such folder"), ("empty", "no image that can be read")):
        found = call("embed", folder, "--encoder", weights)
        assert found.exit_code == 1 and f"Error: {folder}: {message}" in found.output
    for path in (here / "images").iterdir():
        path.write_bytes(b"no picture")
    found = embed(weights)
    assert found.exit_code == 1 and "none of 4 images can be used" in found.output
    assert len(read_rejected(here / "galaxy-lvm-embed" / "skipped.csv")) == 4


def test_without_released_weights_the_sentence_says_what_to_give(here, monkeypatch):
    monkeypatch.setattr(encoder_files, "_PLACES", (here / "weights",))
    found = call("embed", "images")
    assert found.exit_code == 1
    assert "there are no released weights in this version; give the path" in found.output


def test_the_advice_of_a_reason_can_be_followed(here, weights):
    found = embed(weights, "--set", "max_picture_megapixels=0.001")
    assert found.exit_code == 1 and "max_picture_megapixels = 0.001; raise that" in found.output
    assert embed(weights, "--set", "max_picture_megapixels=1").exit_code == 0
    for text, message in (
        ("max_picture_megapixels", "give KEY=VALUE, KEY one of picture_white_level"),
        ("id_column=a", "give KEY=VALUE, KEY one of"),
        ("pixel_scale_arcsec=-1", "--set pixel_scale_arcsec=-1: Input should be greater than 0"),
        ("fits_bands=[", "--set fits_bands=[: no value"),
    ):
        found = embed(weights, "--set", text)
        assert found.exit_code == 1 and message in found.output, found.output
