"""Simulated annotators and experiments, and the tables and figures made of them."""

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.hitl import Comparison, Discovery, Hitl, Module, Target
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features.store import write_features
from galaxy_lvm.hitl.annotators import noisy, perfect, voting
from galaxy_lvm.hitl.claims import claims_table
from galaxy_lvm.hitl.diagram import ModuleParts, module_canvas
from galaxy_lvm.hitl.discovery import open_search, search_runs, targets_table, vote_shares
from galaxy_lvm.hitl.figures import draw_alpha, draw_comparison, draw_searches, draw_targets
from galaxy_lvm.hitl.measures import (
    CHANCE,
    chance_metrics,
    comparison_metrics,
    discovery_metrics,
    labels_to_find,
)
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.ranker import RankerSettings, Whitening
from galaxy_lvm.hitl.scored import COLUMNS
from galaxy_lvm.hitl.settings import SessionSettings
from galaxy_lvm.hitl.simulate import (
    Sizes,
    Task,
    compare,
    discover,
    draw_prompts,
    kept_result,
    recommend,
    sweep_alpha,
    training_sets,
)
from galaxy_lvm.hitl.store import POSITIVE
from galaxy_lvm.hitl.tables import (
    asked_galaxies,
    comparison_html,
    comparison_table,
    discovery_table,
    n_labels,
)
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.report.verdicts import FAILS, HOLDS, NOT_EVALUATED

SETTINGS = SessionSettings(ranker=RankerSettings(hidden_dim=32, steps=10, n_components=6))
SIZES = Sizes(few_per_class=3, more_per_class=6, small_per_class=10, n_recommended=4, n_big=60)
IDS = [f"g{i}" for i in range(400)]


def make_pool(n, seed, share=0.3):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    values = rng.normal(size=(n, 6)).astype(np.float32)
    values[truth, 0] += 2
    return Pool([f"s{seed}_{i}" for i in range(n)], values), truth


@pytest.fixture
def task():
    pool, truth = make_pool(120, 1)
    test_pool, test_truth = make_pool(100, 2)
    return Task(pool, truth, test_pool, test_truth, Whitening.of(pool.features, 6))


def test_annotators_answer_as_they_should():
    truth = {name: number % 4 == 0 for number, name in enumerate(IDS)}
    right = perfect(truth)(IDS)
    assert right[:5] == ["positive", "negative", "negative", "negative", "positive"]
    wrong = np.array(noisy(truth, 0.2, 7)(IDS)) != right
    assert 0.13 < wrong.mean() < 0.27
    some = noisy(truth, 0.2, 7)
    assert some(IDS[::-1]) == some(IDS)[::-1]  # the same galaxy, the same answer
    assert noisy(truth, 0.0, 7)(IDS) == right
    fractions = dict(zip(IDS, np.linspace(0, 1, len(IDS)), strict=True))
    votes = np.array(voting(fractions, 3)(IDS)) == "positive"
    assert votes[:100].mean() < 0.25 < 0.75 < votes[300:].mean()


def test_annotators_refuse_what_they_cannot_do():
    with pytest.raises(ConfigError, match=r"flip_rate is 0\.7"):
        noisy({}, 0.7, 0)
    with pytest.raises(DataError, match=r"vote fraction of 'b' is 1\.2"):
        voting({"a": 0.5, "b": 1.2}, 0)
    with pytest.raises(DataError, match="knows nothing about galaxy 'x'"):
        perfect({"a": True})(["x"])


def test_measures_of_a_known_case():
    truth = np.array([1, 1, 0, 0, 0], dtype=bool)
    scores = np.array([0.9, 0.4, 0.6, 0.2, 0.1])
    found = comparison_metrics(truth, scores)
    assert found["purity"] == 0.5 and found["completeness"] == 0.5 and found["accuracy"] == 0.6
    assert found["auc"] == pytest.approx(5 / 6) and found["aupr"] == pytest.approx(5 / 6)
    assert comparison_metrics(truth, scores * 0.1)["purity"] == 0
    with pytest.raises(DataError, match="both must occur"):
        comparison_metrics(truth[:2], scores[:2])
    state = discovery_metrics(truth, scores, np.array([0, 2]), np.array([0]), np.array([2]))
    assert state["asked_precision"] == 0 and state["found"] == 0
    assert state["precision"] == 0 and state["recall"] == 0 and state["aupr"] == 1
    done = discovery_metrics(truth, scores, np.array([0, 1]), np.array([0]), np.array([1]))
    assert done["found"] == 1 and "aupr" not in done
    assert labels_to_find([0, 0.4, 0.6, 1], [0, 10, 20, 30]) == 20
    assert labels_to_find([0, 0.4], [0, 10]) == np.inf


def test_training_sets_are_nested_and_missing_ones_named():
    truth = np.arange(100) < 30
    sets, skipped = training_sets(truth, Sizes(), 4)
    assert set(sets["train=10"]) < set(sets["train=30"]) and truth[sets["train=30"]].sum() == 15
    assert set(skipped) == {"train=100", "train=1000"}
    assert "50 positive prompts asked for; the pool has 30" in skipped["train=100"]
    with pytest.raises(DataError, match="99 negative"):
        draw_prompts(truth, 1, 99, 0)


def test_comparison_has_all_models_and_repeats(task):
    scores, skipped = compare(task, SETTINGS, SIZES, ["random"], 5)
    loop = "initial=6 rounds=1 recommended=4"
    assert not skipped and set(scores) == {
        ("lvm", "train=6"), ("lvm", "train=12"), ("lvm", "train=20"), ("lvm", "train=60"),
        ("lvm_hitl", loop), ("lvm_random", loop),
    }  # fmt: skip
    assert scores == compare(task, SETTINGS, SIZES, ["random"], 5)[0]
    assert scores["lvm", "train=60"].values["auc"] > 0.8


def test_alpha_decides_how_often_higher_scores_are_asked(task):
    shares = [
        sweep_alpha(task, SessionSettings(alpha=a, ranker=SETTINGS.ranker), 3, 6, 4, 0).values
        for a in (0.0, 1.0)
    ]
    assert shares[0]["higher_share"] < shares[1]["higher_share"]


def test_searches_beat_the_control_and_end_when_all_is_asked(task):
    truth = dict(zip(task.pool.ids_of(np.arange(120)), task.truth, strict=True))
    found = {}
    for rule in ("top_score", "random"):
        settings = SessionSettings(rule=rule, ranker=SETTINGS.ranker)
        states = [
            discover(task.pool, task.truth, perfect(truth), settings, 3, 4, 6, s, task.whitening)
            for s in range(4)
        ]
        assert all(len(rounds) == 5 and rounds[-1]["n_labels"] == 24 for rounds in states)
        found[rule] = np.mean([rounds[-1]["found"] for rounds in states])
    assert found["top_score"] > 1.5 * found["random"]
    long = discover(task.pool, task.truth, perfect(truth), SETTINGS, 3, 50, 40, 0, task.whitening)
    assert long[-1]["n_labels"] == 117 and long[-1]["found"] == 1 and len(long) < 10


def test_results_are_taken_from_the_state_after_a_kill(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"value": 0.25}

    assert kept_result(tmp_path, ["a", 1], make) == kept_result(tmp_path, ["a", 1], make)
    assert len(calls) == 1
    kept_result(tmp_path, ["a", 2], make)
    assert len(calls) == 2


def test_targets_table_says_why():
    galaxies = pd.DataFrame({"bar": [1] * 30 + [0] * 70, "rare": [1] * 3 + [0] * 97})
    targets = {
        "bar": Target(where=[{"column": "bar", "min": 1}], positive_fraction=0.1),
        "rare": Target(where=[{"column": "rare", "min": 1}]),
        "lens": Target(where=[{"column": "lens", "min": 1}]),
    }
    table = targets_table(galaxies, targets, 5, 0).set_index("target")
    assert table["searched"].tolist() == [True, False, False]
    assert table.loc["bar", "n_pool"] == 78 and "22 galaxies left out" in table.loc["bar", "note"]
    assert "more than 5 are needed" in table.loc["rare", "note"]
    assert "no column lens" in table.loc["lens", "note"]


def voted(*columns):
    return Target(where=[{"column": "p_odd", "min": 0.5}], votes=columns)


def voted_galaxies():
    """Sixty galaxies with votes, thirty of them for the target; ten nobody voted on."""
    odd = [0.9] * 30 + [0.05] * 30 + [np.nan] * 10
    merger = [0.9] * 30 + [1.0] * 30 + [np.nan] * 10
    return pd.DataFrame(
        {"id": [f"g{i}" for i in range(70)], "p_odd": odd, "p_merger": merger, "one": odd}
    )


def test_volunteers_answer_by_the_share_that_came_to_the_question(tmp_path):
    galaxies = voted_galaxies()
    about = voted("p_odd", "p_merger")
    vectors = np.random.default_rng(0).normal(size=(70, 4)).astype(np.float32)
    write_features(tmp_path / "f.npy", vectors, galaxies["id"], np.arange(70))
    settings = Hitl(
        targets={"merger": about},
        ranker=RankerSettings(n_components=3),
        comparison=Comparison(target="merger"),
    )
    search = open_search(tmp_path / "f.npy", galaxies, "merger", settings, 0)
    assert len(search.pool) == 60 and search.truth.sum() == 30
    ids = search.pool.ids_of(np.arange(60))
    said = np.array([search.annotator("votes", 0.1, seed)(ids) for seed in range(200)])
    yes = (said == POSITIVE).mean(axis=0)
    assert yes[:30].mean() == pytest.approx(0.81, abs=0.03)  # 0.9 of 0.9
    assert yes[30:].mean() == pytest.approx(0.05, abs=0.02)  # not 1.0, as the last question says
    note = targets_table(galaxies, settings.targets, 5, 0)["note"].item()
    assert note == "10 galaxies without votes left out"


def test_votes_that_are_no_fractions_are_refused():
    galaxies = voted_galaxies().assign(n_votes=40.0)
    with pytest.raises(
        DataError, match=r"merger.votes.*'n_votes' is '40.0' for galaxy 'g0' and 70"
    ):
        vote_shares(galaxies, "merger", voted("p_odd", "n_votes"))
    text = galaxies.assign(n_votes=["NA"] * 2 + ["0.5"] * 68)
    assert np.isnan(vote_shares(text, "merger", voted("n_votes"))).sum() == 2
    text = galaxies.assign(n_votes=["many"] + ["0.5"] * 69)
    with pytest.raises(DataError, match=r"'n_votes' is 'many' for galaxy 'g0' and 1 of 70"):
        vote_shares(text, "merger", voted("n_votes"))
    with pytest.raises(DataError, match="no column 'p_lens'"):
        vote_shares(galaxies, "merger", voted("p_lens"))
    assert vote_shares(galaxies, "merger", voted()) is None


def test_annotators_who_err_try_the_first_rule():
    runs = list(search_runs(Discovery(n_seeds=1, rules=("alpha", "random")), True))
    assert runs == [
        ("alpha", "perfect", 0),
        ("random", "perfect", 0),
        ("alpha", "noisy", 0),
        ("alpha", "votes", 0),
    ]


PAPER = pd.DataFrame(
    [("lvm", "train=30", "aupr", 0.8683)], columns=["model", "condition", "metric", "value"]
)
LOOP = "initial=10 rounds=1 recommended=10"
NO_SCORES = pd.DataFrame(columns=COLUMNS)


def comparison_results(gain):
    rows = []
    for seed in range(4):
        for model, condition, value in (
            ("lvm", "train=10", 0.5), ("lvm", "train=30", 0.6), ("lvm", "train=100", 0.7),
            ("lvm", "train=1000", 0.8), ("lvm_hitl", LOOP, 0.6 + gain),
        ):  # fmt: skip
            value += 0.01 * seed + (0.001 * seed if model == "lvm_hitl" else 0)
            scores = dict.fromkeys(("aupr", "auc", "accuracy", "purity", "completeness"), value)
            rows += long_rows("hitl", "face_on_spiral", model, condition, seed, scores)
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("gain", "verdict"), [(0.05, HOLDS), (-0.05, FAILS)])
def test_claims_are_judged_in_pairs_of_seeds(gain, verdict):
    table = claims_table(comparison_results(gain), NO_SCORES, Sizes()).set_index("claim")
    assert table.loc["LVM + HITL above LVM, train=30", "verdict"] == verdict
    assert table.loc["LVM + HITL above ResNet18, train=100", "verdict"] == NOT_EVALUATED


def test_a_training_set_that_was_left_out_is_not_evaluated():
    results = comparison_results(0.05)
    small = results[results["condition"] != "train=1000"]
    table = claims_table(small, NO_SCORES, Sizes()).set_index("claim")
    assert table.loc["LVM + HITL at or above LVM, train=1000", "verdict"] == NOT_EVALUATED
    assert table.loc["LVM + HITL above LVM, train=30", "verdict"] == HOLDS


def test_comparison_table_is_ordered_and_has_the_papers_numbers():
    results = comparison_results(0.05)
    table = comparison_table(results, PAPER)
    assert table["n_labels"].tolist() == [10, 20, 30, 100, 1000] and n_labels(LOOP) == 20
    assert table.loc[2, "aupr_paper"] == 0.8683 and np.isnan(table.loc[0, "aupr_paper"])
    asked = asked_galaxies(results)  # results of before, without the rows of chance
    page = comparison_html(
        table, claims_table(results, NO_SCORES, Sizes()), "face_on_spiral", asked
    )
    assert "LVM + HITL" in page and "0.8683" in page
    fig = draw_comparison(table, "face_on_spiral", asked)
    texts = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert texts[1] == "LVM + HITL, 10 + 10 labels"


def test_chance_is_a_row_of_the_table_and_a_line_in_the_figure():
    rng = np.random.default_rng(0)
    for n in (40, 400):
        truth = np.arange(n) % 4 == 0
        expected = chance_metrics(truth)
        drawn = [comparison_metrics(truth, rng.permutation(n) / n) for _ in range(600)]
        for metric in ("aupr", "auc", "purity"):
            values = [d[metric] for d in drawn]
            error = np.std(values) / np.sqrt(len(values))
            assert abs(np.mean(values) - expected[metric]) < 4 * error
    assert 0.25 + 8 * error < chance_metrics(truth[:40])["aupr"]  # of few it is above their share
    assert expected["accuracy"] == comparison_metrics(truth, np.zeros(400))["accuracy"] == 0.75

    rows = long_rows("hitl", "face_on_spiral", CHANCE, "train=0", 0, expected)
    results = pd.concat([comparison_results(0.05), pd.DataFrame(rows)])
    table = comparison_table(results, PAPER)
    assert table.loc[0, ["model", "n_labels", "aupr"]].tolist() == [CHANCE, 0, expected["aupr"]]
    assert "<td>Chance</td><td>train=0</td>" in comparison_html(
        table, claims_table(results, NO_SCORES, Sizes()), "face_on_spiral", asked_galaxies(results)
    )
    fig = draw_comparison(table, "face_on_spiral", asked_galaxies(results))
    assert "400 test galaxies, 100 positive" in fig.get_supxlabel()
    assert len(fig.axes[0].get_yticklabels()) == len(table) - 1
    lines = [
        [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == ":"]
        for axis in fig.axes
    ]
    assert lines == [[expected["aupr"]], [0.5], [0.75], [0.25], []]


def test_discovery_table_and_figures(task):
    truth = dict(zip(task.pool.ids_of(np.arange(120)), task.truth, strict=True))
    rows = []
    for rule in ("alpha", "top_score", "random"):
        settings = SessionSettings(rule=rule, ranker=SETTINGS.ranker)
        for seed in range(2):
            states = discover(
                task.pool, task.truth, perfect(truth), settings, 3, 3, 10, seed, task.whitening
            )
            for number, state in enumerate(states):
                condition = f"annotator=perfect round={number}"
                rows += long_rows("discovery", "merger", rule, condition, seed, state)
    paper = pd.DataFrame({"condition": ["merger rounds<=10 initial=5 positives"], "value": [0.15]})
    table = discovery_table(pd.DataFrame(rows), paper).set_index("rule")
    assert table.loc["alpha", "precision_paper"] == 0.15 and set(table["n_seeds"]) == {2}
    assert np.isnan(table.loc["top_score", "precision_paper"])
    assert table.loc["top_score", "found"] > table.loc["random", "found"]
    fig = draw_searches(pd.DataFrame(rows), ["merger", "lens"])
    assert len(fig.axes) == 3 and fig.axes[0].get_title() == "Mergers"
    fig = draw_searches(pd.DataFrame(rows), ["merger"], {"merger": (40, 1200)})
    assert fig.axes[0].get_title() == "Mergers\n40 of 1,200"
    alpha = [
        row
        for a in (0.1, 0.9)
        for row in long_rows(
            "alpha", "merger", "below_boundary", f"alpha={a}", 0,
            sweep_alpha(task, SETTINGS, 3, 2, 4, 0).values,
        )
    ]  # fmt: skip
    fig = draw_alpha(pd.DataFrame(alpha), "90 test galaxies, 9 positive")
    assert len(fig.axes) == 6 and "90 test" in fig.legends[0].get_title().get_text()


def test_figure7_frames_what_is_right(task):
    shown = recommend(task.pool, task.truth, SETTINGS, 3, 2, 5, 4, 0, task.whitening)
    assert shown["kind"].tolist() == ["prompt"] * 3 + ["recommended"] * 4
    assert shown["is_positive"][:3].all() and shown["score"][3:].is_monotonic_decreasing
    images = {name: np.zeros((8, 8, 3), np.uint8) for name in shown["id"]}
    shown = shown.assign(target="merger", n_rounds=2)
    fig = draw_targets(shown, images, ["lens", "merger"])
    assert len(fig.axes) == 8 and fig.axes[0].get_ylabel() == "Mergers\n2 rounds"
    with pytest.raises(DataError, match="no target"):
        draw_targets(shown, images, ["lens"])


def test_figure8_tells_what_was_built():
    parts = ModuleParts.of(6, RankerSettings(hidden_dim=50))
    canvas = module_canvas(parts, Module(alpha=0.3))
    text = " ".join(t.get_text() for _, texts in canvas.framed for t in texts)
    n_weights = 6 * 50 + 50 + 50 + 1
    assert f"6 → 6 → 50 → 1 {n_weights} weights" in text and "α = 0.3" in text
    for box, texts in canvas.framed:
        canvas.figure.canvas.draw()
        for drawn in texts:
            extent = drawn.get_window_extent().transformed(canvas.axes.transData.inverted())
            assert box.x <= extent.x0 and extent.x1 <= box.x + box.width
