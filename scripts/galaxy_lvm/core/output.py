"""The folder that a command writes into: never over files that are not its own."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.logs import log, logging_to
from galaxy_lvm.core.state import atomic_path

# Which files of a folder earlier commands wrote: those may be replaced.
RECORD = "galaxy-lvm.json"
LOG = "galaxy-lvm.log"


class Output:
    """Files of one subcommand.

    Parameters
    ----------
    folder
        Made where it is not there.
    names
        Files that will be written in it.
    own
        Files that are known to be galaxy-lvm's where no record says so.

    Raises
    ------
    DataError
        If one of them is there already and no earlier command wrote it.
    """

    def __init__(self, folder: Path, names: Sequence[str], own: Sequence[str] = ()) -> None:
        self.folder, self._names = folder, tuple(names)
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder}: is a file; name another folder with --output")
        known = self._recorded().union(own)
        planned = [LOG, *names]
        foreign = [name for name in planned if (folder / name).exists() and name not in known]
        if foreign:
            raise DataError(
                f"{folder / foreign[0]}: is there already and was not written by galaxy-lvm; move "
                "it away, or name another folder with --output"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / RECORD) as temporary:
            temporary.write_text(json.dumps({"files": sorted({*known, *planned})}) + "\n")

    def _recorded(self) -> set[str]:
        path = self.folder / RECORD
        if not path.exists():
            return set()
        try:
            return set(json.loads(path.read_text(encoding="utf-8"))["files"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}: no record of galaxy-lvm ({in_short(error)}); remove it and what it "
                "stood for, or name another folder with --output"
            ) from error

    def clear(self) -> None:
        """Remove the files of an earlier call that this one will write.

        To be called once all that was asked for is known to be there, before the first file is
        written: a call that then fails leaves no old results beside its own.
        """
        for name in self._names:
            path = self.folder / name
            if path.is_file() or path.is_symlink():
                path.unlink()

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @contextmanager
    def log(self) -> Iterator[None]:
        """Send records to the folder's log with times, and to the terminal without."""
        to_file = logging.FileHandler(self.folder / LOG, mode="w", encoding="utf-8")
        to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        to_terminal = logging.StreamHandler()
        to_terminal.setFormatter(logging.Formatter("%(message)s"))
        with logging_to(to_file, to_terminal):
            try:
                yield
            except Exception as error:
                # The terminal gets one line of it, the log where it came from.
                log.removeHandler(to_terminal)
                log.error("%s: %s", type(error).__name__, error, exc_info=True)
                raise
