"""Every printed cell of Tables 1 to 4, derived again from the long tables and single galaxies.

The numbers here come from the files alone, by other code than the tables': pandas on the CSVs, the
parquet of single galaxies and the paper's values.
"""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.multitask.tables import TABLES, build_table, summary_lines
from galaxy_lvm.report.class_scores import classification_scores
from galaxy_lvm.report.image_scores import image_scores
from galaxy_lvm.report.metrics import right_or_wrong
from galaxy_lvm.report.names import MODEL_NAMES
from galaxy_lvm.report.results import (
    long_rows,
    paper_values,
    per_galaxy_rows,
    read_results,
    write_per_galaxy,
    write_results,
)
from make_tables import main as make_tables

PAPER = Path(__file__).parents[2] / "config" / "paper_values.csv"
N_GALAXIES, CLASSES = 60, 4
IDS = [f"g{i}" for i in range(N_GALAXIES)]
NETWORKS = ("pre_train", "multi_uniform", "multi_active", "from_scratch")
STUDENT = {2: 12.706205, 3: 4.302653}  # 97.5 % of t, by number of seeds
PATCHES = ("patch=4", "patch=8", "patch=16")
DECIMALS = {"mse": 5, "psnr": 2}
STEMS = {
    "table1_classification": ("table1", "classification", ("",)),
    "table2_restoration": ("table2", "restoration", ("",)),
    "table3_reconstruction": ("table3", "reconstruction", ("",)),
    "table4_patch_size": ("table4", "reconstruction", PATCHES),
}
METRICS = {"classification": ("accuracy", "precision", "recall", "f1")}
IMAGE = ("mse", "psnr", "ssim")


class Run:
    """A synthetic run: its scores go through the functions that the evaluations call."""

    def __init__(self, folder, n_seeds):
        self.rng = np.random.default_rng(n_seeds)
        self.truth = self.rng.integers(CLASSES, size=N_GALAXIES)
        self.rows, self.galaxies, self.classes = [], [], []
        for model in NETWORKS:
            for seed in range(1, n_seeds + 1):
                self.classify(model, seed)
                self.images("restoration", model, "", seed)
                for condition in ("", *PATCHES):
                    self.images("reconstruction", model, condition, seed)
        self.classify("hog_logistic", 1)
        self.classify("resnet18", 1)
        for model in ("blurred", "wiener"):
            self.images("restoration", model, "", 1)
        for model in ("masked", "inpainting_telea"):
            for condition in ("", *PATCHES):
                self.images("reconstruction", model, condition, 1)
        self.metrics, self.single = folder / "metrics.csv", folder / "galaxies.parquet"
        write_results(self.metrics, self.rows)
        write_per_galaxy(self.single, self.galaxies)
        self.tables = folder / "tables"
        make_tables([self.metrics], PAPER, self.tables, [self.single])

    def classify(self, model, seed):
        wrong = self.rng.random(N_GALAXIES) < self.rng.uniform(0.1, 0.5)
        guess = self.rng.integers(CLASSES, size=N_GALAXIES)
        predicted = np.where(wrong, guess, self.truth)
        scores = classification_scores(self.truth, predicted, CLASSES, seed)
        self.rows += long_rows("multitask", "classification", model, "", seed, scores)
        right = right_or_wrong(self.truth, predicted)
        self.galaxies.append(per_galaxy_rows("classification", model, "", seed, IDS, right))
        table = pd.DataFrame({"truth": self.truth, "predicted": predicted})
        self.classes.append(table.assign(model=model, seed=seed))

    def images(self, task, model, condition, seed):
        mse = self.rng.uniform(1e-4, 5e-3, N_GALAXIES)
        ssim = self.rng.uniform(0.3, 0.9, N_GALAXIES)
        table = pd.DataFrame({"mse": mse, "psnr": -10 * np.log10(mse), "ssim": ssim})
        self.rows += long_rows("multitask", task, model, condition, seed, image_scores(table, seed))
        self.galaxies.append(per_galaxy_rows(task, model, condition, seed, IDS, table))


@pytest.fixture(scope="module", params=[1, 2, 3], ids=lambda n: f"{n} seeds")
def run(request, tmp_path_factory):
    return Run(tmp_path_factory.mktemp("run"), request.param)


def macro(classes):
    """Return macro precision, recall and F1 of a table of true and predicted classes."""
    counts = pd.crosstab(classes["truth"], classes["predicted"]).reindex(
        index=range(CLASSES), columns=range(CLASSES), fill_value=0
    )
    hits = pd.Series(np.diag(counts))
    precision, recall = hits / counts.sum(axis=0), hits / counts.sum(axis=1)
    f1 = 2 * precision * recall / (precision + recall)
    return {"precision": precision.mean(), "recall": recall.mean(), "f1": f1.mean()}


def values_by_seed(run, task, model, condition, metric):
    """Return a score of every training from single galaxies, not from the long table."""
    if metric in ("precision", "recall", "f1"):
        classes = pd.concat(run.classes)
        parts = classes[classes["model"] == model].groupby("seed")
        return pd.Series({seed: macro(part)[metric] for seed, part in parts})
    single = pd.read_parquet(run.single)
    wanted = {"task": task, "model": model, "condition": condition, "metric": metric}
    for column, value in wanted.items():
        single = single[single[column] == value]
    assert (single.groupby("seed")["id"].nunique() == N_GALAXIES).all()
    return single.groupby("seed")["value"].mean()


def interval(run, task, model, condition, metric, values):
    """Return the ends: t over seeds, or the long table's own rows for a single one."""
    if len(values) > 1:
        half = STUDENT[len(values)] * values.std() / len(values) ** 0.5
        return values.mean() - half, values.mean() + half
    long = pd.read_csv(run.metrics, keep_default_na=False)
    rows = long[
        (long["task"] == task) & (long["model"] == model) & (long["condition"] == condition)
    ]
    rows = rows.set_index("metric")["value"]
    return rows[f"{metric}_low95"], rows[f"{metric}_high95"]


@cache
def read_paper():
    return pd.read_csv(PAPER, keep_default_na=False)


def printed_in_paper(item, model, condition, metric):
    paper = read_paper()
    wanted = {"item": item, "model": model, "condition": condition, "metric": metric}
    rows = paper[(paper[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return float(rows["value"].iloc[0]) if len(rows) else None


def text_of(value, metric):
    return f"{value:.{DECIMALS.get(metric, 3)}f}"


@cache
def expected_cells(run, stem):
    """Return what a table must print, by (patch, model): metric -> number, interval, paper."""
    item, task, conditions = STEMS[stem]
    single = pd.read_parquet(run.single)
    cells = {}
    for condition in conditions:
        chosen = single[(single["task"] == task) & (single["condition"] == condition)]
        for model in chosen["model"].unique():
            line = {}
            for metric in METRICS.get(task, IMAGE):
                values = values_by_seed(run, task, model, condition, metric)
                low, high = interval(run, task, model, condition, metric, values)
                ends = f"{text_of(low, metric)} to {text_of(high, metric)}"
                paper = printed_in_paper(item, model, condition, metric)
                line[metric] = (values.mean(), ends, paper, len(values))
            cells[condition.removeprefix("patch="), model] = line
    return cells


@pytest.mark.parametrize("stem", STEMS)
def test_every_cell_of_the_csv(run, stem):
    table = pd.read_csv(run.tables / f"{stem}.csv")
    table["patch"] = table["patch_pix"].astype(str) if "patch_pix" in table else ""
    expected = expected_cells(run, stem)
    assert len(table) == len(expected)
    for row in table.to_dict("records"):
        for metric, (mean, ends, paper, n_seeds) in expected[row["patch"], row["model"]].items():
            assert row[metric] == pytest.approx(mean, rel=1e-9)
            assert row[f"{metric}_interval"] == ends
            printed = row[f"{metric}_paper"]
            assert np.isnan(printed) if paper is None else printed == paper
            assert row["n_seeds"] == n_seeds
            assert row["interval"] == ("galaxies" if n_seeds == 1 else "seeds")


class Rows(HTMLParser):
    """Collects the rows of a page's table: the texts of every cell, and which of them is bold."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.bold, self.in_cell = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append([])
            self.in_cell = True
        if tag == "span" and dict(attrs).get("class") == "best":
            self.bold.append((len(self.rows) - 1, len(self.rows[-1]) - 1))

    def handle_endtag(self, tag):
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        if self.in_cell:
            self.rows[-1][-1].append(data)


@pytest.mark.parametrize("stem", STEMS)
def test_every_cell_of_the_page(run, stem):
    page = Rows((run.tables / f"{stem}.html").read_text(encoding="utf-8"))
    expected, seen, patch = expected_cells(run, stem), set(), ""
    names = {MODEL_NAMES.get(m, f"{m}, same galaxies"): m for _, m in expected}
    for number, cells in enumerate(page.rows):
        if number == 0:
            continue
        if len(cells) == 1:
            patch = cells[0][0].split()[0]
            continue
        line = expected[patch, names[cells[0][0]]]
        seen.add((patch, names[cells[0][0]]))
        assert len(cells) == 1 + 2 * len(line)
        for i, (metric, (mean, ends, paper, _)) in enumerate(line.items()):
            assert cells[1 + 2 * i] == [text_of(mean, metric), ends]
            assert cells[2 + 2 * i] == ["–" if paper is None else text_of(paper, metric)]
            block = [other[metric][0] for (p, _), other in expected.items() if p == patch]
            best = mean == (min(block) if metric == "mse" else max(block))
            assert ((number, 1 + 2 * i) in page.bold) == best
    assert seen == set(expected)


def test_every_cell_of_the_summary(run):
    results = read_results(run.metrics)
    tables = [(s, build_table(s, results, paper_values(PAPER, s.item))) for s in TABLES]
    lines = iter(summary_lines(tables))
    for stem, (item, task, _) in STEMS.items():
        metric = "accuracy" if task == "classification" else "psnr"
        expected = expected_cells(run, stem)
        for _ in range(len(expected)):
            place, model, label, ours, ends, paper = next(lines)
            patch = place.partition(", ")[2].removesuffix(" pix")
            mean, expected_ends, printed, _ = expected[patch, model][metric]
            assert place.startswith(item.replace("table", "table ")) and metric in label.lower()
            assert (ours, ends) == (text_of(mean, metric), expected_ends)
            assert paper == ("-" if printed is None else text_of(printed, metric))
    assert next(lines, None) is None
