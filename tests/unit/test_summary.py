"""The summary of a run, and its claims, from results whose answer is known."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.fewshot.scores import few_shot_table
from galaxy_lvm.lenses.claims import detector_claims
from galaxy_lvm.multitask.tables import TABLES
from galaxy_lvm.report.results import (
    long_rows,
    write_per_galaxy,
    write_results,
)
from galaxy_lvm.report.summary import print_summary
from galaxy_lvm.report.verdicts import (
    FAILS,
    HOLDS,
    ONE_HIGHER,
    ONE_LOWER,
    UNCLEAR,
)
from make_summary import main as make_summary
from make_tables import main
from table_rows import PAPER, ROOT, baselines, example, galaxy_scores


def few_shot():
    """Three seeds: the LVM 0.1 above the ResNet at 10 labels a class, the same at 50."""
    rows = []
    for seed, luck in enumerate((-0.05, 0.08, 0.02)):
        for size, lead in ((10, 0.1), (30, 0.3), (50, 0.0)):
            scores = {"resnet18": 0.5 + luck, "hog_logistic": 0.9}
            scores["lvm_frozen"] = 0.5 + luck + lead + 0.002 * (seed - 1)
            for model, value in scores.items():
                metrics = dict.fromkeys(("accuracy", "f1", "auc"), value)
                rows += long_rows("fewshot", "classification", model, f"n={size}", seed, metrics)
    return pd.DataFrame(rows)


def few_shot_predictions(n_galaxies=300):
    """Single galaxies of `few_shot`: as many are right as the accuracy says."""
    rows = few_shot().query("metric == 'accuracy'")
    tables = []
    for row in rows.to_dict("records"):
        order = np.random.default_rng(row["seed"]).permutation(n_galaxies)
        right = order < round(row["value"] * n_galaxies)
        ids = [f"g{i}" for i in range(n_galaxies)]
        head = {"id": ids, "label": 0, "model": row["model"], "seed": row["seed"]}
        head["n_per_class"] = int(row["condition"].removeprefix("n="))
        tables.append(pd.DataFrame({**head, "p_a": right * 1.0, "p_b": 1.0 - right}))
    return pd.concat(tables, ignore_index=True)


def detectors():
    """The table of figure 6."""
    head = {"n_seeds": 1, "interval": "fields", "paper_ap": np.nan}
    names = ("boxes_ap", "boxes_ap_low95", "boxes_ap_high95")
    rows = [
        head | {"model": model, "n_train": n_train} | dict(zip(names, values, strict=True))
        for model, n_train, *values in DETECTORS
    ]
    return pd.DataFrame(rows)


DETECTORS = [
    ("lvm", 100, 0.9, 0.8, 1.0),
    ("lvm - resnet50", 100, 0.4, 0.3, 0.5),
    ("lvm", 300, 0.5, 0.4, 0.6),
    ("resnet50", 300, 0.6, 0.5, 0.7),
    ("lvm - resnet50", 300, -0.1, -0.15, -0.05),
]


def detector_rows(seed=1, shift=0.0):
    rows = []
    for model, n_train, *values in DETECTORS:
        moved = np.array(values) + (shift if " - " in model else 0)
        metrics = dict(zip(("ap", "ap_low95", "ap_high95"), moved, strict=True))
        rows += long_rows("lenses", "boxes", model, f"train={n_train}", seed, metrics)
    return pd.DataFrame(rows)


def comparison():
    rows = [
        ("lvm_hitl", 20, 0.6, 0.8895),
        ("lvm_random", 20, 0.5, np.nan),
        ("lvm_mix", 20, 0.5, np.nan),
        ("lvm", 1000, 0.8, np.nan),
    ]
    names = ("model", "n_labels", "aupr", "aupr_paper")
    table = pd.DataFrame(rows, columns=names)
    return table.assign(aupr_low95=table["aupr"] - 0.1, aupr_high95=table["aupr"] + 0.1)


def objectives():
    rows = []
    for model, f1 in (("masked_noskips", 0.8), ("random", 0.7)):
        scores = {"f1": f1, "f1_low95": f1 - 0.04, "f1_high95": f1 + 0.04}
        rows += long_rows("objectives", "classification", model, "frozen features", 1, scores)
    return pd.DataFrame(rows)


def summary_of(run_dir, detector_table):
    """Write the summary of a run whose tables are there; return its lines."""
    folder = run_dir / "tables"
    make_summary(
        metrics=[run_dir / "metrics" / n for n in ("baselines.csv", "multitask.csv")],
        paper_csv=PAPER,
        claims=[folder / "claims.csv", folder / "hitl_claims.csv"],
        few_shot_predictions=[run_dir / "few.parquet"],
        detector_metrics=run_dir / "metrics" / "lenses.csv" if detector_table else None,
        few_shot_splits=run_dir / "splits.parquet",
        few_shot_metrics=run_dir / "metrics" / "fewshot.csv",
        few_shot_table=folder / "few.csv",
        few_shot_models=[{"model": m} for m in ("lvm_frozen", "hog_logistic", "resnet18")],
        detector_table=detector_table,
        hitl_table=folder / "hitl.csv",
        objectives=run_dir / "metrics" / "objectives.csv",
        in_use="masked_noskips",
        summary=folder / "summary.md",
        summary_page=folder / "summary.html",
        verdicts_table=folder / "verdicts.csv",
    )
    return (folder / "summary.md").read_text().splitlines()


@pytest.fixture
def run_dir(tmp_path):
    metrics = [tmp_path / "metrics" / name for name in ("baselines.csv", "multitask.csv")]
    write_results(metrics[0], baselines())
    write_results(metrics[1], example())
    write_per_galaxy(tmp_path / "galaxies.parquet", [galaxy_scores(0.05)])
    folder = tmp_path / "tables"
    main(metrics, PAPER, folder, [tmp_path / "galaxies.parquet"])
    labels = few_shot()
    write_results(tmp_path / "metrics" / "fewshot.csv", labels)
    few_shot_table(labels, ["lvm_frozen", "resnet18", "hog_logistic"]).to_csv(folder / "few.csv")
    few_shot_predictions().to_parquet(tmp_path / "few.parquet")
    splits = {
        "split": ["train"] * 90 + ["test"] * 60,
        "label": ["", *["disk"] * 89, *["disk"] * 60],
    }
    pd.DataFrame(splits).to_parquet(tmp_path / "splits.parquet")
    write_results(tmp_path / "metrics" / "lenses.csv", detector_rows())
    detectors().to_csv(folder / "lens.csv")
    comparison().to_csv(folder / "hitl.csv")
    write_results(tmp_path / "metrics" / "objectives.csv", objectives())
    judged = pd.DataFrame(
        {"claim": ["alpha matters"], "verdict": [UNCLEAR], "trainings": ["4"], "detail": ["0"]}
    )
    judged.to_csv(folder / "hitl_claims.csv")
    summary_of(tmp_path, folder / "lens.csv")
    return tmp_path


def test_all_files_are_written_and_the_summary_lines_up(run_dir):
    names = {path.name for path in (run_dir / "tables").iterdir()}
    assert {f"{spec.stem}.{kind}" for spec in TABLES for kind in ("csv", "html")} <= names
    assert {"claims.csv", "summary.md", "summary.html"} <= names
    out = io.StringIO()
    print_summary(run_dir, out)
    text = out.getvalue()
    for part in text.split("\n\n"):
        if part.startswith("|"):
            assert len({len(line) for line in part.splitlines()}) == 1
    assert "restoration: wiener, psnr 31.00 dB on the test split" in text
    assert "paired by 60 galaxies" in text and str(run_dir / "tables") in text


def test_summary_has_the_applications_with_their_verdicts(run_dir):
    text = (run_dir / "tables" / "summary.md").read_text()
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines() if line]
    cells = [line for line in cells if line]
    assert ["figure 6, 300 fields", "lvm", "AP of boxes", "0.500", "0.400 to 0.600", "-"] in cells
    items = [line[0] for line in cells]
    assert "figure 6, 100 fields" not in items and "figure 5, 30 a class" not in items
    figure10 = [line for line in cells if line[0].startswith("figure 10")]
    assert [line[1] for line in figure10] == ["lvm_hitl", "lvm_random", "lvm"]
    verdicts = {line[0]: line[1] for line in cells if len(line) == 3}
    assert verdicts["10 labels a class: lvm_frozen above ResNet18, from scratch"] == HOLDS
    assert verdicts["50 labels a class: lvm_frozen above ResNet18, from scratch"] == (
        "no difference beyond 0.02"
    )
    assert "(paired by 3 seeds and 300 galaxies)" in text
    assert "300 galaxies; training sets overlap: 50 of 89 disk" in text
    assert verdicts["lenses: lvm above resnet50, AP of boxes"] == ONE_LOWER
    features = [name for name in verdicts if name.startswith("frozen features")]
    assert [verdicts[name] for name in features] == [ONE_HIGHER]
    assert verdicts["alpha matters"] == UNCLEAR
    # HOG starts from no weights either, but it is no network.
    assert "lvm_frozen - hog_logistic" not in text


def test_a_run_without_lenses_has_a_summary_as_well(run_dir):
    items = [line.split("|")[1].strip() for line in summary_of(run_dir, None) if "|" in line]
    assert "figure 5, 10 a class" in items and "figure 10, 1000 labels" in items
    assert not [item for item in items if "figure 6" in item or "lenses" in item]


def test_detectors_are_judged_at_the_most_fields_by_training_and_field():
    table = detector_claims(detector_rows())
    assert table["verdict"].tolist() == [ONE_LOWER] and table["trainings"].tolist() == ["1"]
    assert table["detail"][0].endswith("-0.100 [-0.150, -0.050] (paired by test fields)")
    shifts = (0.0, 0.005, -0.005)
    three = pd.concat(detector_rows(seed, shift) for seed, shift in enumerate(shifts))
    table = detector_claims(three)
    assert table["verdict"].tolist() == [FAILS] and table["trainings"].tolist() == ["3"]
    # Wider than over trainings alone (+-0.012) and over fields alone (+-0.05): both are in it.
    half = np.hypot(4.302653 * 0.005 / np.sqrt(3), 0.05)
    assert f"[{-0.1 - half:+.3f}, {-0.1 + half:+.3f}]" in table["detail"][0]


def test_show_results_is_quick_to_import_and_explains_an_empty_folder(run_dir, tmp_path):
    def show(*arguments):
        command = [sys.executable, "-X", "importtime", ROOT / "scripts" / "show_results.py"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True)

    done = show(run_dir)
    assert done.returncode == 0, done.stderr
    assert "The paper's claims in this run" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "galaxy_lvm.report.summary" in imported
    assert not {"torch", "pandas", "numpy"} & imported
    empty = show(tmp_path / "none")
    assert empty.returncode == 1 and "run the workflow" in empty.stderr
