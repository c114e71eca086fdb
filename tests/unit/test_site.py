"""make docs: the documentation as a site, all pages, no link that leads nowhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff")


def built(project: Path, site: Path) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(site),
    ]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False,
        # with bytecode beside the hooks, as most users have it
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": ""},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the project's site, strictly."""
    folder = tmp_path_factory.mktemp("site")
    done = built(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_every_page_is_there_and_in_the_navigation(site):
    front = text(site / "index.html")
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / page.with_suffix(".html").name).is_file()
        assert f'href="{page.stem}.html"' in front, page.stem


def test_links_out_of_the_folder_of_documents_hold_on_the_site(site):
    """JSON files of measurements, notebooks and the encoder's card come along."""
    for page in [site / "index.html", site / "results.html", site / "own_images.html"]:
        links = re.findall(r'href="([^"#]+)(?:#[^"]*)?"', text(page))
        own = [link for link in links if not re.match(r"[a-z]+:", link)]
        assert any("project/" in link for link in own)
        assert [link for link in own if not (page.parent / link).exists()] == []


def test_nothing_but_what_pages_name_comes_along(site):
    assert not list(site.rglob("*.safetensors")) and not list(site.rglob("site_hooks*"))


@pytest.mark.parametrize("link", ["gone.md", "tutorial.md#gone", "../config/gone.yaml"])
def test_a_link_that_leads_nowhere_stops_it(tmp_path, link):
    for name in NEEDED:
        shutil.copy(ROOT / name, tmp_path)
    for name in ("docs", "weights", "config", "notebooks", "benchmarks"):
        left_out = shutil.ignore_patterns("*.safetensors", "__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=left_out)
    with (tmp_path / "docs" / "extend.md").open("a", encoding="utf-8") as page:
        page.write(f"\n[nowhere]({link})\n")
    done = built(tmp_path, tmp_path / "site")
    assert done.returncode != 0 and "gone" in done.stdout + done.stderr


def test_the_graph_of_rules_can_be_read_without_a_network(site):
    """The theme's Mermaid takes the text away and draws it by a script from a server."""
    page = text(site / "architecture.html")
    shown = re.sub("<[^>]+>", "", page)
    assert "crop_cutouts --&gt; make_splits" in shown
    assert 'class="mermaid"' not in page
