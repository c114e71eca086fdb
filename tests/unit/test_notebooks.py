"""The notebooks for users: their cells run as they stand, and no output is kept in them."""

import pytest
from galaxy_lvm.core import encoder_files
from galaxy_lvm.core.tables import load_table
from notebook_cells import NOTEBOOKS, code_cells, run_cells
from small_images import write_encoder, write_galaxies


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, with small weights as the released ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(encoder_files, "_PLACES", (tmp_path / "weights",))
    write_encoder(tmp_path / "weights" / "released.safetensors")
    return tmp_path


@pytest.mark.parametrize("name", [path.name for path in sorted(NOTEBOOKS.glob("*.ipynb"))])
def test_outputs_are_stripped(name):
    cells = code_cells(name)
    assert len(cells) >= 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.parametrize("own", [False, True], ids=["simulated images", "a folder of one's own"])
def test_own_images(own, here):
    if own:
        write_galaxies(here / "my_images", 6)
    names = run_cells("own_images.ipynb")
    n = 6 if own else 12
    assert names["found"].features.shape == (n, names["encoder"].dim)
    assert names["found"].skipped.empty
    assert names["nearest"][0] == 0 and len(set(names["nearest"].tolist())) == 5


def test_the_human_in_the_loop(here):
    write_galaxies(here / "my_images", 12)
    names = run_cells("hitl.ipynb")
    table = load_table(here / "labels.csv")
    assert list(table["id"]) == names["first"][:3]
    assert list(table["label"]) == ["positive", "positive", "negative"]
    assert names["made"]["n_images"] == 3 and len(names["first"]) == 8
    assert (here / "galaxy-lvm-label" / "labels" / "spiral.sqlite").is_file()


def test_spectra_of_simulated_stars(here):
    names = run_cells("spectra.ipynb")
    errors = names["floors"].pivot(index="label", columns="model", values="mae")
    assert set(errors.index) == {"teff", "logg", "fe_h"}
    # Spectra tell temperatures: every method that reads them beats the mean by far.
    assert (
        errors.loc["teff", ["ridge", "neighbours", "quadratic"]] < errors["mean"]["teff"] / 2
    ).all()
    assert len(names["parts"].train) > len(names["parts"].test) > 0
    assert names["drawn"].endswith("is not there yet")
