"""Tables written as text: their encoding, their separator, and the line of every row."""

import codecs
import csv
import io
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from galaxy_lvm.core.errors import DataError

log = logging.getLogger("galaxy_lvm.tables")

_SEPARATORS = (",", "\t", ";", "|")
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)  # a spreadsheet's own first line
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 4096

# The line that a row begins at, and its values.
Row = tuple[int, list[str]]


def decoded(content: bytes, path: Path) -> str:
    """Return the text of a table: UTF-8, or UTF-16 or UTF-32 as spreadsheets write it.

    Raises
    ------
    DataError
        For other encodings, of which none can be told from another, and for lines of NUL
        characters, which a crash leaves behind; those within a line are its row's affair.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    encoding = encoding or _unmarked(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}: line {line} is no UTF-8 (bytes {content[error.start : error.end]!r}); other "
            "encodings cannot be told apart: save the table as 'CSV UTF-8'"
        ) from error
    for number, line in enumerate(text.split("\n") if "\0" in text else [], start=1):
        if "\0" in line and not line.strip("\0 \r\t,;|"):
            raise DataError(f"{path}: line {number} holds a NUL character; the file is damaged")
    return text


def _unmarked(content: bytes) -> str:
    """Return the encoding of a text without a mark: UTF-16 shows by a zero in most pairs."""
    sample = content[:_SAMPLE_BYTES]
    for encoding, first in (("utf-16-be", 0), ("utf-16-le", 1)):
        zeros = sample[first::2].count(0)
        if len(sample) >= 8 and zeros > 0.4 * len(sample) and not len(content) % 2:
            return encoding
    return "utf-8"


def parse(
    text: str, path: Path, expected: Sequence[str] = (), separator: str | None = None
) -> tuple[list[str], list[Row]]:
    """Return the names of the columns and the rows of a table written as text.

    Lines that are empty, and those that begin with `#` between or above rows, are no rows; the
    latter are counted in the log. A header may stand behind a `#` if the table lacks another.

    Parameters
    ----------
    text
        Contents of the file.
    path
        Its name, for messages.
    expected
        Names that the header should have, in lower case: a comment that has them is the header.
    separator
        Found in the header where None.

    Raises
    ------
    DataError
        If the table is empty, has no separator, a row has more values than the header, or a double
        quote is never closed.
    """
    lines = _Lines(text)
    separator = lines.separator_line() or separator or _separator_of(lines, path)
    rows = _rows(lines, separator, path)
    try:
        number, header = next(rows)
    except StopIteration:
        raise DataError(
            f"{path}: not a readable CSV table: it is empty; the first line names the columns"
        ) from None
    names = [name.strip() for name in header]
    if any("\0" in name for name in names):
        raise DataError(f"{path}: line {number} holds a NUL character; the file is damaged")
    body = list(rows)
    behind = _commented_header(lines, separator, names, expected)
    if behind:
        body, names = [(number, header), *body], behind
    _check_widths(body, len(names), separator, path)
    if lines.skipped:
        count, first = len(lines.skipped), lines.skipped[0]
        log.info("%s: %d lines that begin with # are no rows (first: line %d)", path, count, first)
    return names, [(line, [*values[: len(names)]]) for line, values in body]


class _Lines:
    """Lines of a text for `csv.reader`, with their numbers; skips comments between records."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline=None).readlines()
        self._next = 0
        self.fresh = True  # whether a record begins with the next line
        self.first = 0
        self.skipped: list[int] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while self._next < len(self._lines):
            line = self._lines[self._next]
            self._next += 1
            if self.fresh and line.startswith("#"):
                self.skipped.append(self._next)
                continue
            if self.fresh:
                self.first, self.fresh = self._next, False
            return line
        raise StopIteration

    def line(self, number: int) -> str:
        return self._lines[number - 1]

    def separator_line(self) -> str | None:
        """Return the separator that the first line declares, and leave that line out."""
        found = _SEPARATOR_LINE.match(self._lines[0].rstrip("\n")) if self._lines else None
        self._next += bool(found)
        return found.group(1) if found else None

    def header(self) -> str:
        """Return the first line that is neither empty nor a comment."""
        return next((s for s in self._lines if s.strip() and not s.startswith("#")), "")


def _separator_of(lines: _Lines, path: Path) -> str:
    unquoted = re.sub(r'"[^"]*"', "", lines.header().strip("\n"))
    if unquoted.startswith("|") and unquoted.rstrip().endswith("|"):
        raise DataError(f"{path}: this is an IPAC or Markdown table; save the table as CSV")
    counts = {separator: unquoted.count(separator) for separator in _SEPARATORS}
    best = max(counts, key=counts.get)
    if not counts[best] and re.search(r"\S\s+\S", unquoted):
        raise DataError(
            f"{path}: the columns are separated by blanks ({unquoted[:60]!r}); save the table as "
            "CSV, with a comma between the values"
        )
    return best


def _rows(lines: _Lines, separator: str, path: Path) -> Iterator[Row]:
    # Strict: else a quote that is never closed swallows the rows behind it.
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        lines.fresh = True
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}: line {lines.first} cannot be read: {error}; a double quote is missing or "
                "one too many"
            ) from error
        if any(value.strip() for value in values):
            yield lines.first, values


def _commented_header(
    lines: _Lines, separator: str, names: list[str], expected: Sequence[str]
) -> list[str] | None:
    """Return the header that stands behind a `#`, if the first row is none and this is one."""
    if not expected or set(expected) & {name.lower() for name in names}:
        return None
    for number in lines.skipped:
        text = lines.line(number).lstrip("# ").strip()
        found = [name.strip() for name in next(csv.reader([text], delimiter=separator), [])]
        if len(found) == len(names) and set(expected) <= {name.lower() for name in found}:
            return found
    return None


def _check_widths(rows: list[Row], count: int, separator: str, path: Path) -> None:
    short = [line for line, values in rows if len(values) < count]
    for line, values in rows:
        if any(value.strip() for value in values[count:]):
            raise DataError(
                f"{path}: line {line} has {len(values)} values, the header names {count} columns; "
                f"name the others too, or put values that contain {separator!r} in double quotes"
            )
        values += [""] * (count - len(values))
    if short:
        text = "%s: %d rows have fewer values than the header (first: line %d); the rest is empty"
        log.warning(text, path, len(short), short[0])
