"""What a script asks of Snakemake is what its rule hands on, by name: seen without running any."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def rules():
    """Return the text of every rule with a script, by its name."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        blocks = re.split(r"^(?:rule|checkpoint) (\w+):\n", path.read_text(), flags=re.M)[1:]
        for name, text in zip(blocks[::2], blocks[1::2], strict=True):
            text = re.split(r"^\S", text, maxsplit=1, flags=re.M)[0]
            if f"../scripts/{name}.py" in text:
                found[name] = text
    return found


def names_in(text, section):
    """Return the names in a section of a rule; None where a function gives them."""
    match = re.search(rf"^    {section}:\n((?:        .*\n|\n)+)", text, flags=re.M)
    body = match[1] if match else ""
    if "unpack(" in body or re.search(r"^ +\*\*", body, flags=re.M):
        return None
    return set(re.findall(r"^        (\w+)=", body, flags=re.M))


def section_of(node):
    """Return the name behind `snakemake.`, "" for anything else."""
    of_snakemake = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return node.attr if of_snakemake and node.value.id == "snakemake" else ""


def asked_names(script):
    """Return the names that a script asks for, by section, through names of its own as well."""
    nodes, alias, asked = list(ast.walk(ast.parse(script))), {}, defaultdict(set)
    for node in nodes:
        if isinstance(node, ast.Assign):
            goals, values = node.targets[0], node.value
            for goal, value in zip(
                getattr(goals, "elts", [goals]), getattr(values, "elts", [values]), strict=False
            ):
                if isinstance(goal, ast.Name) and section_of(value):
                    alias[goal.id] = section_of(value)
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr != "get":
            known = alias.get(node.value.id, "") if isinstance(node.value, ast.Name) else ""
            asked[section_of(node.value) or known].add(node.attr)
    return asked


RULES = rules()


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_script_asks_for_what_its_rule_has(name):
    found = asked_names((ROOT / "scripts" / f"{name}.py").read_text())
    for section in ("input", "output", "params"):
        there = names_in(RULES[name], section)
        if there is not None:
            assert found[section] <= there, f"{section} of {name}"
    assert all(f"{{{one}}}" in RULES[name] for one in found["wildcards"])


def test_names_of_a_scripts_own_are_followed():
    script = (
        "given, to = snakemake.input, snakemake.output\ngiven.crops\nto.page\nsnakemake.params.n"
    )
    assert asked_names(script)["input"] == {"crops"}
    assert asked_names(script)["output"] == {"page"} and asked_names(script)["params"] == {"n"}


def test_most_rules_are_seen():
    assert len(RULES) > 80 and {"train_wise", "estimate_galaxies", "train_capacity"} <= set(RULES)
