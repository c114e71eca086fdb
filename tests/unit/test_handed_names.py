"""What a script asks of Snakemake is what its rule hands on, by name: seen without running any."""

import re
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
    if "unpack(" in body:
        return None
    return set(re.findall(r"^        (\w+)=", body, flags=re.M))


RULES = rules()


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_script_asks_for_what_its_rule_has(name):
    script = (ROOT / "scripts" / f"{name}.py").read_text()
    for section in ("input", "output", "params"):
        there = names_in(RULES[name], section)
        asked = set(re.findall(rf"snakemake\.{section}\.(\w+)", script)) - {"get"}
        if there is not None:
            assert asked <= there, f"{section} of {name}"
    asked = set(re.findall(r"snakemake\.wildcards\.(\w+)", script))
    assert all(f"{{{one}}}" in RULES[name] for one in asked)


def test_most_rules_are_seen():
    assert len(RULES) > 80 and {"train_wise", "estimate_galaxies", "train_capacity"} <= set(RULES)
