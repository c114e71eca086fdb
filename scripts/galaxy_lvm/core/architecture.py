"""The table of rules, scripts and modules in docs/architecture.md, read from the code.

python -m galaxy_lvm.core.architecture writes it anew; a test keeps it in step.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rules -->\n", "<!-- /rules -->\n"
# What nearly every script imports says nothing about it.
COMMON = ("core", "report")


def rules_of(chapter: Path) -> list[str]:
    """Return the names of a rule file's rules, in their order."""
    return re.findall(r"^\s*rule (\w+):", chapter.read_text(), re.MULTILINE)


def modules_of(script: Path) -> list[str]:
    """Return the modules of the library that a script imports itself, without the common ones."""
    names = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("galaxy_lvm."):
            name = node.module.removeprefix("galaxy_lvm.")
            modules = [name] if "." in name else [f"{name}.{item.name}" for item in node.names]
            names.update(m for m in modules if m.split(".")[0] not in COMMON)
    return sorted(names)


def rule_table() -> str:
    """Return the table as Markdown: one row a rule, in the order of the Snakefile."""
    lines = ["| chapter | rule and script | modules of its own |", "|---|---|---|"]
    snakefile = (ROOT / "Snakefile").read_text()
    for name in re.findall(r'^include: "rules/(\w+)\.smk"', snakefile, re.MULTILINE):
        for rule in rules_of(ROOT / "rules" / f"{name}.smk"):
            script = ROOT / "scripts" / f"{rule}.py"
            if script.exists():
                modules = ", ".join(f"`{module}`" for module in modules_of(script))
                lines.append(f"| {name} | `{rule}` | {modules} |")
    return "\n".join(lines) + "\n"


def page_with_table(page: str) -> str:
    """Return the page with the table as it is now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + rule_table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text()))
