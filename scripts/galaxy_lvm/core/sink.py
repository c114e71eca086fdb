"""A file for libraries that answer a full disk in their own words, or by ending the process."""

import io
import os
from typing import Any


class Sink(io.FileIO):
    """A new file that takes everything after an error; its writer comes to a regular end.

    The first error is kept in `error`, None while there is none: ask for it behind the writing.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__(path, "w+b")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Take the bytes; return their number."""
        left = memoryview(data).cast("B")
        n_bytes = len(left)
        try:
            while self.error is None and left:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return n_bytes

    def truncate(self, size: int | None = None) -> int:
        """Change the size of the file; return it."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self.tell() if size is None else size

    def close(self) -> None:
        """Close the file; `error` is known now if ever."""
        try:
            super().close()
        except OSError as error:  # some disks tell only now
            self.error = self.error or error
