"""Images that changed are imported again: they belong to the rule as its table does."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from galaxy_lvm.survey.image_state import images_state, is_own
from PIL import Image

ROOT = Path(__file__).parents[2]
TARGET = "results/folder/data/galaxies/cutouts.h5"
GREY = np.full((64, 64, 3), 80, np.uint8)


def snakemake(folder, data_dir, *options):
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1",
        "--directory", str(folder), "--configfile", str(ROOT / "config" / "folder.yaml"),
        "--config", f"data_dir={data_dir}", *options, "--", TARGET,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.mark.workflow
def test_a_repaired_image_is_imported_again(tmp_path):
    """snakemake#2011: "Nothing to be done", although the list of rejections said: save it again."""
    data = tmp_path / "mine"
    data.mkdir()
    for name in "ab":
        Image.fromarray(GREY).save(data / f"{name}.png")
    whole = (data / "b.png").read_bytes()
    (data / "b.png").write_bytes(whole[:60])
    (data / "labels.csv").write_text("id,file,label\na,a.png,x\nb,b.png,y\n")
    snakemake(tmp_path, data)
    rejected = tmp_path / "results/folder/data/galaxies/rejected_import.csv"
    assert "b.png" in rejected.read_text()
    assert "Nothing to be done" in snakemake(tmp_path, data)
    (data / "b.png").write_bytes(whole)
    snakemake(tmp_path, data)
    with h5py.File(tmp_path / TARGET) as file:
        assert file["id"].asstr()[:].tolist() == ["a", "b"]
    assert "b.png" not in rejected.read_text()


@pytest.fixture
def folder(tmp_path):
    """An image in a sub-folder, a table and a file of another kind."""
    (tmp_path / "mine" / "sub").mkdir(parents=True)
    Image.fromarray(GREY).save(tmp_path / "mine" / "sub" / "a.png")
    (tmp_path / "mine" / "notes.txt").write_text("x")
    (tmp_path / "mine" / "labels.csv").write_text("id,file,label\na,sub/a.png,x\n")
    return tmp_path / "mine"


def state(folder):
    images_state.cache_clear()
    return images_state(str(folder), str(folder / "labels.csv"), "file")


def test_the_state_follows_every_image_and_nothing_else(folder):
    image = folder / "sub" / "a.png"
    seen = [state(folder)]
    (folder / "notes.txt").write_text("longer than before")
    assert state(folder) == seen[0]
    os.utime(image, ns=(0, image.stat().st_mtime_ns + 1))  # the same size, another time
    seen.append(state(folder))
    Image.fromarray(GREY[:32]).save(image)
    seen.append(state(folder))
    (folder / "new.FITS").write_bytes(b"x")
    seen.append(state(folder))
    image.rename(folder / "b.png")
    seen.append(state(folder))
    (folder / "b.png").unlink()
    seen.append(state(folder))
    assert len(set(seen)) == len(seen)
    assert state(folder / "none") == ""


def test_images_outside_of_the_folder_and_behind_links_belong_to_it(folder, tmp_path):
    (tmp_path / "else").mkdir()
    far, linked = tmp_path / "far.png", tmp_path / "else" / "c.png"
    for path in (far, linked):
        Image.fromarray(GREY).save(path)
    (folder / "link").symlink_to(tmp_path / "else")
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "labels.csv").write_text(f"id,file,label\na,../far.png,x\nb,{far},y\n")
    seen = [state(folder)]
    for path in (far, linked):
        Image.fromarray(GREY[:40]).save(path)
        seen.append(state(folder))
    assert len(set(seen)) == 3


def test_figures_of_the_run_are_no_images_of_the_user(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = state(folder)
    (folder / "results" / "folder").mkdir(parents=True)
    Image.fromarray(GREY).save(folder / "results" / "folder" / "fig.png")
    assert state(folder) == before
    assert is_own(os.path.realpath(folder / "results" / "folder" / "fig.png"))
    assert not is_own(os.path.realpath(folder / "results.png"))
