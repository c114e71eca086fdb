"""Captions of the report: how often networks were trained, how a figure is made again, its cost."""

import inspect
import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake.api as _loads_all  # noqa: F401, the others cannot be imported first
from galaxy_lvm.align import figures as alignment_figure
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.report.provenance import went_on
from galaxy_lvm.report.remake import (
    Cost,
    cost_of,
    cost_text,
    costs_html,
    made_again_text,
    plan_of,
    time_text,
)
from jinja2 import Environment, StrictUndefined
from snakemake import dag, report, rules

REPORT = Path(__file__).parents[2] / "report"


class Outputs(list):
    """A job's outputs, by number and by name."""

    def __getattr__(self, name):
        return f"{name}.html"


def rendered(name, n_seeds, experiments=("ends",)):
    """Return a caption for a run whose networks of Tables 1 to 4 were trained `n_seeds` times."""
    optim = {"steps": 100}
    config = {
        "run": "demo",
        "seed": 1,
        "tasks_dataset": "galaxies",
        "folder": {"second_label_column": "label_clean" if n_seeds == 3 else None},
        "datasets": {"galaxies": {"source": "folder"}},
        "lvm": {"preset": "small"},
        "pretrain": {"objective": "masked", "optim": optim, "batch_size": 8},
        "multitask": {"n_seeds": n_seeds, "optim": optim, "batch_size": 8, "n_orientations": 8},
        "reference": {"models": []},
        "align": {"experiments": experiments},
        "catalogue": {"dataset": None, "strategy": "multi_active"},
        "lenses": {"fields": {"source": "mock"}, "detector": {"n_seeds": 1}},
        "fewshot": {"n_seeds": 3, "dataset": None},
        "hitl": {
            "comparison_dataset": None,
            "discovery_dataset": None,
            "comparison": {"n_seeds": 20, "n_resnet18_seeds": 10},
            "sweep": {"n_seeds": 4, "n_rounds": 3},
        },
    }
    made = SimpleNamespace(config=config, rule="a_rule", output=Outputs(["made.png"]))
    told = {"made_again": lambda path: f"REMADE {path}", "costs_of_report": lambda files: "COSTS"}
    files = [SimpleNamespace(job=SimpleNamespace(rule=SimpleNamespace(module_globals=told)))]
    text = (REPORT / name).read_text(encoding="utf-8")
    template = Environment(undefined=StrictUndefined).from_string(text)
    return " ".join(template.render(snakemake=made, categories=[], files=files).split())


def test_the_front_page_says_how_often_each_network_was_trained():
    once = rendered("workflow.rst", 1)
    assert "The networks of Tables 1 to 4: **once**" in once
    assert "no claim is said to hold" in once and "alpha: 4 sessions" in once
    three = rendered("workflow.rst", 3)
    assert "**3 times**" in three and "no claim is said to hold" not in three


@pytest.mark.parametrize(
    ("name", "single", "several"),
    [
        ("summary.rst", "speak of these networks only", "were trained 3 times"),
        ("table1.rst", "intervals: bootstraps over test galaxies", "over 3 trainings"),
    ],
)
def test_captions_of_verdicts_and_tables_follow_the_number_of_trainings(name, single, several):
    once, three = rendered(name, 1), rendered(name, 3)
    assert single in once and single not in three
    assert several in three and several not in once


def test_the_caption_of_table_1_names_the_second_label():
    assert "column label_clean, where" in rendered("table1.rst", 3)
    assert "econd label" not in rendered("table1.rst", 1)


def test_captions_of_the_catalogue_name_its_galaxies_and_its_model():
    assert "Galaxies of the dataset galaxies with the most certain" in rendered(
        "catalogue_gallery.rst", 1
    )
    assert "as multi_active gives" in rendered("catalogue_reliability.rst", 1)


def test_the_caption_of_the_alignment_tells_of_the_experiments_that_were_run():
    ends, twins, both = (
        rendered("alignment.rst", 1, asked) for asked in (["ends"], ["twins"], ["ends", "twins"])
    )
    assert "of the same stars: the blue and the red end of a spectrum (each" in ends
    assert "LAMOST" not in ends and "experiment" not in ends
    assert "of the same stars: a spectrum and one of LAMOST" in twins and "blue" not in twins
    assert "one row an experiment: the blue" in both and "median), or a spectrum and one" in both
    assert (
        "nothing else. Left:" in both and "grey line is where that is one star in a hundred" in ends
    )


def test_the_caption_of_the_alignment_names_floors_as_the_legend_does():
    text = rendered("alignment.rst", 1)
    for model in ("cca", "cca_gaussian", "quadratic", "components"):
        assert alignment_figure._STYLES[model][0] in text


def test_names_of_categories_make_targets_that_differ():
    """Snakemake makes each a target of reStructuredText, which a colon would cut short."""
    rules = [path.read_text(encoding="utf-8") for path in (REPORT.parent / "rules").glob("*.smk")]
    names = {name for text in rules for name in re.findall(r'category="([^"]+)"', text)}
    assert len(names) > 10 and not [name for name in names if re.search(r"[:`<>_]", name)]


CALL = (
    r'\n\n\{\{ files\[0\]\.job\.rule\.module_globals\["made_again"\]'
    r"\(snakemake\.output[\[.]\w+\]?\) \}\}\n\Z"
)


@pytest.mark.parametrize("name", sorted(p.name for p in REPORT.glob("*.rst")))
def test_every_caption_ends_in_a_paragraph_on_how_it_is_made_again_and_what_that_costs(name):
    if name != "workflow.rst":
        text = (REPORT / name).read_text(encoding="utf-8")
        assert re.search(CALL, text)
        # Jinja takes the line break behind a block away, and with it the paragraph's beginning.
        assert not re.search(r"\{% endif %\}\n\n(?!\n)", text)


def test_the_plan_is_asked_in_one_place_which_names_the_version_where_it_is_elsewhere():
    steps = {"c": ["b"], "b": ["a"], "a": [], "other": []}

    def walk(dependencies, job):
        for one in dependencies[job]:
            yield one
            yield from walk(dependencies, one)

    plan = SimpleNamespace(jobs=iter(steps), bfs=walk, dependencies=steps)
    jobs, before = plan_of(SimpleNamespace(dag=plan))
    assert jobs == ["c", "b", "a", "other"] and before("c") == {"a", "b", "c"}
    for missing in ("jobs", "bfs", "dependencies"):
        other = SimpleNamespace(**{k: v for k, v in vars(plan).items() if k != missing})
        with pytest.raises(ConfigError, match=rf"Snakemake \d+\.\d+.*'{missing}'.*envs/cpu.txt"):
            plan_of(SimpleNamespace(dag=other))
    with pytest.raises(ConfigError, match="'dag'"):
        plan_of(SimpleNamespace())


def test_snakemake_has_what_the_captions_take():
    """Its own classes: an update that moves them fails here, before a report is made."""
    assert callable(dag.DAG.bfs) and isinstance(dag.DAG.jobs, property)
    for owner, name in ((dag.DAG, "dependencies"), (rules.Rule, "module_globals")):
        assert hasattr(owner, name) or f"self.{name}" in inspect.getsource(owner), name
    assert "job" in inspect.signature(report.FileRecord).parameters


def test_the_front_page_has_a_table_of_costs():
    assert rendered("workflow.rst", 1).endswith(".. raw:: html COSTS")
    assert rendered("table1.rst", 1).endswith("REMADE table1.html")


def benchmark(path, wall_s, cpu_s):
    path.write_text(f"s\tcpu_time\tmax_rss\n{wall_s}\t{cpu_s}\t100\n")
    return path


def test_a_cost_adds_what_was_measured_and_says_what_was_not(tmp_path):
    long = benchmark(tmp_path / "long.tsv", 120, 170.5)
    short = benchmark(tmp_path / "short.tsv", 0.25, "NA")
    unseen = benchmark(tmp_path / "unseen.tsv", "NA", "NA")
    assert unlogged(long, short) == Cost(jobs=2, measured=2, wall_s=120.25, cpu_s=170.5)
    partly = unlogged(long, unseen, tmp_path / "deleted.tsv", None)
    assert partly == Cost(jobs=4, measured=1, wall_s=120, cpu_s=170.5)
    assert cost_text(partly) == "at least 2.0 min (at least 2.8 min of CPU)"
    assert cost_text(unlogged(unseen)) == "not measured"
    (tmp_path / "other.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(DataError, match="other.tsv.*not a benchmark"):
        unlogged(tmp_path / "other.tsv")


def unlogged(*benchmarks):
    return cost_of((path, []) for path in benchmarks)


def test_cpu_that_nobody_looked_at_is_no_zero(tmp_path):
    """Snakemake looks at a job now and then, never at its end: what it saw is a lower limit."""
    short = unlogged(benchmark(tmp_path / "short.tsv", 0.25, "NA"))
    assert (short.measured, short.wall_s) == (1, 0.25) and math.isnan(short.cpu_s)
    assert cost_text(short) == "0.2 s (unknown time of CPU)"
    page = costs_html([(["Table"], "plot_x", short, short)])
    assert page.endswith("<td>0.2 s</td><td>unknown time</td></tr></tbody></table>")
    long = unlogged(benchmark(tmp_path / "long.tsv", 74, 45))
    assert cost_text(long) == "1.2 min (at least 45 s of CPU)"
    assert "<td>at least 45 s</td></tr>" in costs_html([(["Table"], "plot_x", long, long)])


def test_a_job_that_went_on_from_a_step_costs_at_least_what_its_last_part_took(tmp_path):
    whole, part = (tmp_path / name for name in ("whole.log", "part.log"))
    whole.write_text("10:00:00 INFO step 100 of 200\n")
    part.write_text("10:00:00 INFO continuing from step 100 (state.pt)\n10:01 INFO step 200\n")
    path = benchmark(tmp_path / "train.tsv", 120, 90)
    assert cost_text(cost_of([(path, [whole])])) == "2.0 min (at least 1.5 min of CPU)"
    told = cost_text(cost_of([(path, [part, tmp_path / "deleted.log"])]))
    assert told == "at least 2.0 min (at least 1.5 min of CPU)"


def test_whatever_says_that_it_continues_is_known_to_have_begun_before(tmp_path):
    """The words of the library's own lines: trainings, parts of features, parts of a catalogue."""
    lines = [
        line
        for path in (REPORT.parent / "scripts" / "galaxy_lvm").rglob("*.py")
        for line in re.findall(r'log\.info\("(continuing[^"]*)"', path.read_text(encoding="utf-8"))
    ]
    assert len(lines) >= 3
    for line in lines:
        (tmp_path / "job.log").write_text(line.replace("%d", "7").replace("%s", "state.pt"))
        assert went_on([tmp_path / "job.log"]), line


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1.0 min"),
        (3594, "59.9 min"),
        (3597, "1.0 h"),
        (3600, "1.0 h"),
        (86390, "1.0 days"),
        (180000, "2.1 days"),
    ],
)
def test_times_are_told_in_the_unit_that_people_use(seconds, told):
    assert time_text(seconds) == told


def test_what_a_figure_costs_is_told_alone_and_with_all_behind_it():
    alone, whole = Cost(1, 1, 4.0, 3.0), Cost(13, 13, 366, 312)
    text = made_again_text("CONFIG.yaml", "plot_x", "figures/x.pdf", alone, whole)
    assert "--forcerun plot_x -- figures/x.pdf``, from what its inputs are now: 4.0 s" in text
    assert "13 jobs, 6.1 min (at least 5.2 min of CPU), added up: jobs ran beside" in text
    # What needs nothing costs the same from nothing.
    assert "From nothing" not in made_again_text("CONFIG.yaml", "plot_x", "x.pdf", alone, alone)
    page = costs_html([(["Figure <1>", "Table"], "plot_x", alone, whole)])
    assert "<td>Figure &lt;1&gt;<br>Table</td><td>plot_x</td><td>4.0 s</td><td>13</td>" in page
    assert "\n" not in page, "the front page holds it in an indented block"
