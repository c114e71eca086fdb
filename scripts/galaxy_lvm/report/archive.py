"""A finished run as an RO-Crate: one zip with what it found, what it was made by, and checksums."""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from rocrate.rocrate import ROCrate

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import atomic_path

# Large, and made again from the config and the seed; unfinished work is nobody's result.
LEFT_OUT = ("data", "features", "state")
_PROVENANCE = Path("tables") / "provenance.json"
_LICENSE = "https://spdx.org/licenses/MIT"
_CHUNK_BYTES = 2**20


def sha256_of(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archived_files(run: str | os.PathLike, with_data: bool = False) -> Iterator[Path]:
    """Yield the files of a run that are archived, relative to it, in order."""
    run = Path(run)
    for path in sorted(run.rglob("*")):
        place = path.relative_to(run)
        if path.is_file() and (with_data or place.parts[0] not in LEFT_OUT):
            yield place


def write_archive(
    run: str | os.PathLike,
    environment: str | os.PathLike,
    archive: str | os.PathLike,
    with_data: bool = False,
) -> int:
    """Write a run as an RO-Crate, and read it back.

    Parameters
    ----------
    run
        Folder of a finished run, `results/NAME`.
    environment
        File of pinned packages.
    archive
        Zip to write; under its name only once it was read back without a fault.
    with_data
        Also archive galaxies, features and unfinished work.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    DataError
        If the run is not finished, or what was written is not what was read.
    """
    run, environment = Path(run), Path(environment)
    if not (run / _PROVENANCE).exists():
        raise DataError(f"{run / _PROVENANCE}: not there yet; run the workflow to its end first")
    crate = ROCrate()
    crate.name = f"galaxy-lvm, run {run.name}"
    crate.description = (
        f"Results of the run {run.name} of the workflow galaxy-lvm: tables, figures, metrics, "
        "predictions and weights, with the config, the environment and the report."
    )
    crate.license = _LICENSE
    files = {
        f"{run.name}/{place.as_posix()}": run / place for place in archived_files(run, with_data)
    }
    files[f"environment/{environment.name}"] = environment
    for name, path in files.items():
        about = {"name": name, "contentSize": str(path.stat().st_size), "sha256": sha256_of(path)}
        crate.add_file(path, dest_path=name, properties=about)
    with atomic_path(archive) as temporary:
        # The library adds the ending where it is missing.
        with tempfile.TemporaryDirectory(dir=Path(archive).parent) as folder:
            written = Path(folder) / "crate.zip"
            crate.write_zip(written)
            check_archive(written)
            written.replace(temporary)
    return len(files)


def check_archive(archive: str | os.PathLike) -> int:
    """Read a crate of `write_archive` and compare every file with its checksum.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    DataError
        If it is no RO-Crate, or a file is missing, unlisted or another one.
    """
    try:
        crate = ROCrate(archive)
    except (ValueError, zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{archive}: no RO-Crate ({error})") from error
    # Names stand in a crate as in an address.
    listed = {unquote(e.id): e.get("sha256") for e in crate.data_entities if e.type == "File"}
    with zipfile.ZipFile(archive) as packed:
        found = {name for name in packed.namelist() if not name.endswith("/")}
        unlisted = found - set(listed) - {"ro-crate-metadata.json"}
        if unlisted or set(listed) - found:
            wrong = sorted(unlisted | (set(listed) - found))
            raise DataError(f"{archive}: {wrong[0]!r} is not both packed and listed")
        for name, expected in listed.items():
            digest = hashlib.sha256()
            with packed.open(name) as file:
                while block := file.read(_CHUNK_BYTES):
                    digest.update(block)
            if digest.hexdigest() != expected:
                raise DataError(
                    f"{archive}: {name} is not the file that was archived; make it anew"
                )
    return len(listed)
