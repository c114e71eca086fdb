"""Contact sheets and the style sheet's way to save."""

import numpy as np
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report import style
from galaxy_lvm.survey.contact_sheet import choose_by_class, contact_sheet, image_grid
from galaxy_lvm.survey.store import CutoutStore, CutoutWriter


@pytest.mark.parametrize("rgb", [True, False])
def test_sheet_has_one_row_a_class(tmp_path, rgb: bool) -> None:
    shape = (6, 20, 20, 3) if rgb else (6, 3, 20, 20)
    images = np.full(shape, 90) if rgb else np.full(shape, 0.1)
    labels = ["spiral", "elliptical", "spiral", "spiral", "elliptical", "comet"]
    with CutoutWriter(tmp_path / "c.h5", rgb=rgb, height_pix=20, width_pix=20) as writer:
        writer.append(images, {"id": list("abcdef"), "label": labels, "redshift": [0.1] * 6})
    with CutoutStore(tmp_path / "c.h5") as store:
        chosen = choose_by_class(store.catalogue(), 2, seed=1)
        assert list(chosen) == ["elliptical", "spiral", "comet"]
        assert [len(rows) for rows in chosen.values()] == [2, 2, 1]
        fig = contact_sheet(store, n_per_class=2, seed=1)
    assert len(fig.axes) == 6
    assert [len(axes.images) for axes in fig.axes] == [1, 1, 1, 1, 1, 0]
    assert [axes.get_ylabel() for axes in fig.axes[::2]] == ["Elliptical", "Spiral", "comet"]
    texts = {text.get_text() for text in fig.axes[0].texts}
    assert "z 0.10" in texts and texts & {"b", "e"}
    style.save(fig, tmp_path / "figures" / "sheet.pdf")
    assert (tmp_path / "figures" / "sheet.pdf").read_bytes()[:4] == b"%PDF"
    assert (tmp_path / "figures" / "sheet.png").read_bytes()[1:4] == b"PNG"


def test_unlabelled_store_is_one_row(tmp_path) -> None:
    with CutoutWriter(tmp_path / "c.h5", rgb=True, height_pix=8, width_pix=8) as writer:
        writer.append(np.zeros((3, 8, 8, 3)), {"id": list("abc"), "label": [""] * 3})
    with CutoutStore(tmp_path / "c.h5") as store:
        chosen = choose_by_class(store.catalogue(), 5, seed=0)
    assert {name: rows.tolist() for name, rows in chosen.items()} == {"": [0, 1, 2]}


def test_grid_refuses_what_is_no_picture() -> None:
    with pytest.raises(DataError, match="image 0"):
        image_grid([np.zeros((8, 8, 3), np.float32)], 1)
    with pytest.raises(DataError, match="no images"):
        image_grid([], 1)


def test_figures_are_named_pdf(tmp_path) -> None:
    fig, _ = style.figure()
    with pytest.raises(ValueError, match="pdf"):
        style.save(fig, tmp_path / "a.png")
