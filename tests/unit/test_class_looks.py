"""Labels as users write them: every figure shows each, told apart, and nothing is mathematics."""

import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.hitl import Targets
from galaxy_lvm.core.config.schemes import Condition
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.features.neighbour_figures import draw_map, draw_similar, thumbnail_rows
from galaxy_lvm.features.outlier_figures import draw_unusual
from galaxy_lvm.fewshot.figures import draw_confusions
from galaxy_lvm.hitl.figures import draw_searches, draw_targets
from galaxy_lvm.hitl.pools import resolve_targets, truth_of
from galaxy_lvm.multitask.disagreement_figure import draw_disagreements
from galaxy_lvm.multitask.reconstruction_figure import RestoredExample, draw_restoration
from galaxy_lvm.multitask.training_figures import draw_classification
from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_looks, class_texts, drawn, fitting, shortened
from galaxy_lvm.report.labels import STRATEGY_NAMES
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.report.tables import aligned
from galaxy_lvm.survey.classes import holds
from galaxy_lvm.survey.contact_sheet import image_grid
from galaxy_lvm.survey.crop_pairs import crop_pairs
from plot_hitl_discovery import main as plot_hitl_discovery
from simulate_discovery import targets_table

LIBRARY = Path(__file__).parents[2] / "scripts" / "galaxy_lvm"
LABELS = ["E/S0", "S$_b$", "_merger", "Spiral", "spiral", "nan", "None", "0", "1", "a,b", "50%"]
LABELS += [
    "x^2{",
    "$5",
    "<b>bold</b>",
    "ring | bar",
    "星系",
    "galaxy\tof",
    "long " * 20,
    "long " * 19,
]
IMAGE = np.zeros((128, 128, 3), np.uint8)
FEW = ["0", "S$_b$", "nan", "_merger"]
N = len(LABELS)
SCORES = {"asked_precision": 0.5, "found": 0.5, "aupr": 0.5, "n_labels": 4.0}


def texts_of(fig):
    """Everything that the figure writes, as it is seen; drawing it must not warn or fail."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fig.canvas.draw()
    found = [text.get_text() for text in fig.findobj(plt.Text) if text.get_visible()]
    for text in found:
        assert not len(re.findall(r"(?<!\\)\$", text)) >= 2, text
    plt.close(fig)
    return " ".join(found).replace(r"\$", "$").replace("\u200b", "")


def seen(name, longest=28):
    """How a class is seen in a figure with all of `LABELS`."""
    return drawn(class_texts(LABELS, longest=longest)[name]).replace(r"\$", "$").lstrip("\u200b")


def test_texts_are_all_different_and_known_classes_readable():
    texts = class_texts(LABELS)
    assert len(set(texts.values())) == N
    assert texts["Spiral"] == "Spiral" and texts["spiral"] == "spiral"  # both as written
    assert class_texts(["spiral", "edge_on", ""]) == {
        "spiral": "Spiral", "edge_on": "Edge-on", "": "no class",
    }  # fmt: skip
    assert max(map(len, texts.values())) <= 28 + len(" (2)")
    assert len(set(class_texts(["a b", "a  b", " ", ""]).values())) == 4


def test_drawn_texts_are_what_they_are():
    assert drawn("S$_b$") == r"S\$_b\$" and drawn("_x").lstrip("\u200b") == "_x"
    assert drawn("\x07") == "\\u0007" and drawn("é → x") == "é → x"
    assert shortened("0123456789", 5) == "01…89"


def test_twenty_classes_differ_in_colour_or_marker():
    looks = class_looks([f"class {i}" for i in range(20)] + ["spiral", "other", None, ""])
    pairs = {(look.colour, look.marker) for look in looks.values()}
    assert len(pairs) == len(looks) == 23 and list(looks)[-1] == ""
    frames = {(look.colour, look.line) for look in looks.values()}
    assert len(frames) == len(looks)
    assert class_looks(["spiral"])["spiral"].colour == looks["spiral"].colour


def test_the_map_names_every_class():
    rng = np.random.default_rng(0)
    places = pd.DataFrame({"x": rng.random(2 * N), "y": rng.random(2 * N), "label": LABELS * 2})
    fig = draw_map(places, dict.fromkeys(thumbnail_rows(places), IMAGE), 2 * N)
    legend = [text.get_text() for text in fig.legends[0].get_texts()]
    assert len(legend) == N  # one that begins with _ too
    shown = texts_of(fig)
    assert all(seen(name) in shown for name in LABELS)


def test_neighbours_show_the_class_of_each():
    table = pd.DataFrame({"query": LABELS, "query_label": LABELS, "label": LABELS[::-1]})
    table = table.assign(id=LABELS, distance=0.5)
    shown = texts_of(draw_similar([IMAGE] * N, [[IMAGE]] * N, table))
    assert all(seen(name) in shown for name in LABELS)


def test_confusion_matrices_tell_classes_apart():
    shares = pd.DataFrame(np.eye(N), columns=[f"p_{name}" for name in LABELS])
    table = shares.assign(label=range(N), model="pre_train", n_per_class=10, id=LABELS)
    few_shot = draw_confusions(table, {"pre_train": "LVM"}, LABELS)
    for fig in (draw_classification(table, LABELS), few_shot):
        shown = texts_of(fig)
        assert all(seen(name, 16) in shown for name in LABELS)


@pytest.mark.parametrize("n", [4, 5, 10, 11])
def test_cells_of_confusion_matrices_are_legible_and_hold_what_they_say(n):
    names = [f"class {k}" for k in range(n)]
    right = pd.DataFrame(np.eye(n), columns=[f"p_{name}" for name in names]).assign(label=range(n))
    table = pd.concat([right] * 300, ignore_index=True)
    fig = draw_classification(pd.concat([table.assign(model=m) for m in STRATEGY_NAMES]), names)
    fig.draw_without_rendering()
    for axes in fig.axes[: len(STRATEGY_NAMES)]:
        room = axes.get_window_extent().width / n
        cells = [text for text in axes.texts if text.get_text()]
        assert len(cells) == (n * n if n <= 10 else 0)
        assert all(text.get_fontsize() >= style.SMALL_PT for text in cells)
        # "100" may reach over its cell: in those beside it stands a single 0.
        widths = [text.get_window_extent().width for text in cells] or [0]
        assert max(widths) + min(widths) < 2 * room
        assert [("300" in text.get_text()) for text in cells[:2]] == [n <= 5, False][: len(cells)]


@pytest.mark.parametrize("n", [9, 12])
def test_confusion_matrices_of_many_classes_are_legible_in_cells_and_names(n):
    names = [f"class number {k}" for k in range(n)]
    right = pd.DataFrame(np.eye(n), columns=[f"p_{x}" for x in names]).assign(label=range(n))
    models = {f"m{k}": f"Model {k}" for k in range(5)}
    table = pd.concat([right.assign(model=m, n_per_class=10) for m in models])
    strategies = pd.concat([right.assign(model=m) for m in STRATEGY_NAMES])
    for fig in (draw_confusions(table, models, names), draw_classification(strategies, names)):
        fig.draw_without_rendering()
        assert fig.get_figwidth() == style.PAGE_WIDTH_INCH
        shown = [t for t in fig.findobj(plt.Text) if t.get_visible() and t.get_text()]
        assert min(text.get_fontsize() for text in shown) >= style.SMALL_PT
        for axes in fig.axes:
            written = [t for t in axes.get_yticklabels() if "class number" in t.get_text()]
            places = sorted(t.get_window_extent().y0 for t in written)
            apart = np.diff(places) * 72 / fig.dpi
            assert len(written) in (0, n) and (apart > style.SMALL_PT).all()
        matrices = [axes for axes in fig.axes if axes.images]
        assert len(matrices) in (4, 5)
        room = min(axes.get_window_extent().width for axes in matrices) / n * 72 / fig.dpi
        assert room > style.SMALL_PT


def test_sheets_and_lists_show_labels_ids_and_notes():
    names = ["S$_b$", "_merger", "None", "x^2{"]
    n, looks = len(names), [IMAGE] * len(names)
    table = pd.DataFrame({"id": names, "label": names, "predicted": names[::-1]})
    table = table.assign(p_label=0.1, n_against=1, n_models=2, place=range(1, n + 1))
    restored = [RestoredExample(m, 3.0, 5.0, IMAGE / 255, {"a": IMAGE / 255}) for m in names]
    figures = [
        draw_unusual(looks, table),
        draw_disagreements(dict(zip(names, looks, strict=True)), table),
        image_grid(looks, 1, names, names, names),
        crop_pairs(looks, np.tile([1, 1, 9, 9], (n, 1)), np.zeros(n, int), np.array(looks), names),
        draw_restoration(restored),
    ]
    for fig in figures:
        shown = texts_of(fig)
        assert "S$_b$" in shown and "_merger" in shown and "None" in shown
        smallest = min(text.get_fontsize() for text in fig.findobj(plt.Text) if text.get_text())
        assert smallest >= style.SMALL_PT, "not legible at the size of print"


def test_notes_are_no_wider_than_their_image():
    def widest(text):
        fig = plt.figure()
        drawn_text = fig.text(0, 0, text, fontsize=style.SMALL_PT)
        return drawn_text.get_window_extent().width * 72 / fig.dpi

    assert fitting("z 0.07  r50 8.2", 90) == "z 0.07  r50 8.2"
    assert fitting("Elliptical  → Edge-on", 50) == "Elliptical\n→ Edge-on"
    long = fitting("survey_of_the_southern_sky_000123", 50)
    assert long.startswith("sur") and long.endswith("123") and "…" in long
    # Pixels of the screen round widths.
    assert widest(long) < 52 and widest(fitting("W" * 40, 50)) < 52 < widest("W" * 40)


def test_targets_of_any_name_are_searched_shown_and_read_again(tmp_path):
    """Labels 0, 1, 2 ended in a TypeError, `nan` and `None` vanished from figures."""
    galaxies = pd.DataFrame({"id": range(6 * N), "label": LABELS * 6, "split": "train"})
    resolved = resolve_targets(Targets(targets=None), galaxies)
    assert set(resolved.targets) == set(LABELS)
    assert all(truth_of(galaxies, resolved, name).sum() == 6 for name in LABELS)
    table = targets_table(galaxies, resolved.targets, 2, 0)
    assert table["searched"].all() and table["target"].tolist() == sorted(LABELS)
    rows = [
        row
        for name in FEW
        for number in range(2)
        for row in long_rows(
            "discovery", name, "alpha", f"annotator=perfect round={number}", 0, SCORES
        )
    ]  # fmt: skip
    paths = {name: str(tmp_path / name) for name in ("m.csv", "t.csv", "f.pdf", "o.csv", "p.csv")}
    write_results(paths["m.csv"], rows)
    save_table(paths["t.csv"], table[table["target"].isin(FEW)])
    (tmp_path / "p.csv").write_text("item,task,model,condition,metric,value\nsec5c,a,b,c d,p,1\n")
    plot_hitl_discovery(*(paths[name] for name in ("m.csv", "t.csv", "p.csv", "f.pdf", "o.csv")))
    assert sorted(load_table(paths["o.csv"])["target"]) == sorted(FEW)


def test_figures_of_targets_show_every_one():
    rows = [
        row
        for name in FEW
        for row in long_rows("discovery", name, "alpha", "annotator=perfect round=0", 0, SCORES)
    ]
    kinds = pd.DataFrame({"target": FEW, "kind": "prompt", "id": FEW, "n_rounds": 1})
    part = pd.concat([kinds, kinds.assign(kind="recommended", score=0.5, is_positive=True)])
    searches = draw_searches(pd.DataFrame(rows), FEW)
    for fig in (searches, draw_targets(part, dict.fromkeys(FEW, IMAGE), FEW)):
        shown = texts_of(fig)
        assert all(drawn(name).replace("\\", "").lstrip("\u200b") in shown for name in FEW)


def test_a_bar_in_a_cell_begins_no_column():
    (_, _, row) = aligned(["a", "b"], [["ring | bar", "1"]]).splitlines()
    assert row == r"| ring \| bar | 1 |"


@pytest.mark.parametrize("name", ["CLASS_NAMES", "CLASS_COLOURS", "CLASS_MARKERS"])
def test_only_one_place_decides_how_classes_look(name):
    users = {
        path.relative_to(LIBRARY).as_posix()
        for path in LIBRARY.rglob("*.py")
        if re.search(rf"\b{name}\b", path.read_text(encoding="utf-8"))
    }
    assert users == {"report/style.py", "report/class_looks.py"}


def test_truth_values_are_met_however_they_are_kept():
    for values in (
        pd.Series([True, False, True]),
        pd.Series([True, None, False], dtype=object),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series(["True", "", " false"]),
        pd.Series([1, 0, 2]),
    ):
        table = pd.DataFrame({"x": values})
        assert holds(Condition(column="x", min=1), table)[0]
        assert not holds(Condition(column="x", min=1), table)[1]
        assert not holds(Condition(column="x", max=0), table)[0]
    for values in (pd.Series([True, False]), pd.Series([True, None], dtype=object)):
        table = pd.DataFrame({"x": values})
        for wanted in ("1", "True", "true"):
            assert holds(Condition(column="x", equals=wanted), table).tolist() == [True, False]
    words = pd.DataFrame({"x": ["true", "1", "True"]})
    assert holds(Condition(column="x", equals="1"), words).tolist() == [False, True, False]


def test_a_condition_on_a_class_meets_that_class_alone():
    labels = pd.Series(["nan", None, "None", "1"], dtype=object)
    numbers = pd.Series([1.0, np.nan, 2.0, 10.0])
    for values, wanted, expected in (
        (labels, "nan", [True, False, False, False]),
        (labels, "None", [False, False, True, False]),
        (labels, "1", [False, False, False, True]),
        (numbers, "1", [True, False, False, False]),
        (numbers, "nan", [False] * 4),
    ):
        condition = Condition(column="x", equals=wanted)
        assert holds(condition, pd.DataFrame({"x": values})).tolist() == expected
