"""`load_encoder(...).embed(images)`: the vectors of the rules, and every image accounted for."""

import subprocess
import sys
from pathlib import Path

import cv2
import galaxy_lvm
import numpy as np
import pytest
from crop_cutouts import main as crop_cutouts
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.config.survey import Crop, Folder
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features.encoder import load_encoder
from galaxy_lvm.features.extract import extract_features
from galaxy_lvm.features.images import Reading, folder_images
from galaxy_lvm.features.store import FeatureStore, feature_writer
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.training.model_specs import model_specs
from PIL import Image
from small_images import galaxy, write_encoder, write_galaxies

N = 6


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "micro.safetensors"
    write_encoder(path)
    return path


@pytest.fixture(scope="module")
def encoder(weights):
    return load_encoder(weights, reading=Reading(cores=2), batch_size=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("images")
    write_galaxies(place, N, side=80)
    write_galaxies(place / "more", 1, side=130)
    return place


def test_the_vectors_are_those_of_the_rules(weights, encoder, folder, tmp_path):
    """Import, crop and extraction of the workflow, on the same files of different sizes."""
    names = [*(f"g{i}.png" for i in range(N)), "more/g0.png"]
    (tmp_path / "t.csv").write_text("id,file,label\n" + "".join(f"{n},{n},\n" for n in names))
    import_images(folder, tmp_path / "t.csv", tmp_path / "cutouts.h5", Folder())
    crop_cutouts(tmp_path / "cutouts.h5", tmp_path / "crops.h5", tmp_path / "r.csv", Crop())
    spec = model_specs([{"model": "lvm_frozen"}])[0]
    how = Features(view_side_pix=64, n_orientations=4)
    path = tmp_path / "lvm.npy"
    extract_features(tmp_path / "crops.h5", spec, weights, path, tmp_path / "state", 1, how)
    found = encoder.embed(folder)
    assert list(found.table["id"]) == names
    expected = FeatureStore.open(path).take(names)
    np.testing.assert_allclose(found.features, expected, rtol=1e-4, atol=1e-5)
    assert found.features.dtype == np.float32 and found.features.shape == (N + 1, encoder.dim)
    assert found.skipped.empty


def test_paths_and_arrays_give_the_vectors_of_the_folder(encoder, folder):
    paths = [folder / f"g{i}.png" for i in range(N)]
    listed = encoder.embed(paths)
    assert list(listed.table["id"]) == [str(path) for path in paths]
    images = np.stack([cv2.imread(str(path))[..., ::-1] for path in paths])
    from_arrays = encoder.embed(images)
    np.testing.assert_allclose(listed.features, from_arrays.features, rtol=1e-4, atol=1e-5)
    assert np.asarray(from_arrays).shape == (N, encoder.dim)
    assert list(from_arrays.table["id"]) == [str(i) for i in range(N)]
    # A crop that is cut again is another image.
    assert not np.allclose(encoder.embed(images, crop=False).features, from_arrays.features)


def test_threads_and_chunks_change_nothing(weights, folder, monkeypatch):
    from galaxy_lvm.features import images

    one = load_encoder(weights, reading=Reading(cores=1)).embed(folder)
    original = images.FileImages.chunks
    monkeypatch.setattr(images.FileImages, "chunks", lambda self, size=2: original(self, 2))
    many = load_encoder(weights, reading=Reading(cores=3), batch_size=1).embed(folder)
    np.testing.assert_allclose(one.features, many.features, rtol=1e-4, atol=1e-5)
    assert one.table.equals(many.table)


def test_a_bad_file_is_listed_and_stops_nobody(encoder, tmp_path):
    write_galaxies(tmp_path, 2)
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff half a picture")
    Image.fromarray(galaxy(3)[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(galaxy(3, side=12)).save(tmp_path / "tiny.png")
    Image.fromarray(np.full((40, 40, 3), 30, np.uint8)).save(tmp_path / "flat.png")
    (tmp_path / "link.png").symlink_to("nowhere.png")
    (tmp_path / "notes.txt").write_text("no image")
    found = encoder.embed(tmp_path)
    assert list(found.table["id"]) == ["g0.png", "g1.png"] and len(found) == 2
    reasons = dict(zip(found.skipped["id"], found.skipped["reason"], strict=True))
    expected = {
        "cut.jpg": "cannot be decoded",
        "grey.png": "has one channel",
        "tiny.png": "12 x 12 pixels",
        "flat.png": "is blank",
        "link.png": "link to a file that is not there",
    }
    assert reasons.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in reasons[name]
    assert all(Path(file).parent == tmp_path for file in found.skipped["file"])


def test_small_images_are_enlarged_and_huge_ones_reduced(encoder, tmp_path):
    write_galaxies(tmp_path, 1, side=24)
    huge = cv2.resize(galaxy(0, side=96), (10_000, 10_000), interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(tmp_path / "huge.jpg"), huge)
    found = encoder.embed(tmp_path).table.set_index("id")
    assert found.loc["huge.jpg", "width_pix"] == 10_000
    assert found.loc["g0.png", "width_pix"] == 24
    folder = Folder(max_picture_megapixels=50)
    limited = load_encoder(encoder.path, reading=Reading(folder)).embed(tmp_path)
    assert "100 megapixels, more than max_picture_megapixels" in limited.skipped["reason"].iloc[0]
    assert list(limited.table["id"]) == ["g0.png"]


def test_a_folder_without_a_readable_image_is_refused_with_reasons(encoder, tmp_path):
    with pytest.raises(DataError, match="no such folder of images"):
        encoder.embed(tmp_path / "none")
    with pytest.raises(DataError, match="There is no JPEG, PNG or FITS file"):
        encoder.embed(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"none of 1 images can be used\..*a\.png: cannot be dec"):
        encoder.embed(tmp_path)
    with pytest.raises(DataError, match=r"the list: no image that can be read.*gone\.png"):
        encoder.embed([tmp_path / "gone.png"])


def test_both_kinds_of_files_are_never_mixed(tmp_path):
    write_galaxies(tmp_path, 1)
    (tmp_path / "f.fits").write_bytes(b"SIMPLE")
    with pytest.raises(DataError, match=r"1 FITS and 1 JPEG or PNG files.*--kind"):
        folder_images(tmp_path, Reading())
    source = folder_images(tmp_path, Reading(), kind="image")
    assert list(source.paths) == ["g0.png"]
    assert [line["id"] for line in source.skipped] == ["f.fits"]


def test_lists_name_what_is_given_twice_or_no_image(encoder, folder, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    twice = [folder / "g0.png", folder / "more" / ".." / "g0.png", tmp_path / "notes.txt"]
    found = encoder.embed(twice)
    assert len(found) == 1
    assert ["given twice" in r or "of type '.txt'" in r for r in found.skipped["reason"]] == [1, 1]


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 40, 40), np.uint8), np.zeros((2, 40, 40, 1), np.uint8),
        np.zeros((2, 40, 40, 3)), np.zeros((2, 8, 8, 3), np.uint8), np.zeros((0, 40, 40, 3), "u1"),
    ],
)  # fmt: skip
def test_arrays_of_another_kind_are_refused(encoder, images):
    with pytest.raises(DataError, match=r"images: .*(uint8 \(N, H, W, 3\)|16 x 16 pixels)"):
        encoder.embed(images)


def test_blank_arrays_are_skipped_by_their_place(encoder):
    images = np.stack([galaxy(0), np.zeros_like(galaxy(0)), galaxy(1)])
    found = encoder.embed(images)
    assert list(found.table["id"]) == ["0", "2"] and list(found.skipped["id"]) == ["1"]


def test_views_come_from_the_card_unless_asked_for(tmp_path):
    card = {"features": {"view_side_pix": 32, "n_orientations": 1}, "crop": {"margin": 1.5}}
    path = tmp_path / "w.safetensors"
    write_encoder(path, card=card)
    encoder = load_encoder(path)
    assert (encoder.settings.view_side_pix, encoder.settings.n_orientations) == (32, 1)
    assert encoder.reading.crop.margin == 1.5
    assert load_encoder(path, n_orientations=8).settings.n_orientations == 8
    with pytest.raises(ConfigError, match="view_side_pix: 40 is no multiple of 16"):
        load_encoder(path, view_side_pix=40)
    write_encoder(path, card={"features": {"view_side_pix": "wide"}})
    with pytest.raises(ConfigError, match=r"w\.json, or what was asked for: .*view_side_pix"):
        load_encoder(path)


def test_a_features_file_may_grow_to_any_length(tmp_path):
    values = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    with feature_writer(tmp_path / "f.npy", 3) as append:
        append(values[:4], list("abcd"))
        append(values[4:], list("efg"))
    store = FeatureStore.open(tmp_path / "f.npy")
    assert np.array_equal(store.values, values) and list(store.ids) == list("abcdefg")
    with (
        pytest.raises(DataError, match="expected D = 3"),
        feature_writer(tmp_path / "g.npy", 3) as append,
    ):
        append(values[:, :2], list("abcdefg"))
    assert not (tmp_path / "g.npy").exists()


def test_the_import_of_the_package_is_cheap():
    code = (
        "import sys, galaxy_lvm; print('torch' in sys.modules, 'load_encoder' in dir(galaxy_lvm))"
    )
    scripts = Path(galaxy_lvm.__file__).parents[1]
    command = [sys.executable, "-c", code]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(scripts)}
    )
    assert found.stdout.split() == ["False", "True"]
    assert galaxy_lvm.load_encoder is load_encoder
    with pytest.raises(AttributeError, match="no attribute 'load_decoder'"):
        galaxy_lvm.load_decoder  # noqa: B018
