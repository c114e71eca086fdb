"""What is written for readers: links lead somewhere, README is short, its numbers are a run's."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for folder in (".", "config", "docs", "weights") for path in (ROOT / folder).glob("*.md")
)
README_LINES = 120


def anchors(page: Path) -> set[str]:
    """Return what a link may jump to: headings as the usual viewers name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^    .*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(found), f"{page.name}: {target}"


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


def write_readme_table():
    """Return benchmarks/write_readme_table.py as a module."""
    path = ROOT / "benchmarks" / "write_readme_table.py"
    spec = importlib.util.spec_from_file_location("write_readme_table", path)
    written = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(written)
    return written


def test_the_table_of_readme_follows_from_the_summary_of_a_run():
    written = write_readme_table()
    table = written.table_of(written.SUMMARY.read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin, end = (readme.index(mark) for mark in written.MARKS)
    assert readme[begin + len(written.MARKS[0]) : end].strip() == table


def test_the_origin_of_a_summary_tells_cpu_as_at_least_so_much(tmp_path):
    """Snakemake's benchmarks miss what a job did after they last looked."""
    about = {"commit": "0123456789", "last job ended": "2026-01-01 00:00 UTC"}
    machine = {"cores": "2", "instructions": "AVX2"}
    costs = [{"cpu_s": 90.0}, {"cpu_s": None}, {"cpu_s": 150.0}]
    record = {"Run": about, "Machine that made this page": machine, "costs": costs}
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "provenance.json").write_text(json.dumps(record))
    assert "(AVX2), at least 4 minutes of CPU in its jobs." in write_readme_table().origin(tmp_path)


def test_a_dead_link_would_be_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Some words\n\n[here](#some-words) [gone](gone.md)\n")
    with pytest.raises(AssertionError, match=r"gone\.md"):
        test_links_lead_somewhere(page)
    page.write_text("[gone](#gone)\n")
    with pytest.raises(AssertionError, match="#gone"):
        test_links_lead_somewhere(page)


def written_commands():
    """Yield every `snakemake` command of pages, configs and rules: file and words."""
    files = [*PAGES, ROOT / "Snakefile", *(ROOT / "config").glob("*.yaml")]
    files += (ROOT / "rules").glob("*.smk")
    for path in sorted(files):
        text = path.read_text(encoding="utf-8")
        spans = re.findall(r"`+snakemake\s(-[^`]+)`", text)
        lines = re.findall(r"^(?:    |# |)snakemake (-[^`\n]*)$", text, re.MULTILINE)
        for said in spans + lines:
            yield path.name, shlex.split(re.split(r"\s#|\s\s+", said.replace("\n", " "))[0])


def test_every_command_that_is_written_is_understood_as_meant():
    """`--configfile` and `--config` take all words up to the next option, a target as well."""
    parser, commands = get_argument_parser(), list(written_commands())
    assert len(commands) > 60
    for place, words in commands:
        if "--profile" in words:  # which adds options of its own
            words = [w for w in words if not w.startswith("--slurm")]
        try:
            told = parser.parse_args(words)
        except SystemExit:
            pytest.fail(f"{place}: snakemake {shlex.join(words)}")
        strange = [
            str(f) for f in told.configfile or [] if not str(f).endswith((".yaml", "CONFIG"))
        ]
        assert strange == [], place
        assert not [t for t in told.targets if t.startswith("-") or "=" in t], place
        assert all("=" in str(given) for given in told.config or []), place
