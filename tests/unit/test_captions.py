"""Captions of the report: the front page says how often the networks were trained."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import Environment, StrictUndefined

REPORT = Path(__file__).parents[2] / "report"


class Outputs(list):
    """A job's outputs, by number and by name."""

    def __getattr__(self, name):
        return f"{name}.html"


def rendered(name, n_seeds):
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
    text = (REPORT / name).read_text(encoding="utf-8")
    template = Environment(undefined=StrictUndefined).from_string(text)
    return " ".join(template.render(snakemake=made, categories=[]).split())


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


def test_names_of_categories_make_targets_that_differ():
    """Snakemake makes each a target of reStructuredText, which a colon would cut short."""
    rules = [path.read_text(encoding="utf-8") for path in (REPORT.parent / "rules").glob("*.smk")]
    names = {name for text in rules for name in re.findall(r'category="([^"]+)"', text)}
    assert len(names) > 10 and not [name for name in names if re.search(r"[:`<>_]", name)]


@pytest.mark.parametrize("name", sorted(p.name for p in REPORT.glob("*.rst")))
def test_every_caption_says_how_it_is_made_again(name):
    if name == "workflow.rst":
        return
    text = (REPORT / name).read_text(encoding="utf-8")
    assert re.search(r"--forcerun \{\{ snakemake.rule \}\} -- \{\{ snakemake.output[\[.]", text)
    assert "--configfile" in text and ("--forceall" in text) == (name != "provenance.rst")
