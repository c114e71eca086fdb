"""make archive: what is kept, and that a damaged crate is found."""

import json
import zipfile

import archive_run
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report.archive import check_archive, sha256_of, write_archive

FILES = {
    "tables/provenance.json": "{}",
    "tables/table1.csv": "model,accuracy\nlvm,0.7\n",
    "figures/fig05 few shot.pdf": "%PDF made up",
    "report.html": "<html></html>",
    "data/galaxies/cutouts.h5": "large",
    "state/unfinished.pt": "large",
    "models/lvm.safetensors": "weights",
}
KEPT = {f"demo/{name}" for name in FILES if not name.startswith(("data", "state"))}
KEPT |= {"environment/cpu.txt"}


@pytest.fixture
def run(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "demo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "cpu.txt").write_text("numpy==1.0\n")
    return tmp_path / "demo"


def archived(run, **options):
    archive = run.parent / "demo.crate.zip"
    write_archive(run, run.parent / "cpu.txt", archive, **options)
    return archive


def rewritten(archive, changes):
    """Write the zip again with some files changed, or left out where None."""
    with zipfile.ZipFile(archive) as old:
        content = {name: old.read(name) for name in old.namelist()} | changes
    with zipfile.ZipFile(archive, "w") as new:
        for name, data in content.items():
            if data is not None:
                new.writestr(name, data)
    return archive


def test_results_report_config_and_environment_are_kept_with_their_checksums(run):
    archive = archived(run)
    assert check_archive(archive) == len(KEPT)
    with zipfile.ZipFile(archive) as packed:
        metadata = json.loads(packed.read("ro-crate-metadata.json"))
    entities = {entity["@id"]: entity for entity in metadata["@graph"]}
    sums = {e["name"]: e["sha256"] for e in entities.values() if e["@type"] == "File"}
    assert set(sums) == KEPT
    assert sums["demo/tables/table1.csv"] == sha256_of(run / "tables" / "table1.csv")
    root = entities["./"]
    assert root["license"] and root["datePublished"] and "demo" in root["name"]
    assert len(root["hasPart"]) == len(KEPT)


def test_galaxies_are_kept_where_asked(run):
    with zipfile.ZipFile(archived(run, with_data=True)) as packed:
        assert "demo/data/galaxies/cutouts.h5" in packed.namelist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"demo/report.html": b"another"}, r"report\.html is not the file that was archived"),
        ({"demo/report.html": None}, r"report\.html"),
        ({"demo/added.txt": b"new"}, r"added\.txt' is not both packed and listed"),
        ({"ro-crate-metadata.json": None}, "no RO-Crate"),
    ],
)
def test_what_was_changed_is_found(run, changes, message):
    with pytest.raises(DataError, match=message):
        check_archive(rewritten(archived(run), changes))


def test_what_is_no_zip_is_named(tmp_path):
    (tmp_path / "a.zip").write_text("words")
    with pytest.raises(DataError, match="no RO-Crate"):
        check_archive(tmp_path / "a.zip")


def test_a_run_that_is_not_finished_is_refused(run):
    (run / "tables" / "provenance.json").unlink()
    with pytest.raises(DataError, match="run the workflow to its end first"):
        archived(run)
    assert not (run.parent / "demo.crate.zip").exists()


def test_the_command_says_where_the_archive_is(run, capsys):
    archive = run.parent / "a.zip"
    archive_run.main(str(run), str(archive), str(run.parent / "cpu.txt"))
    assert f"{archive}: {len(KEPT)} files" in capsys.readouterr().out
