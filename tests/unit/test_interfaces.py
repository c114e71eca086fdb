"""Figure 9 without a browser, or with one that fails; its galaxies. A real one: tests/browser."""

import logging

import numpy as np
import plot_interfaces
import pytest
from galaxy_lvm.core.config.hitl import Place, Target
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.ui import picture
from galaxy_lvm.ui.workplace import a_target
from made_run import make_run
from PIL import Image


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("results"), n_galaxies=30)


def parts_of(run):
    return run / "features" / "galaxies" / "lvm.npy", run / "data" / "galaxies"


def test_without_a_browser_the_figure_says_so_and_shows_the_kept_picture(
    run, tmp_path, monkeypatch, caplog
):
    titles, draw = [], picture.draw_interfaces

    def drawn(pictures):
        titles.extend(title for title, _ in pictures)
        return draw(pictures)

    monkeypatch.setattr(plot_interfaces, "draw_interfaces", drawn)
    monkeypatch.setattr(picture, "_BROWSERS", ("no such browser",))
    Image.new("RGB", (40, 20), "red").save(tmp_path / "kept.png")
    features, data = parts_of(run)
    figure = tmp_path / "fig09.pdf"
    with caplog.at_level(logging.WARNING):
        plot_interfaces.main(features, data, Place(), "made", tmp_path / "kept.png", figure)
    assert figure.exists() and "picture that is kept" in caplog.text
    assert len(titles) == 1 and titles[0].startswith("no browser on this machine")
    shown = np.asarray(Image.open(figure.with_suffix(".png")).convert("RGB")).reshape(-1, 3)
    assert (shown == (255, 0, 0)).all(axis=1).mean() > 0.3


def test_a_browser_that_draws_nothing_is_told_of(tmp_path):
    for program in ("true", "false"):
        with pytest.raises(DataError, match="drew nothing|could not draw"):
            picture._drawn(program, "about:blank", (100, 100), tmp_path)


def test_its_target_is_the_first_that_the_pool_has(run):
    features, data = parts_of(run)
    place = a_target(features, data, Place())
    assert place.name == "face_on_spiral"
    assert (place.truth == (place.catalogue["label"] == "spiral").to_numpy()).all()
    nothing = Place(targets={"dragon": Target(where=({"column": "scales", "min": 1},))})
    assert a_target(features, data, nothing).name in place.classes()
