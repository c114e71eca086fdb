"""Published catalogues: where they are, which file is the right one, and how to get it."""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.survey.remote import Pace, ServiceError, check_is_data, fetch

log = logging.getLogger("galaxy_lvm.sources")

_COLUMNS = ("name", "file", "version", "addresses", "size_mb", "checksum", "id_column", "columns",
            "reference", "found_in")  # fmt: skip
_DIGESTS = {"md5": 32, "sha256": 64}


@dataclass(frozen=True)
class Source:
    """A row of `config/sources.csv`; what is not published is empty."""

    name: str
    file: str
    version: str
    addresses: tuple[str, ...]
    """The authors' first, then mirrors."""
    size_mb: float | None
    """In 10^6 bytes, rounded as it is published."""
    checksum: str
    """`md5:` or `sha256:` and hexadecimal digits."""
    id_column: str
    """Column with the galaxies' names; empty where they have none."""
    columns: tuple[str, ...]
    """Names or patterns of the columns that are kept beside name and position."""
    reference: str
    found_in: str
    """Where address, size, checksum and columns were looked up."""

    def __str__(self) -> str:
        size = "" if self.size_mb is None else f", {self.size_mb:g} MB"
        return f"{self.name}: {self.version}{size}, {self.reference}\n  {self.addresses[0]}"


def read_sources(path: str | os.PathLike) -> dict[str, Source]:
    """Return the sources of a table by their names.

    Raises
    ------
    DataError
        If a column is missing, a name stands twice or a size or checksum is none, with the row.
    """
    table = load_table(Path(path))
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise DataError(f"{path}: no column {missing}; it has {list(table)}")
    sources: dict[str, Source] = {}
    for line, row in enumerate(table[list(_COLUMNS)].to_dict("records"), start=2):
        source = _source({key: str(value).strip() for key, value in row.items()}, path, line)
        if source.name in sources:
            raise DataError(f"{path}, line {line}: {source.name!r} stands twice; rename one")
        sources[source.name] = source
    return sources


def _source(row: dict[str, str], path: str | os.PathLike, line: int) -> Source:
    kind, _, digits = row["checksum"].partition(":")
    if row["checksum"] and len(digits) != _DIGESTS.get(kind, -1):
        raise DataError(
            f"{path}, line {line}: checksum {row['checksum']!r} is no md5: or sha256: with its "
            "digits; leave it empty where none is published"
        )
    try:
        size_mb = float(row["size_mb"]) if row["size_mb"] else None
    except ValueError as error:
        raise DataError(f"{path}, line {line}: size_mb {row['size_mb']!r} is no number") from error
    lists = {name: tuple(row[name].split()) for name in ("addresses", "columns")}
    return Source(**{**row, **lists, "size_mb": size_mb})


def check_file(path: str | os.PathLike, source: Source) -> None:
    """Compare a file with the checksum of its source, where one is published.

    Raises
    ------
    DataError
        If it is missing, or another file than the source's.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; give the path of {source.file or source.name}")
    if not source.checksum:
        log.warning("%s: nothing published tells whether it is whole (%s)", path, source.version)
        return
    kind, _, expected = source.checksum.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if found != expected:
        raise DataError(
            f"{path}: {kind} {found}, expected {expected} for {source.file} ({source.version}); it "
            f"was cut short or is another version: fetch it again from {source.addresses[0]}"
        )


def obtain(
    source: Source,
    folder: str | os.PathLike,
    settings: Service,
    transport: httpx.BaseTransport | None = None,
) -> Path:
    """Return the path of a source's file; it is fetched into a folder where it is not there yet.

    Parameters
    ----------
    source
        What to fetch; its addresses are asked one after the other.
    folder
        Where it is kept.
    settings
        Tries, pauses and rate of the requests.
    transport
        Takes the place of the network in tests.

    Raises
    ------
    DataError
        If it is no single file, or no address gives the right one.
    """
    if not source.file:
        raise DataError(
            f"{source.name} is no single file ({source.found_in}); get it from "
            f"{source.addresses[0]} and give its path"
        )
    path = Path(folder) / source.file
    if path.exists():
        check_file(path, source)
        return path
    problems = []
    timeout = settings.timeout_s
    with httpx.Client(timeout=timeout, follow_redirects=True, transport=transport) as client:
        for address in source.addresses:
            try:
                content = fetch(client, address, settings, Pace(settings.requests_per_second),
                                check=lambda body: _check_body(body, source))  # fmt: skip
            except DataError as error:
                problems.append(f"{address}: {error}")
                continue
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
            log.info("%s: %.1f MB from %s", path, len(content) / 1e6, address)
            return path
    raise DataError(_nowhere(source, problems))


def _check_body(content: bytes, source: Source) -> None:
    check_is_data(content)
    kind, _, expected = source.checksum.partition(":")
    if kind and hashlib.new(kind, content).hexdigest() != expected:
        raise ServiceError(f"{len(content)} bytes that are another file than {kind} {expected}")


def _nowhere(source: Source, problems: Sequence[str]) -> str:
    return (
        f"{source.file} could not be fetched: {'; '.join(problems)}. Fetch it by other means and "
        "give its path"
    )
