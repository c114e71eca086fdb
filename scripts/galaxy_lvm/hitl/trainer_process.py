"""A trainer in a process of its own: whoever answers people shares no interpreter with it.

NumPy gives way to other threads only between its calls; a page that is asked a hundred small things
a second would wait for each of them.
"""

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, BinaryIO

import numpy as np
from threadpoolctl import threadpool_limits

from galaxy_lvm.core.config.hitl import RankerSettings
from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.features.file_rows import FileRows
from galaxy_lvm.hitl.ranker import Features, Whitening
from galaxy_lvm.hitl.trainer import Trainer, components_in

# People come first: what the trainer gets is what the page leaves over.
_NICENESS = 10
_END_S = 5.0
_MOST_TEXT = 500


@dataclass(frozen=True)
class Measured:
    """What never changes of a pool: the whitening, who is usable (N,), and components (N, K)."""

    whitening: Whitening
    usable: np.ndarray
    components: np.ndarray


class TrainerProcess:
    """A `Trainer` in a process of its own; calls wait for it, from any thread.

    The components of the whole pool lie in a file without a name in the folder for temporary files
    (TMPDIR); both processes have it mapped. The process ends with its owner, also with one that is
    killed; one that was ended itself is started again by the next call, and taught again what it
    knew.

    Parameters
    ----------
    features
        Of the pool (N, D); the file of a memory map is opened there, an array is sent.
    settings
        Of the ranker.
    seed
        Of its first weights.
    n_threads
        Of its arithmetic.
    """

    def __init__(
        self, features: Features, settings: RankerSettings, seed: int, n_threads: int = 1
    ) -> None:
        self._about = (_sent(features), settings, seed, n_threads)
        self._lock = threading.Lock()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._line: Connection | None = None
        self._ready = False
        self._measured: Measured | None = None
        self._taught: tuple[np.ndarray, ...] = ()

    @property
    def is_warm(self) -> bool:
        """Whether all that never changes was measured."""
        return self._measured is not None

    @property
    def whitening(self) -> Whitening:
        """The map of the features that the ranker looks through."""
        return self._warm().whitening

    @property
    def usable(self) -> np.ndarray:
        """Whether the features of each galaxy are finite (N,)."""
        return self._warm().usable

    @property
    def components(self) -> np.ndarray:
        """The features through the whitening (N, K), mapped."""
        return self._warm().components

    def fit(self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Train anew, as `Trainer.fit`."""
        with self._lock:
            self._taught = ()  # what was known before is not what shall be learnt
            self._start()
            self._answer("fit", rows, labels, weights)
            self._taught = rows, labels, weights

    def scores(self) -> np.ndarray:
        """Return what the ranker says of the pool, as `Trainer.scores`."""
        return self._asked("scores")

    def score_of(self, features: Features) -> np.ndarray:
        """Return what the ranker says of other galaxies (M,), as `Trainer.score_of`."""
        return self._asked("score_of", np.asarray(features[:]))

    def close(self) -> None:
        """End the process, in the middle of what it does; whoever waits for it gets an error."""
        process = self._process
        if process is None:
            return
        process.terminate()
        process.join(_END_S)
        if process.is_alive():
            process.kill()
            process.join()

    def _warm(self) -> Measured:
        if self._measured is None:
            with self._lock:
                self._start()
        return self._measured

    def _asked(self, what: str, *about: Any) -> Any:
        with self._lock:
            self._start()
            return self._answer(what, *about)

    def _start(self) -> None:
        """See to it that there is a process that has measured the pool and knows what it did."""
        if self._process is not None and self._process.is_alive() and self._ready:
            return
        self.close()
        # Not a fork: the owner has threads, and may have locks that nobody would open there.
        context = multiprocessing.get_context("spawn")
        self._line, there = context.Pipe()
        self._ready = False
        self._process = context.Process(target=_work, args=(there, *self._about), daemon=True)
        self._process.start()
        there.close()
        whitening, usable = self._answer("measure")
        with os.fdopen(recv_handle(self._line), "rb") as file:
            kept = components_in(file, len(usable), whitening)
        self._measured = Measured(whitening, usable, kept)
        if self._taught:
            self._answer("fit", *self._taught)
        self._ready = True

    def _answer(self, what: str, *about: Any) -> Any:
        try:
            self._line.send((what, about))
            done, answer = self._line.recv()
        except (EOFError, OSError) as error:
            self._process.join(_END_S)
            code, self._process = self._process.exitcode, None
            raise DataError(
                f"the process that trains the model ended ({code}; -9 where the machine has no "
                "memory left); it is started again with the next label"
            ) from error
        if not done:
            raise DataError(answer)
        return answer


def _sent(features: Features) -> Features:
    """Return what stands for features in another process: their file, or all of them."""
    if isinstance(features, FileRows):
        return features
    path = getattr(features, "filename", None)
    return np.asarray(features[:]) if path is None else FileRows(str(path), features.shape)


def _work(
    line: Connection, features: Features, settings: RankerSettings, seed: int, n_threads: int
) -> None:
    """Answer what is asked, until nobody is there to ask."""
    # Ctrl+C is meant for the owner, who ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    trainer = Trainer(features, settings, seed)
    with threadpool_limits(n_threads):
        while True:
            try:
                what, about = line.recv()
                if what == "measure":
                    _measure(line, trainer)
                else:
                    line.send(_tried(getattr(trainer, what), *about))
            except (EOFError, BrokenPipeError, ConnectionResetError):
                return


def _tried(call: Callable[..., Any], *about: Any) -> tuple[bool, Any]:
    """Return whether it was done, with the result or what is wrong; whatever it is, it is told."""
    try:
        return True, call(*about)
    except Exception as error:
        return False, in_short(error, _MOST_TEXT)


def _measure(line: Connection, trainer: Trainer) -> None:
    """Send whitening and who is usable, and the open file in which the components lie."""
    with ExitStack() as files:
        done, made = _tried(_kept, trainer, files)
        if not done:
            line.send((False, made))
            return
        line.send((True, (trainer.whitening, trainer.usable)))
        send_handle(line, made.fileno(), os.getppid())


def _kept(trainer: Trainer, files: ExitStack) -> BinaryIO:
    file = files.enter_context(tempfile.TemporaryFile())
    trainer.keep_components(file)
    return file
