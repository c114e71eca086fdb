"""Files of labels, as this version and older ones keep them, and who may open them."""

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from galaxy_lvm.hitl import store_file
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.ranker import RankerSettings
from galaxy_lvm.hitl.settings import SessionSettings
from galaxy_lvm.hitl.store import LabelStore

SCRIPTS = Path(__file__).parents[1] / "scripts"
NAMES = [f"g{i:04d}" for i in range(60)]
SMALL = SessionSettings(ranker=RankerSettings(hidden_dim=16, steps=3, n_components=8))
RANDOM = SessionSettings(rule="random")
NOBODY = 65534


def small_pool():
    features = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    return Pool(NAMES, features)


def fill(path, n=40):
    with LabelStore(path) as store:
        store.append(NAMES[:n], ["positive"] * n, "me", 0)
    return path


def ids(store):
    return store.current()["id"].tolist()


def copied(path, name="copy.sqlite"):
    return shutil.copy(path, path.parent / name)


@contextmanager
def as_colleague():
    """Let the rights of files count: root may do everything, so that root becomes nobody."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def start(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


class Older:
    """A store as older versions kept it: with a write-ahead log, here still open."""

    def __init__(self, path, n=40, all_outside=False):
        self.path = path
        self.raw = sqlite3.connect(path, isolation_level=None)
        if not all_outside:
            self._tables()
        self.raw.execute("PRAGMA journal_mode = WAL")
        self.raw.execute("PRAGMA wal_autocheckpoint = 0")
        if all_outside:
            self._tables()
        for name in NAMES[:n]:
            self.add(name)

    def _tables(self):
        self.raw.executescript(store_file._TABLES)
        self.raw.execute("PRAGMA user_version = 2")

    def add(self, name):
        self.raw.execute(
            "INSERT INTO labels (id, value, annotator, time, round, model_version, sequence) "
            "VALUES (?, 'positive', 'me', '2026-01-01', 0, '', 1)", (name,),
        )  # fmt: skip

    def left_by_a_kill(self, folder, wal=True):
        """Return what lies there after a kill, or after copying the one file."""
        folder.mkdir()
        shutil.copy(self.path, folder / "labels.sqlite")
        if wal:
            shutil.copy(f"{self.path}-wal", folder / "labels.sqlite-wal")
        return folder / "labels.sqlite"
