"""One long table out of parts, in the three forms that astronomers read, never whole in memory."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.fits_text import CARD, CARD_COMMENT, encoded
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.state import atomic_path

_BLOCK_BYTES = 2880
_READ_ROWS = 65536
# Arrow's type: FITS format, and the type of a value in the file.
_FORMATS = {
    pa.bool_(): ("L", "S1"),
    pa.int32(): ("J", ">i4"),
    pa.int64(): ("K", ">i8"),
    pa.float32(): ("E", ">f4"),
    pa.float64(): ("D", ">f8"),
}


def join_parts(
    parts: Sequence[Path],
    parquet: str | os.PathLike,
    csv_path: str | os.PathLike,
    fits_path: str | os.PathLike,
    about: Mapping[str, str],
    units: Mapping[str, str],
) -> int:
    """Write parquet files of one schema as one parquet, CSV and FITS table; return the rows.

    Parameters
    ----------
    parts
        Parquet files, in order. Texts, numbers, truth values; no gaps but NaN.
    parquet, csv_path, fits_path
        Files to write; each bears its name only once it is complete.
    about
        Facts on the table: metadata of the parquet file, cards of the FITS header.
    units
        Units of columns, for FITS.

    Raises
    ------
    DataError
        If there is no part, or a part has other columns.
    """
    if not parts:
        raise DataError(f"{parquet}: no part to join")
    schema = pq.read_schema(parts[0]).remove_metadata()
    widths, n_rows = _survey(parts, schema)
    kept = schema.with_metadata(dict(about))
    with ExitStack() as stack:
        names = [stack.enter_context(atomic_path(p)) for p in (parquet, csv_path, fits_path)]
        as_parquet = stack.enter_context(pq.ParquetWriter(names[0], kept))
        as_csv = stack.enter_context(csv.CSVWriter(names[1], schema))
        as_fits = stack.enter_context(open(names[2], "wb"))
        _write_head(as_fits, schema, widths, n_rows, about, units)
        for table in (table for part in parts for table in _blocks(part)):
            as_parquet.write_table(table.replace_schema_metadata(kept.metadata))
            as_csv.write_table(_with_gaps(table))
            as_fits.write(_records(table, widths).tobytes())
        as_fits.write(b"\0" * (-as_fits.tell() % _BLOCK_BYTES))
    return n_rows


def rows_at(file: pq.ParquetFile, rows: np.ndarray, columns: Sequence[str]) -> pa.Table:
    """Return rows (n,) of a file, in any order; only the groups that they lie in are read."""
    rows, first, places, parts = np.asarray(rows, np.int64), 0, [], []
    for number in range(file.metadata.num_row_groups):
        n = file.metadata.row_group(number).num_rows
        here = np.flatnonzero((rows >= first) & (rows < first + n))
        if len(here):
            parts.append(file.read_row_group(number, columns).take(rows[here] - first))
            places.append(here)
        first += n
    if sum(map(len, places)) != len(rows):
        raise IndexError(f"rows {rows.min()} to {rows.max()} of {first}")
    if not parts:
        return file.schema_arrow.empty_table().select(columns)
    return pa.concat_tables(parts).take(np.argsort(np.concatenate(places)))


def blocks_of(file: pq.ParquetFile, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows of a file, a block of them at a time."""
    for batch in file.iter_batches(_READ_ROWS, columns=columns and list(columns)):
        yield pa.Table.from_batches([batch])


def _blocks(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    for table in blocks_of(pq.ParquetFile(path), columns):
        yield table.replace_schema_metadata(None)


def _survey(parts: Sequence[Path], schema: pa.Schema) -> tuple[dict[str, int], int]:
    """Return the width in bytes of every text column, and the number of rows of all parts."""
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    widths, n_rows, n_escaped = dict.fromkeys(texts, 1), 0, 0
    for path in parts:
        if not pq.read_schema(path).remove_metadata().equals(schema):
            raise DataError(f"{path}: other columns than {parts[0]}; remove both, run it again")
        n_rows += pq.read_metadata(path).num_rows
        for name, table in ((name, table) for table in _blocks(path, texts) for name in texts):
            values = table[name].to_pylist()
            longest = max((len(encoded(value)) for value in values), default=1)
            widths[name] = max(widths[name], longest)
            n_escaped += sum(not value.isascii() for value in values)
    if n_escaped:
        log.warning("FITS takes plain letters only: %d texts are written with escapes", n_escaped)
    return widths, n_rows


def _with_gaps(table: pa.Table) -> pa.Table:
    """Return the table with empty cells where a number is not known."""
    for number, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            known = pc.invert(pc.is_nan(table[field.name]))
            gaps = pc.if_else(known, table[field.name], pa.scalar(None, field.type))
            table = table.set_column(number, field, gaps)
    return table


def _write_head(
    file,
    schema: pa.Schema,
    widths: Mapping[str, int],
    n_rows: int,
    about: Mapping[str, str],
    units: Mapping[str, str],
) -> None:
    from astropy.io import fits  # a third of a CPU second, which all that reads vectors saves

    columns = []
    for field in schema:
        form = f"{widths[field.name]}A" if field.name in widths else _FORMATS[field.type][0]
        name = encoded(field.name).decode()
        columns.append(fits.Column(name=name, format=form, unit=units.get(field.name)))
    header = fits.BinTableHDU.from_columns(columns, nrows=0).header
    header["NAXIS2"] = n_rows
    header[CARD] = True, CARD_COMMENT
    for key, value in about.items():
        header[f"HIERARCH {key}"] = encoded(value).decode()
    # Headers alone: the rows follow part by part.
    file.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
    file.write(header.tostring().encode("ascii"))


def _records(table: pa.Table, widths: Mapping[str, int]) -> np.ndarray:
    """Return rows as they stand in a FITS file: big-endian, texts padded, truth as T and F."""
    kinds = [
        (f"f{number}", f"S{widths[f.name]}" if f.name in widths else _FORMATS[f.type][1])
        for number, f in enumerate(table.schema)
    ]
    records = np.zeros(len(table), dtype=kinds)
    for number, field in enumerate(table.schema):
        values = table[field.name]
        if field.name in widths:
            values = [encoded(value) for value in values.to_pylist()]
        elif field.type == pa.bool_():
            values = np.where(values.to_numpy(), b"T", b"F")
        else:
            values = values.to_numpy()
        records[f"f{number}"] = values
    return records
