"""Files that make a language model and its words; no torch needed."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from galaxy_lvm.core.state import file_version

DESCRIPTION = "config.json"
# By transformers' names; a licence, README.md and how text would be generated change no number.
_STARTS = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "spiece")
_ENDS = (".safetensors", ".bin", ".model", ".index.json")


def language_files(folder: str | Path) -> list[Path]:
    """Return the files of a language model's folder that its numbers depend on, by name.

    Parameters
    ----------
    folder
        As `save_pretrained` of transformers writes it. Of one that is missing, or holds none, the
        description alone is named.
    """
    folder = Path(folder)
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    kept = [p for p in there if p.name.startswith(_STARTS) or p.name.endswith(_ENDS)]
    return [folder / DESCRIPTION, *(p for p in kept if p.is_file())]


def contents(files: Iterable[Path]) -> dict[str, str]:
    """Return a hash of each file's content by its name; read once as long as it stays as it is."""
    return {path.name: _hash(*file_version(path)) for path in files}


@lru_cache(maxsize=256)
def _hash(path: str, size: int, time_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
