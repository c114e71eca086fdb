"""Users' tables as text, so that every value can be quoted as it was written."""

from pathlib import Path

import pandas as pd


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a CSV, or a TSV (.tsv, .tab), with all values as text.

    Row n of the table is line n + 2 of the file. What pandas raises is the caller's to explain.
    """
    return pd.read_csv(
        path,
        sep="\t" if path.suffix.lower() in (".tsv", ".tab") else ",",
        dtype=str,
        keep_default_na=False,
        skip_blank_lines=False,  # keeps the line numbers right
        encoding="utf-8-sig",
    )
