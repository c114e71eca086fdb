"""Outputs appear whole, and what killed processes left behind goes when the job starts again."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import atomic_path, writable_folder
from safetensors.torch import save_file

SCRIPTS = Path(__file__).parents[2] / "scripts"
WRITE_HALF = """
import sys, time
sys.path.insert(0, sys.argv[1])
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import atomic_path, writable_folder
with atomic_path(sys.argv[2]) as temporary:
    temporary.write_text("half")
    print("there", flush=True)
    time.sleep(60)
"""


def half_written(path):
    command = [sys.executable, "-c", WRITE_HALF, str(SCRIPTS), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "there\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a" / "out.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists() and temporary.suffix == ".csv"
    assert path.read_text() == "whole"
    with pytest.raises(ValueError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ValueError
    assert path.read_text() == "whole" and os.listdir(path.parent) == ["out.csv"]


def test_what_killed_processes_left_goes_at_the_next_start(tmp_path):
    path = tmp_path / "out.h5"
    for _ in range(2):
        kill(half_written(path))
        assert len(list(tmp_path.iterdir())) == 1
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
    assert os.listdir(tmp_path) == ["out.h5"]


def test_others_work_is_left_alone(tmp_path):
    path = tmp_path / "out.h5"
    living = half_written(path)
    try:
        own = next(tmp_path.iterdir()).name
        dead = own.replace(str(living.pid), "4194304")  # above the largest number of a process
        elsewhere = dead.replace(".out.", ".out.another-host-", 1)
        others = [elsewhere, dead.replace("out", "out2"), ".out.notes.h5", "out.4194304.h5"]
        for name in [dead, *others]:
            (tmp_path / name).write_text("half")
        with atomic_path(path) as temporary:
            temporary.write_text("whole")
        assert sorted(os.listdir(tmp_path)) == sorted([own, *others, "out.h5"])
    finally:
        kill(living)


def test_weights_can_be_read_by_those_who_can_read_tables(tmp_path):
    """safetensors writes files for their owner alone."""
    with open(tmp_path / "ordinary.csv", "w") as file:
        file.write("a\n")
    with atomic_path(tmp_path / "w.safetensors") as temporary:
        save_file({"a": torch.zeros(1)}, temporary)
    modes = [(tmp_path / name).stat().st_mode for name in ("ordinary.csv", "w.safetensors")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_takes_nothing_is_named_before_there_is_work_to_lose(
    tmp_path, monkeypatch, exists
):
    """As on a disk that is mounted read-only; root may write into any other."""
    folder = tmp_path / "state"

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))

    if exists:
        folder.mkdir()
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    else:
        monkeypatch.setattr(Path, "mkdir", refuse)
    said = f"{folder}: cannot be written .*see to the rights of the folder and its disk, or move"
    with pytest.raises(DataError, match=said):
        writable_folder(folder)
    with pytest.raises(DataError, match=said), atomic_path(folder / "out.csv"):
        pytest.fail("nothing can be written")
