"""The long result tables that every table, figure and comparison is a view of."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.tables import load_table, save_table

COLUMNS = ("experiment", "task", "model", "condition", "seed", "metric", "value")
KEYS = COLUMNS[:-1]
PAPER_COLUMNS = ("item", "task", "model", "condition", "metric", "value")
PER_GALAXY_COLUMNS = ("task", "model", "condition", "seed", "id", "metric", "value")


def long_rows(
    experiment: str,
    task: str,
    model: str,
    condition: str,
    seed: int,
    metrics: Mapping[str, float],
) -> list[dict]:
    """Return one row of the long table for every metric."""
    head = {
        "experiment": experiment,
        "task": task,
        "model": model,
        "condition": condition,
        "seed": int(seed),
    }
    return [{**head, "metric": name, "value": float(value)} for name, value in metrics.items()]


def write_table(path_csv: str | os.PathLike, table: pd.DataFrame, page: str) -> None:
    """Write a table as CSV, and beside it, under the same name, the HTML page for readers."""
    save_table(path_csv, table)
    with atomic_path(Path(path_csv).with_suffix(".html")) as temporary:
        temporary.write_text(page, encoding="utf-8")


def write_results(
    path: str | os.PathLike, rows: Iterable[Mapping] | pd.DataFrame, may_be_empty: bool = False
) -> None:
    """Write a long table, sorted, under its name only once it is complete.

    Parameters
    ----------
    path
        CSV file.
    rows
        Rows with the columns of `COLUMNS`.
    may_be_empty
        Whether a table without any row is an answer.

    Raises
    ------
    DataError
        If there is no row (unless there may be none), a column is missing or unknown, a value is
        not finite, or two rows differ in nothing but their value.
    """
    table = pd.DataFrame(rows if isinstance(rows, pd.DataFrame) else list(rows))
    if table.empty and not may_be_empty:
        raise DataError(f"{path}: no result to write")
    table = table.reindex(columns=list(COLUMNS)) if table.empty else table
    _check_columns(table, COLUMNS, path)
    table = table[list(COLUMNS)].astype({"seed": int, "value": float})
    wrong = table[~np.isfinite(table["value"])]
    if len(wrong):
        raise DataError(f"{path}: a value is not finite: {_name(wrong.iloc[0])}")
    _refuse_duplicates(table, path)
    save_table(path, table.sort_values(list(KEYS)))


def read_results(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Read long tables, one or several, into one.

    Raises
    ------
    DataError
        If a file has other columns, a value that is no number, or the same result twice.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    tables = [_read_csv(path, COLUMNS) for path in paths]
    if not tables:
        raise DataError("no metrics file given")
    table = pd.concat(tables, ignore_index=True).astype({"seed": int})
    _refuse_duplicates(table, ", ".join(str(path) for path in paths))
    return table


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Average repeated seeds.

    Parameters
    ----------
    table
        Long table.

    Returns
    -------
    DataFrame
        One row per experiment, task, model, condition and metric: `mean`, `low95` and `high95`
        (Student's t interval of the mean over seeds; NaN for a single seed) and `n_seeds`.
    """
    keys = [name for name in KEYS if name != "seed"]
    grouped = table.groupby(keys, sort=True)["value"]
    summary = grouped.agg(mean="mean", n_seeds="count", sd="std").reset_index()
    n = summary["n_seeds"]
    # Student's t at 97.5 %; scipy.stats has it as well and takes half a second to import.
    quantile = special.stdtrit(np.maximum(n - 1, 1), 0.975)
    half = quantile * summary["sd"] / np.sqrt(n)
    summary["low95"], summary["high95"] = summary["mean"] - half, summary["mean"] + half
    return summary[[*keys, "mean", "low95", "high95", "n_seeds"]]


def paper_values(path: str | os.PathLike, item: str) -> pd.DataFrame:
    """Return the numbers that the paper prints for one item, for instance 'table2'.

    Raises
    ------
    DataError
        If the file has no such item.
    """
    table = _read_csv(path, PAPER_COLUMNS)
    chosen = table[table["item"] == item].reset_index(drop=True)
    if chosen.empty:
        raise DataError(f"{path}: no item {item!r}; it has {sorted(table['item'].unique())}")
    return chosen


def per_galaxy_rows(
    task: str, model: str, condition: str, seed: int, ids: Sequence[str], scores: pd.DataFrame
) -> pd.DataFrame:
    """Return the scores of single galaxies in long form, for comparisons in pairs.

    Parameters
    ----------
    task, model, condition, seed
        As in the long table of results.
    ids
        Identifier of every galaxy.
    scores
        One row per galaxy, one column per metric: those of `image_metrics`, or `accuracy` with 1
        where the class is right.
    """
    table = scores.assign(id=list(ids)).melt("id", var_name="metric")
    head = {"task": task, "model": model, "condition": condition, "seed": int(seed)}
    return table.assign(**head)[list(PER_GALAXY_COLUMNS)]


def write_per_galaxy(path: str | os.PathLike, tables: Iterable[pd.DataFrame]) -> None:
    """Write tables of `per_galaxy_rows` as one parquet file."""
    table = pd.concat(list(tables), ignore_index=True)
    _check_columns(table, PER_GALAXY_COLUMNS, path)
    save_table(path, table)


def read_per_galaxy(paths: Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Read files of `write_per_galaxy` into one table, empty where no file is given."""
    tables = [pd.DataFrame(columns=list(PER_GALAXY_COLUMNS))]
    for path in paths:
        table = load_table(path)
        _check_columns(table, PER_GALAXY_COLUMNS, path)
        tables.append(table)
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _read_csv(path: str | os.PathLike, columns: Sequence[str]) -> pd.DataFrame:
    # An empty condition is a value of its own, not a gap.
    table = load_table(path, numbers=("seed", "value"))
    _check_columns(table, columns, path)
    values = table["value"].astype(float)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        value = table["value"].iloc[wrong[0]]
        raise DataError(f"{path}: line {wrong[0] + 2}: value {value!r} is no number")
    return table.assign(value=values)


def _check_columns(table: pd.DataFrame, columns: Sequence[str], path: str | os.PathLike) -> None:
    missing, unknown = set(columns) - set(table), set(table) - set(columns)
    if missing or unknown:
        raise DataError(
            f"{path}: columns {list(table)}, expected {list(columns)}"
            + (f"; missing {sorted(missing)}" if missing else "")
        )


def _refuse_duplicates(table: pd.DataFrame, path: str | os.PathLike) -> None:
    twice = table[table.duplicated(list(KEYS))]
    if len(twice):
        raise DataError(f"{path}: the same result twice: {_name(twice.iloc[0])}")


def _name(row: pd.Series) -> str:
    return ", ".join(f"{key}={row[key]}" for key in KEYS)
