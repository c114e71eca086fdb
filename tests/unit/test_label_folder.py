"""`galaxy-lvm label FOLDER`: embedded once, labelled on, whatever happens to the folder between."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from galaxy_lvm.cli.main import main
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features import images, kept_folder
from galaxy_lvm.features.encoder import load_encoder
from galaxy_lvm.features.images import Reading, folder_images
from galaxy_lvm.features.kept_folder import keep_folder
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.rejected import read_rejected
from galaxy_lvm.ui import start
from galaxy_lvm.ui.image_folder import open_folder
from galaxy_lvm.ui.images import Images
from small_images import galaxy, write_encoder, write_galaxies


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "micro.safetensors"
    write_encoder(path)
    return load_encoder(path, reading=Reading(cores=1))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_galaxies(tmp_path / "images", 5)
    return tmp_path / "images"


@pytest.fixture
def embedded(encoder, monkeypatch):
    """The numbers of images that were embedded, call by call."""
    counts, vectors = [], encoder.vectors

    def counted(crops):
        counts.append(len(crops))
        return vectors(crops)

    monkeypatch.setattr(encoder, "vectors", counted)
    return counts


def keep(encoder, folder):
    return keep_folder(encoder, folder_images(folder, encoder.reading), folder.parent / "out")


def vectors_of(kept):
    store = FeatureStore.open(kept.features)
    return dict(zip(store.ids, np.array(store.values), strict=True))


def change(path, seed, side=96):
    cv2.imwrite(str(path), galaxy(seed, side)[..., ::-1])


def test_only_what_is_new_or_changed_is_embedded(encoder, folder, embedded):
    first = keep(encoder, folder)
    before = vectors_of(first)
    assert embedded == [5] and first.n_new == 5
    expected = encoder.embed(folder)
    for name, vector in zip(expected.table["id"], expected.features, strict=True):
        np.testing.assert_allclose(before[name], vector, rtol=1e-4, atol=1e-5)
    embedded.clear()
    again = keep(encoder, folder)
    assert (embedded, again.n_new, again.path) == ([], 0, first.path)
    change(folder / "g1.png", 50)
    change(folder / "new.png", 51, side=200)  # larger: must not change how the others are read
    (folder / "g4.png").unlink()
    (folder / "bad.png").write_bytes(b"no picture")
    second = keep(encoder, folder)
    after = vectors_of(second)
    assert embedded == [2] and set(after) == {"g0.png", "g1.png", "g2.png", "g3.png", "new.png"}
    assert all(np.array_equal(after[f"g{n}.png"], before[f"g{n}.png"]) for n in (0, 2, 3))
    assert not np.allclose(after["g1.png"], before["g1.png"], atol=1e-3)
    assert list(read_rejected(second.skipped)["id"]) == ["bad.png"]
    with CropStore(second.crops) as crops:
        assert list(crops.ids) == sorted(after)
        there = folder_images(folder, encoder.reading).with_side(96)
        np.testing.assert_array_equal(crops[0], there.crops(["g0.png"])[0])
    assert [path.name for path in second.path.parent.iterdir()] == [second.path.name]


def test_a_kill_costs_one_chunk_at_most(encoder, folder, embedded, monkeypatch):
    monkeypatch.setattr(images, "CHUNK_IMAGES", 2)
    monkeypatch.setattr(images.FileImages.chunks, "__defaults__", (2,))
    save, saved = kept_folder.np.savez, []

    def killed(path, **arrays):
        if saved:
            raise KeyboardInterrupt
        saved.append(path)
        save(path, **arrays)

    monkeypatch.setattr(kept_folder.np, "savez", killed)
    with pytest.raises(KeyboardInterrupt):
        keep(encoder, folder)
    assert embedded == [2, 2]
    monkeypatch.setattr(kept_folder.np, "savez", save)
    embedded.clear()
    kept = keep(encoder, folder)
    assert embedded == [2, 1] and len(vectors_of(kept)) == 5
    assert not (folder.parent / "out" / "parts").exists()


def test_other_weights_make_all_vectors_anew(encoder, folder, tmp_path):
    keep(encoder, folder)
    write_encoder(tmp_path / "other.safetensors", card={"features": {"n_orientations": 2}})
    other = load_encoder(tmp_path / "other.safetensors", reading=Reading(cores=1))
    assert keep(other, folder).n_new == 5


def test_without_an_image_that_can_be_used_the_reasons_are_told(encoder, folder):
    for path in folder.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="none of 5 images can be used.*g0.png"):
        keep(encoder, folder)


def test_the_big_view_shows_the_whole_file(encoder, folder):
    write_galaxies(folder, 5, side=300)
    shown = Images(open_folder(keep(encoder, folder), "ring"))
    assert shown.crop(2).shape == (128, 128, 3) and shown.has_cutouts
    image, bands = shown.cutout(2)
    assert bands == ("red", "green", "blue")
    np.testing.assert_array_equal(image, cv2.imread(str(folder / "g2.png"))[..., ::-1])
    (folder / "g2.png").write_bytes(b"gone")
    with pytest.raises(DataError, match="g2.png: "):
        shown.cutout(2)
    shown.close()


@pytest.fixture
def label(encoder, folder, monkeypatch):
    """The command, with a person who labels instead of a server."""

    def run(*more, person=lambda labelling: None, weights=encoder.path):
        def serve(labelling, access, browser):
            try:
                person(labelling)
            finally:
                labelling.close()

        monkeypatch.setattr(start, "serve", serve)
        options = ["label", "images", "--encoder", weights, "--cores", 1, *more]
        return CliRunner().invoke(main, [str(option) for option in options])

    return run


def test_the_same_folder_again_goes_on_with_the_same_labels(label, folder, tmp_path):
    told = []

    def give(labelling):
        labelling.label("me", "g3.png", "positive")

    def look(labelling):
        told.append((len(labelling.pool), dict(labelling.current()[["id", "value"]].to_numpy())))

    first = label("--target", "ring galaxy", person=give)
    assert first.exit_code == 0 and "5 images, 5 embedded now" in first.output, first.output
    second = label("--target", "ring galaxy", person=look)
    assert second.exit_code == 0 and "5 images, 0 embedded now" in second.output, second.output
    change(folder / "h.png", 60)
    third = label("--target", "ring galaxy", person=look)
    assert third.exit_code == 0 and "6 images, 1 embedded now" in third.output, third.output
    assert label("--target", "bar", person=look).exit_code == 0
    assert told == [(5, {"g3.png": "positive"}), (6, {"g3.png": "positive"}), (6, {})]
    kept = {path.name for path in (tmp_path / "galaxy-lvm-label" / "labels").glob("*.sqlite")}
    assert kept == {"ring_galaxy.sqlite", "bar.sqlite"}


def test_other_features_under_the_labels_are_refused_until_they_are_meant(label, tmp_path):
    assert label("--target", "ring").exit_code == 0
    weights = tmp_path / "other.safetensors"
    write_encoder(weights, card={"features": {"n_orientations": 2}})
    refused = label("--target", "ring", weights=weights)
    assert refused.exit_code == 1 and "started with other features" in refused.output
    assert label("--target", "ring", "--new-features", weights=weights).exit_code == 0
    assert label("--target", "ring", weights=weights).exit_code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "say what you look for: --target"),
        (["--run", "demo"], "give either FOLDER or --run"),
        (["--target", "ring", "--host", "0.0.0.0"], "--token-file"),
        (["--target", "ring", "--set", "max_picture_megapixels=0.001"], "megapixels, more than"),
        (["--target", "ring", "--set", "scale=1"], "give KEY=VALUE, KEY one of"),
        (["--target", "ring", "--kind", "fits"], "no image that can be read"),
    ],
)
def test_what_cannot_be_started_is_one_sentence(label, options, words):
    found = label(*options)
    assert found.exit_code in (1, 2) and words in found.output and "Traceback" not in found.output


def test_what_cannot_be_read_is_not_counted_as_embedded(encoder, folder):
    for name in ("x.png", "y.png"):
        (folder / name).write_bytes(b"no image")
    kept = keep(encoder, folder)
    assert kept.n_new == 5 and len(read_rejected(kept.skipped)) == 2


@pytest.mark.parametrize("output", ["images", "."])
def test_results_are_not_written_over_the_folder_of_images(folder, output):
    done = CliRunner().invoke(main, ["embed", "images", "--output", output])
    assert done.exit_code != 0
    assert "images: results would be written into this folder or one above it" in done.output
