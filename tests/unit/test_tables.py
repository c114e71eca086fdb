"""Tables and their verdicts, from results whose answer is known."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.multitask.claims import judge_claims
from galaxy_lvm.multitask.tables import TABLES, build_table, table_html
from galaxy_lvm.report.results import (
    paper_values,
    read_per_galaxy,
)
from galaxy_lvm.report.verdicts import (
    FAILS,
    HOLDS,
    NOT_EVALUATED,
    ONE_HIGHER,
    ONE_LOWER,
    ONE_UNCLEAR,
    UNCLEAR,
)
from table_rows import NETWORKS, PAPER, baselines, example, galaxy_scores, scored


@pytest.fixture
def results():
    return pd.DataFrame(baselines() + example())


def table_of(item, results):
    spec = next(spec for spec in TABLES if spec.item == item)
    return spec, build_table(spec, results, paper_values(PAPER, item))


def test_rows_are_in_order_with_the_papers_number_beside_ours(results):
    _, table = table_of("table2", results)
    assert table["model"].tolist() == ["blurred", "richardson_lucy", "wiener", *NETWORKS]
    last = table.iloc[-1]
    assert last["psnr"] == pytest.approx(33.1) and last["psnr_paper"] == 33.34
    assert last["psnr_interval"] == "32.77 to 33.43" and last["interval"] == "galaxies"
    assert np.isnan(table["psnr_paper"][2])  # the paper has no Wiener filter


def test_table4_is_sorted_by_patch_size_as_a_number(results):
    _, table = table_of("table4", results)
    assert table["patch_pix"].unique().tolist() == [4, 8, 16]
    active = table.query("patch_pix == 16 and model == 'multi_active'").iloc[0]
    assert active["psnr_paper"] == 23.61


def test_repeated_seeds_give_the_t_interval(results):
    more = pd.DataFrame(example(seed=2, shift=0.02))
    _, table = table_of("table1", pd.concat([results, more]))
    row = table[table["model"] == "pre_train"].iloc[0]
    assert row["n_seeds"] == 2 and row["interval"] == "seeds"
    assert row["accuracy"] == pytest.approx(0.61)
    half = 12.7062 * 0.01  # t of 1 degree of freedom times the standard error
    assert row["accuracy_interval"] == f"{0.61 - half:.3f} to {0.61 + half:.3f}"
    assert table.iloc[0]["interval"] == "galaxies"


def test_table_1_shows_the_second_label_where_there_is_one(results):
    spec, table = table_of("table1", results)
    assert "accuracy_second" not in table and "second label" not in table_html(spec, table)
    metrics = {"accuracy_second": 0.875, "f1_second": 0.8}
    models = set(results.loc[results["task"] == "classification", "model"])
    more = [row for model in models for row in scored("classification", model, metrics)]
    spec, table = table_of("table1", pd.concat([results, pd.DataFrame(more)]))
    assert set(table["accuracy_second"]) == {0.875} and set(table["f1_second"]) == {0.8}
    assert table["accuracy_second_interval"].str.contains(" to ").all()
    assert "accuracy, second label" in table_html(spec, table)
    with pytest.raises(DataError, match="no metric.*_second"):
        table_of("table1", pd.concat([results, pd.DataFrame(more[1:-1])]))


def test_missing_results_are_named(results):
    with pytest.raises(DataError, match="no restoration result for table2"):
        table_of("table2", results[results["task"] != "restoration"])
    with pytest.raises(DataError, match="wiener.*ssim"):
        table_of(
            "table2", results[~((results["model"] == "wiener") & (results["metric"] == "ssim"))]
        )


class Cells(HTMLParser):
    """Counts the columns of every row and what would be fetched from elsewhere."""

    def __init__(self):
        super().__init__()
        self.rows, self.outside, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += int(dict(attrs).get("colspan", 1))
        self.outside += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("item", ["table1", "table4"])
def test_html_is_sound_and_says_single_seed(results, item):
    spec, table = table_of(item, results)
    assert "240 test galaxies. " in table_html(spec, table, 240)
    page = table_html(spec, table)
    assert "test galaxies. " not in page, "unknown is not zero"
    parser = Cells()
    parser.feed(page)
    assert not parser.outside and not parser.open and len(set(parser.rows)) == 1
    assert "Single seed" in page and "LVM, multi_active" in page


def verdicts(results, per_galaxy=None):
    galaxies = read_per_galaxy([]) if per_galaxy is None else per_galaxy
    return judge_claims(results, galaxies).set_index("claim")["verdict"]


def test_one_training_says_which_network_is_higher_and_never_that_a_claim_holds(results):
    found = verdicts(results)
    assert found["multi_active classifies best"] == ONE_HIGHER
    assert found["LVM above the classical baselines: restoration"] == ONE_HIGHER
    assert found["LVM above the classical baselines: reconstruction"] == ONE_LOWER
    assert found["restoration: multi_active > multi_uniform > pre_train > blurred"] == ONE_UNCLEAR
    assert found["reconstruction: multi_active > multi_uniform > pre_train > masked"] == ONE_LOWER
    assert not set(found) & {HOLDS, FAILS, UNCLEAR}


def test_a_network_on_the_same_galaxies_has_its_row_and_its_claim(results):
    scores = dict.fromkeys(("accuracy", "precision", "recall", "f1"), 0.4)
    both = pd.concat([results, pd.DataFrame(scored("classification", "resnet18", scores))])
    spec, table = table_of("table1", both)
    assert table["model"].tolist() == ["hog_logistic", "resnet18", *NETWORKS]
    assert "resnet18, same galaxies" in table_html(spec, table)
    text = "LVM above resnet18, trained on the same galaxies"
    assert verdicts(both)[text] == ONE_HIGHER
    assert text not in verdicts(results)


def test_a_claim_about_a_missing_model_is_not_judged(results):
    found = verdicts(results[results["model"] != "multi_uniform"])
    assert found["multi_uniform classifies better than pre_train"] == NOT_EVALUATED


ONE_SMALL_PART = "one training only: no difference beyond 0.2 dB in a part"


@pytest.mark.parametrize(
    "gain, verdict",
    [(0.05, ONE_HIGHER), (0.0, ONE_SMALL_PART), (-0.05, f"{ONE_LOWER}, by less than 0.2 dB")],
)
def test_pairs_of_galaxies_settle_what_intervals_cannot(results, gain, verdict):
    order = "restoration: multi_active > multi_uniform > pre_train > blurred"
    per_galaxy = galaxy_scores(gain, seed=4)
    assert verdicts(results)[order] == ONE_UNCLEAR
    assert verdicts(results, per_galaxy)[order] == verdict


def test_pairs_of_seeds_come_before_galaxies_of_one_seed(results):
    seeds = [row for s in (2, 3) for row in example(seed=s, shift=0.1 * s)]
    both = pd.concat([results, pd.DataFrame(seeds)])
    table = judge_claims(both, galaxy_scores(0.0)).set_index("claim")
    row = table.loc["restoration: multi_active > multi_uniform > pre_train > blurred"]
    detail = row["detail"]
    assert "multi_active - multi_uniform: +0.05 dB [+0.05, +0.05] (paired by 3 seeds)" in detail
    assert row["trainings"] == "3" and row["verdict"] == HOLDS
