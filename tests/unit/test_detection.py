"""Lens detectors are scored as COCO does it, empty fields included, and by hand where that goes."""

import contextlib
import io
from pathlib import Path

import evaluate_detectors
import numpy as np
import pandas as pd
import plot_detector_curves
import plot_detectors
import pytest
from galaxy_lvm.core.config.lenses import Evaluation
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses.curves import (
    average_precisions,
    best_f1_threshold,
    completeness_threshold,
    equal_bins,
    found_lenses,
    fp_at_completeness,
    interval,
    operating_point,
    precision_curves,
    resample_fields,
)
from galaxy_lvm.lenses.example_figure import choose_fields
from galaxy_lvm.lenses.match import (
    RUN_COLUMNS,
    check_runs,
    match_fields,
    of_run,
    read_detections,
)
from galaxy_lvm.lenses.scores import difference_rows, score_run
from galaxy_lvm.lenses.table import detector_table, detectors_html
from galaxy_lvm.report.results import paper_values
from galaxy_lvm.survey.fields import (
    BOX_COLUMNS,
    FieldStore,
    coco_ground_truth,
    lens_row,
    write_fields,
)
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SIDE = 64
PAPER = Path(__file__).parents[2] / "config" / "paper_values.csv"
RUN = {"model": "lvm", "n_train": 30, "seed": 1}


def rectangle(x, y, width=20, height=20):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[y : y + height, x : x + width] = 1
    return mask


def make_store(folder, n_test=6, n_val=3, empty_every=3):
    """Fields of 64 pixels; every third is empty, the others have a lens of 20 pixels."""
    splits = ["val"] * n_val + ["test"] * n_test
    ids = [f"f{i}" for i in range(len(splits))]
    lenses = [
        lens_row(i, f"l{i}", rectangle(10 + i % 5, 12), einstein_radius_arcsec=0.5 + 0.1 * i)
        for i in range(len(splits))
        if i % empty_every
    ]
    images = np.zeros((len(splits), SIDE, SIDE, 3), np.uint8)
    write_fields(folder / "fields.h5", images, {"id": ids, "split": splits}, lenses)
    return FieldStore(folder / "fields.h5")


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path)


def detection(store, field, score, mask, run=RUN):
    row = lens_row(field, store.columns["id"][field], mask)
    chosen = {name: row[name] for name in (*BOX_COLUMNS, "mask_rle")}
    split = store.columns["split"][field]
    return {**run, "split": split, "field": field, "id": row["id"], "score": score, **chosen}


def table(rows):
    columns = [*RUN_COLUMNS, "split", "field", "id", "score", *BOX_COLUMNS, "mask_rle"]
    return pd.DataFrame(rows, columns=columns)


def perfect(store, shift=0, run=RUN):
    return table(
        [
            detection(store, lens.field, 0.9, np.roll(store.masks(lens.field)[0], shift, 1), run)
            for lens in store.lenses.itertuples()
        ]
    )


def random_detections(store, seed):
    """Some right, some shifted, some anywhere; in empty fields as well."""
    rng = np.random.default_rng(seed)
    rows = []
    for field in range(len(store)):
        for mask in store.masks(field):
            moved = np.roll(mask, rng.integers(-3, 4, 2), (0, 1))
            rows.append(detection(store, field, rng.uniform(0.2, 1), moved))
        for _ in range(rng.integers(0, 3)):
            mask = rectangle(*rng.integers(0, 44, 2), *rng.integers(8, 20, 2))
            rows.append(detection(store, field, rng.uniform(0, 0.8), mask))
    return table(rows)


def pycocotools_ap(store, rows, found, iou_type):
    """AP, AP50, AP75 by COCOeval itself; a row may stand in `rows` several times."""
    truth = coco_ground_truth(store, rows)
    images, annotations, results = [], [], []
    for new, row in enumerate(rows):
        images.append({"id": new, "height": SIDE, "width": SIDE})
        for old in truth["annotations"]:
            if old["image_id"] == row:
                annotations.append({**old, "image_id": new, "id": len(annotations) + 1})
        for d in found[found["field"] == row].itertuples():
            box = [d.x_min_pix, d.y_min_pix, d.x_max_pix - d.x_min_pix, d.y_max_pix - d.y_min_pix]
            rle = {"size": [SIDE, SIDE], "counts": d.mask_rle}
            results.append(
                {"image_id": new, "category_id": 1, "score": d.score}
                | ({"bbox": box} if iou_type == "bbox" else {"segmentation": rle})
            )
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {**truth, "images": images, "annotations": annotations}
        coco.createIndex()
        judged = COCOeval(coco, coco.loadRes(results), iou_type)
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged.stats[:3]


def test_perfect_detections_have_ap_1_for_boxes_and_masks(store):
    for kind in ("boxes", "masks"):
        matches = match_fields(store, "test", perfect(store), kind)
        np.testing.assert_allclose(average_precisions(matches), 1)
        assert found_lenses(matches, 0.9).all() and not found_lenses(matches, 0.91).any()


def test_shifted_boxes_are_right_up_to_their_iou(store):
    # 20 pixels shifted by 4: IoU 16 / 24 = 0.667, right for 0.50, 0.55, 0.60 and 0.65.
    for kind in ("boxes", "masks"):
        ap, ap50, ap75 = average_precisions(match_fields(store, "test", perfect(store, 4), kind))
        assert (ap50, ap75) == (1, 0)
        assert ap == pytest.approx(0.4)


def test_the_best_score_in_an_empty_field_lowers_ap_by_what_a_hand_computes(store):
    empty = next(row for row in store.rows("test") if not len(store.lenses_in(row)))
    found = table([detection(store, empty, 0.99, rectangle(30, 30))])
    found = pd.concat([perfect(store), found])
    matches = match_fields(store, "test", found)
    # Four lenses after one wrong detection: the precision is best, 4 of 5, at full recall.
    assert len(matches.lenses) == 4
    np.testing.assert_allclose(average_precisions(matches), 0.8)
    assert operating_point(matches, 0.5).fp_per_field == pytest.approx(1 / 6)
    with_lens_only = found[found["field"] != empty]
    assert average_precisions(match_fields(store, "test", with_lens_only))[0] == 1


@pytest.mark.parametrize("kind, iou_type", [("boxes", "bbox"), ("masks", "segm")])
def test_random_detections_score_as_in_pycocotools_also_when_fields_repeat(
    tmp_path, kind, iou_type
):
    store = make_store(tmp_path, n_test=24)
    found = random_detections(store, 3)
    matches = match_fields(store, "test", found, kind)
    rows = store.rows("test")
    expected = pycocotools_ap(store, rows, found, iou_type)
    assert 0.1 < expected[0] < 0.9
    np.testing.assert_allclose(average_precisions(matches), expected, atol=1e-12)
    weights = resample_fields(store, "test", 3, 5)
    for counts in weights:
        repeated = np.repeat(rows, counts)
        expected = pycocotools_ap(store, repeated, found, iou_type)
        np.testing.assert_allclose(average_precisions(matches, counts), expected, atol=1e-12)


def test_no_detection_at_all_scores_0(store):
    matches = match_fields(store, "test", table([]))
    assert average_precisions(matches).tolist() == [0, 0, 0]
    assert best_f1_threshold(matches) == 1 and completeness_threshold(matches, 0.9) == (1, False)
    point = operating_point(matches, 1.0)
    assert (point.purity, point.completeness, point.f1, point.fp_per_field) == (0, 0, 0, 0)
    assert fp_at_completeness(matches, 0.9) == np.inf


def test_a_split_without_a_lens_is_refused(tmp_path):
    store = make_store(tmp_path, n_test=1, n_val=3, empty_every=3)
    with pytest.raises(DataError, match="no lens in the 1 fields of split 'test'"):
        match_fields(store, "test", table([]))


def test_wrong_detections_per_field_at_a_completeness_by_hand(tmp_path):
    store = make_store(tmp_path, n_test=15, n_val=0)
    lenses = list(store.lenses.itertuples())
    assert len(lenses) == 10
    rows = [detection(store, lens.field, 0.9 - 0.05 * i, store.masks(lens.field)[0])
            for i, lens in enumerate(lenses[:9])]  # fmt: skip
    # Three wrong ones above the ninth lens (score 0.5), one of the same score, two below it.
    wrong = [0.88, 0.7, 0.6, 0.5, 0.4, 0.3]
    rows += [detection(store, 0, score, rectangle(40, 40)) for score in wrong]
    matches = match_fields(store, "test", table(rows))
    assert fp_at_completeness(matches, 0.9) == pytest.approx(4 / 15)
    assert fp_at_completeness(matches, 0.95) == np.inf
    assert completeness_threshold(matches, 0.9) == (pytest.approx(0.5), True)
    assert completeness_threshold(matches, 0.95) == (pytest.approx(0.5), False)
    # F1 at 0.5: 9 right of 13 claimed and 10 true; no other score does better.
    assert best_f1_threshold(matches) == pytest.approx(0.5)
    assert operating_point(matches, 0.5).f1 == pytest.approx(18 / 23)


def test_a_lens_found_twice_counts_once(store):
    doubled = pd.concat([perfect(store), perfect(store).assign(score=0.8)])
    matches = match_fields(store, "test", doubled)
    point = operating_point(matches, 0.5)
    assert (point.purity, point.completeness) == (0.5, 1)
    np.testing.assert_allclose(average_precisions(matches), 1)  # the second ones come after all


def test_bootstrap_interval_covers_the_score_and_shrinks_with_more_fields(tmp_path):
    widths = []
    for n in (12, 192):
        folder = tmp_path / str(n)
        folder.mkdir()
        store = make_store(folder, n_test=n)
        matches = match_fields(store, "test", random_detections(store, 8))
        weights = resample_fields(store, "test", 200, 1)
        low, high = interval(np.array([average_precisions(matches, w)[1] for w in weights]))
        assert low < average_precisions(matches)[1] < high
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def test_lenses_that_do_not_count_neither_help_nor_harm(store):
    found = perfect(store)
    matches = match_fields(store, "test", found)
    first = np.arange(len(matches.lenses)) == 0
    assert precision_curves(matches, among=first).mean() == 1
    others = found[found["field"] != matches.lenses["field"][0]]
    assert precision_curves(match_fields(store, "test", others), among=first).max() == 0


def test_bins_hold_equal_numbers_and_leave_out_what_is_unknown():
    values = np.array([3.0, 1, 2, np.nan, 4, 5, 6])
    bins = equal_bins(values, 3)
    assert [(low, high) for low, high, _ in bins] == [(1, 2), (3, 4), (5, 6)]
    assert sum(members for _, _, members in bins).tolist() == [1, 1, 1, 0, 1, 1, 1]
    assert len(equal_bins(np.ones(5), 4)) == 1
    assert equal_bins(np.full(3, np.nan), 4) == []


def test_detections_of_other_fields_are_refused_with_their_row(store, tmp_path):
    found = perfect(store)
    path = tmp_path / "lvm_30_0.parquet"
    found.to_parquet(path)
    assert len(read_detections([path], store)) == len(found)
    for column, value, reason in [
        ("id", "elsewhere", "field is not in"),
        ("split", "val", "field is not in"),
        ("score", np.nan, "score is outside"),
        ("x_max_pix", -1.0, "box has no area"),
    ]:
        bad = found.astype({"score": float})
        bad.loc[2, column] = value
        bad.to_parquet(path)
        with pytest.raises(DataError, match=f"lvm_30_0.parquet: row 2: the {reason}"):
            read_detections([path], store)
    found.drop(columns="mask_rle").to_parquet(path)
    with pytest.raises(DataError, match="no column.*mask_rle"):
        read_detections([path], store)
    with pytest.raises(DataError, match="none of the runs"):
        check_runs(found, [{**RUN, "seed": 2}])


def scored(store, runs_and_detections, **settings):
    settings = Evaluation(n_bootstrap=40, n_bins=2, **settings)
    weights = resample_fields(store, "test", 40, 1)
    scores = {
        tuple(run.values()): score_run(store, found, run, settings, weights)
        for run, found in runs_and_detections
    }
    rows = [row for score in scores.values() for row in score.rows]
    return pd.DataFrame(rows + difference_rows(scores)), scores


def value(results, model, metric, kind="boxes", condition="train=30", seed=1):
    keys = {"model": model, "metric": metric, "task": kind, "condition": condition, "seed": seed}
    chosen = results[np.logical_and.reduce([results[k] == v for k, v in keys.items()])]
    assert len(chosen) == 1, keys
    return chosen["value"].iloc[0]


def test_the_report_of_two_backbones(tmp_path):
    store = make_store(tmp_path, n_test=12)
    other = {**RUN, "model": "resnet50"}
    shifted = perfect(store, 4, other)
    results, scores = scored(store, [(RUN, perfect(store)), (other, shifted)])
    assert np.isfinite(results["value"]).all()
    keys = ["task", "model", "condition", "seed", "metric"]
    assert not results.duplicated(keys).any()
    assert value(results, "lvm", "threshold") == pytest.approx(0.9)
    assert value(results, "lvm", "n_empty_fields") == 4
    assert value(results, "lvm", "fp_per_field_c90") == 0
    assert value(results, "lvm - resnet50", "ap") == pytest.approx(0.6)
    # Every field is alike, so that the difference is the same in every resample.
    assert value(results, "lvm - resnet50", "ap_low95", "masks") == pytest.approx(0.6)
    bins = [f"train=30 einstein_radius_arcsec bin={i}" for i in (1, 2)]
    edges = [value(results, "lvm", "low", condition=c) for c in bins]
    assert edges[0] < edges[1]
    assert value(results, "lvm", "n_lenses", condition="train=30 arc_snr unknown") == 8
    page = detector_table(results, paper_values(PAPER, "fig6"), 0.9)
    assert page["model"].tolist() == ["lvm", "resnet50", "lvm - resnet50"]
    assert page["paper_ap"].tolist()[:2] == [0.967, 0.931]
    assert page["boxes_ap"].tolist() == pytest.approx([1, 0.4, 0.6])
    text = detectors_html(page, 0.9, "7 test fields with 5 lenses.")
    assert "<p>7 test fields with 5 lenses. " in text
    assert "LVM + Mask R-CNN" in text and "+0.600" in text and "0.967" in text
    recall_1 = [r for r in scores["lvm", 30, 1].curve_rows if "recall=1.00" in r["condition"]]
    assert {r["task"]: r["value"] for r in recall_1} == {"boxes": 1, "masks": 1}


def test_what_is_not_reached_is_said_and_not_written_as_a_number(tmp_path, caplog):
    store = make_store(tmp_path, n_test=12)
    found = perfect(store)
    half = found.iloc[::2]
    results, _ = scored(store, [(RUN, half)], threshold="completeness")
    assert "completeness 0.9 is not reached on the validation fields" in caplog.text
    assert "fp_per_field_c90" not in set(results["metric"])
    assert value(results, "lvm", "max_completeness") == 0.5
    page = detector_table(results, paper_values(PAPER, "fig6"), 0.9)
    text = detectors_html(page, 0.9)
    assert "not reached" in text and "at most 50% found" in text
    silent = {**RUN, "seed": 2}
    nothing, _ = scored(store, [(silent, of_run(found, silent))])
    assert "no detection at all" in caplog.text
    assert value(nothing, "lvm", "ap", seed=2) == 0 and np.isfinite(nothing["value"]).all()


def test_several_seeds_give_a_t_interval(tmp_path):
    store = make_store(tmp_path, n_test=12)
    runs = [{**RUN, "seed": seed} for seed in (1, 2, 3)]
    results, _ = scored(
        store, [(run, perfect(store, s)) for run, s in zip(runs, (0, 4, 4), strict=True)]
    )
    page = detector_table(results, paper_values(PAPER, "fig6"), 0.9)
    row = page.iloc[0]
    values = [1, 0.4, 0.4]
    half = 4.302653 * np.std(values, ddof=1) / np.sqrt(3)
    assert (row["n_seeds"], row["interval"]) == (3, "seeds")
    assert row["boxes_ap"] == pytest.approx(0.6)
    assert row["boxes_ap_high95"] == pytest.approx(0.6 + half)


def test_the_scripts_from_files_to_figures(tmp_path):
    store = make_store(tmp_path, n_test=12)
    other = {**RUN, "model": "resnet50"}
    paths = [tmp_path / "lvm_30_0.parquet", tmp_path / "resnet50_30_0.parquet"]
    empty = [row for row in store.rows("test") if not len(store.lenses_in(row))]
    wrong = [detection(store, row, 0.1, rectangle(2, 2)) for row in empty]
    pd.concat([perfect(store), table(wrong)]).to_parquet(paths[0])
    table([]).to_parquet(paths[1])  # found nothing: still a line of the table, with 0
    made = {name: str(tmp_path / f"{name}.csv") for name in ("metrics", "curves", "table")}
    evaluate_detectors.main(
        str(tmp_path / "fields.h5"), paths, str(PAPER), [RUN, other],
        Evaluation(n_bootstrap=40, n_bins=2).model_dump(), 1, **made,
    )  # fmt: skip
    scores = pd.read_csv(made["table"]).set_index("model")["boxes_ap"]
    assert scores.to_dict() == {"lvm": 1, "resnet50": 0, "lvm - resnet50": 1}
    figures = [tmp_path / "fig06.pdf", tmp_path / "curves.pdf"]
    fields, runs = str(tmp_path / "fields.h5"), [RUN, other]
    plot_detectors.main(fields, paths, made["metrics"], runs, 4, str(figures[0]))
    plot_detector_curves.main(**made, runs=runs, figure=str(figures[1]))
    for path in figures:
        assert path.with_suffix(".png").stat().st_size > 20000


def test_fields_of_figure_6_are_chosen_by_a_rule(tmp_path):
    images = np.zeros((9, SIDE, SIDE, 3), np.uint8)
    snr = {1: 5.0, 2: 1.0, 4: 9.0, 5: 3.0, 7: 7.0}
    lenses = [lens_row(i, f"l{i}", rectangle(5, 5), arc_snr=value) for i, value in snr.items()]
    columns = {"id": [f"f{i}" for i in range(9)], "split": ["test"] * 9}
    write_fields(tmp_path / "fields.h5", images, columns, lenses)
    store = FieldStore(tmp_path / "fields.h5")
    mask = rectangle(9, 9)
    one = table([detection(store, 0, 0.3, mask), detection(store, 5, 0.9, mask)])
    found = [one, table([detection(store, 8, 0.6, mask)])]
    chosen = choose_fields(store, found, 4)
    # Faintest, middle and brightest; then the empty field with the highest score of any detector.
    assert chosen == {2: "arc S/N 1", 1: "arc S/N 5", 4: "arc S/N 9", 8: "no lens"}
    assert list(choose_fields(store, [table([])], 3)) == [2, 4, 0]
