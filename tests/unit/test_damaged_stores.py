"""HDF5 stores, features and unfinished work whose files were damaged after they were written."""

import json
import os
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.store import FeatureStore, write_features
from galaxy_lvm.hitl.simulate import kept_result
from galaxy_lvm.lenses import search
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.fields import FieldStore, write_fields
from galaxy_lvm.survey.store import CutoutStore, CutoutWriter

IDS = [f"g{i}" for i in range(6)]


def pixels(*shape, kind=np.uint8):
    return np.random.default_rng(1).integers(0, 255, shape).astype(kind)


def cutouts(path):
    with h5py.File(path, "w") as file:
        images = pixels(6, 3, 16, 16, kind=np.float32)
        file.create_dataset("images", data=images, chunks=(1, 3, 16, 16), compression="gzip")
        file.create_dataset("id", data=IDS, dtype=h5py.string_dtype("utf-8"))
        file.create_dataset("flux", data=np.arange(6.0))


def crops(path):
    with h5py.File(path, "w") as file:
        images = pixels(6, 16, 16, 3)
        file.create_dataset("images", data=images, chunks=(1, 16, 16, 3), compression="gzip")
        file.create_dataset("id", data=IDS, dtype=h5py.string_dtype("utf-8"))
        file.create_dataset("box", data=np.zeros((6, 4), np.int32))


def fields(path):
    write_fields(path, pixels(6, 16, 16, 3), {"id": IDS, "split": ["test"] * 6}, [])
    with h5py.File(path, "a") as file:
        images = file["images"][:]
        del file["images"]
        file.create_dataset("images", data=images, chunks=(1, 16, 16, 3), compression="gzip")


def read_cutouts(path):
    with CutoutStore(path) as store:
        return store.catalogue()["id"].tolist(), store.attributes, store.images[0:6]


def read_crops(path):
    with CropStore(path) as store:
        blocks = np.concatenate(list(store.blocks(4)))
        assert np.array_equal(store.take(range(6)), blocks)
        return store.ids.tolist(), store.boxes, blocks


def read_fields(path):
    store = FieldStore(path)
    return store.columns["id"].tolist(), store.attributes, store.images(range(6))


STORES = pytest.mark.parametrize(
    ("write", "read"), [(cutouts, read_cutouts), (crops, read_crops), (fields, read_fields)]
)


@STORES
def test_images_that_cannot_be_unpacked_name_the_file(tmp_path, write, read):
    path = tmp_path / "x.h5"
    write(path)
    ids, _, images = read(path)
    assert ids == IDS and len(images) == 6
    with h5py.File(path) as file:
        offset = file["images"].id.get_chunk_info(3).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 10 : offset + 20] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.h5: 'images' is damaged .*again"):
        read(path)


@STORES
def test_other_things_in_the_file_are_no_columns_or_named(tmp_path, write, read):
    path = tmp_path / "x.h5"
    write(path)
    with h5py.File(path, "a") as file:
        file.create_group("provenance").create_dataset("run", data=np.arange(6))
        file.create_dataset("settings", data="{}")
        file["elsewhere"] = h5py.SoftLink("/provenance/run")
    assert read(path)[0] == IDS
    with h5py.File(path, "a") as file:
        del file["id"]
        file.create_dataset("id", data=np.array([b"\xff\xfe"] * 6, dtype="S2"))
    with pytest.raises(DataError, match=r"x\.h5: 'id' is missing or damaged .*again"):
        read(path)
    with h5py.File(path, "a") as file:
        del file["images"]
        file.create_group("images")
    with pytest.raises(DataError, match=r"x\.h5: .*images"):
        read(path)
    with h5py.File(path, "a") as file:
        file["broken"] = h5py.ExternalLink("not_there.h5", "/x")
    with pytest.raises(DataError, match=r"x\.h5: is damaged"):
        read(path)


@STORES
def test_a_cut_file_is_named(tmp_path, write, read):
    path, rng = tmp_path / "x.h5", random.Random(2)
    write(path)
    whole = path.read_bytes()
    for _ in range(20):
        path.write_bytes(whole[: rng.randrange(len(whole))])
        with pytest.raises(DataError, match=r"x\.h5: "):
            read(path)


def test_damaged_features_and_ids_name_their_file(tmp_path):
    path, rng = tmp_path / "lvm.npy", random.Random(4)
    write_features(path, np.ones((6, 4), np.float32), IDS, range(6))
    for name in ("lvm.npy", "lvm.parquet"):
        whole = (tmp_path / name).read_bytes()
        for turn in range(60):
            content = bytearray(whole)
            if turn % 2:
                del content[rng.randrange(len(whole)) :]
            elif name == "lvm.npy":  # the head; vectors have no checksum
                content[rng.randrange(70)] ^= 1 << rng.randrange(8)
            else:
                content[-1 - rng.randrange(len(whole) // 2)] ^= 1 << rng.randrange(8)
            (tmp_path / name).write_bytes(content)
            try:
                store = FeatureStore.open(path)
                _ = store.ids, store.index, store.take(store.ids[:2])
            except DataError as error:
                assert str(tmp_path) in str(error)
        (tmp_path / name).write_bytes(whole)
    np.savez(tmp_path / "a.npz", a=np.ones(2))
    (tmp_path / "a.npz").rename(path)
    with pytest.raises(DataError, match=r"lvm\.npy: damaged or not"):
        FeatureStore.open(path)


def test_a_damaged_repetition_is_made_again(tmp_path, caplog):
    assert kept_result(tmp_path, ["a"], lambda: {"auc": 1.0}) == {"auc": 1.0}
    (kept,) = tmp_path.iterdir()
    for content in (b"", b'{"auc": 1.', b"\xff\xfe"):
        kept.write_bytes(content)
        assert kept_result(tmp_path, ["a"], lambda: {"auc": 2.0}) == {"auc": 2.0}
        assert f"{kept}: damaged" in caplog.text
        caplog.clear()
    assert kept_result(tmp_path, ["a"], lambda: 1 / 0) == {"auc": 2.0}


def test_a_damaged_line_of_a_search_is_one_image_to_search_again(tmp_path, caplog):
    path = tmp_path / "found.jsonl"
    lines = [json.dumps({"name": f"{i}.fits", "version": "1", "rows": [{"i": i}]}) for i in "abcd"]
    lines[1] = lines[1].replace('"version"', '"vers')
    lines[2] = '{"name": "\udcff"'
    text = "".join(f"{line}\n" for line in lines) + '{"name": "e.fi'
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    done = search._read_state(path)
    assert list(done) == [("a.fits", "1"), ("d.fits", "1")]
    assert "line 2 is damaged" in caplog.text and "line 3 is damaged" in caplog.text
    assert search._read_state(path) == done and path.read_text().count("\n") == 2


FULL_DISK = """
    import os, resource, sys
    import numpy as np
    from galaxy_lvm.core.config.survey import Crop
    from galaxy_lvm.core.errors import DataError
    from galaxy_lvm.survey.fields import write_fields
    from galaxy_lvm.survey.store import CutoutWriter
    import crop_cutouts

    os.chdir(sys.argv[1])
    images = np.random.default_rng(0).random((64, 3, 64, 64)).astype(np.float32)
    ids = {"id": [f"g{i}" for i in range(64)]}

    def cutouts(path):
        with CutoutWriter(path, height_pix=64, width_pix=64) as writer:
            for i in range(64):
                writer.append(images[i : i + 1], {"id": [f"g{i}"]})

    def fields(path):
        columns = {**ids, "split": ["test"] * 64}
        write_fields(path, (images.transpose(0, 2, 3, 1) * 255).astype(np.uint8), columns, [])

    def crops(path):
        crop_cutouts.main("whole.h5", path, "rejected.csv", Crop())

    cutouts("whole.h5")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for limit in (100, 5_000, 100_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        for write in (cutouts, fields, crops):
            try:
                write(f"{write.__name__}.h5")
            except DataError as error:
                print(error, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    cutouts("cutouts.h5")  # room was made
"""


def test_a_disk_that_is_full_is_named_and_leaves_nothing(tmp_path):
    """HDF5 ended the process with a signal, and half a file stayed."""
    scripts = Path(__file__).parents[2] / "scripts"
    environment = {**os.environ, "PYTHONPATH": str(scripts), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    names = [line.split(": cannot be written (File too large); make room")[0] for line in lines]
    assert [Path(name).stem for name in names] == ["cutouts", "fields", "crops"] * 3
    assert {"cutouts.h5", "fields.h5", "fields.parquet", "crops.h5"} == set(names)
    left = {path.name for path in tmp_path.iterdir()} - {"fields.parquet", "rejected.csv"}
    assert left == {"whole.h5", "cutouts.h5"}
    assert len(CutoutStore(tmp_path / "cutouts.h5")) == 64


def test_an_error_of_the_writer_itself_is_no_full_disk(tmp_path):
    with pytest.raises(KeyError, match="mine"), CutoutWriter(tmp_path / "c.h5"):
        raise KeyError("mine")
    assert not list(tmp_path.iterdir())
