"""MkDocs hooks: README is the front page, and files that pages link to outside of docs/ come along.

Pages are written for whoever reads them in the repository; their links hold on the site too.
"""

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
FRONT = "index.md"
# Where files from outside of docs/ lie on the site.
OUTSIDE = "project"
EXTRA_PAGES = ("weights/README.md", "CONTRIBUTING.md", "CHANGELOG.md")
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_CODE = re.compile(r"^(?: {4}[^\n]*|```.*?^```)$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the front page, the pages from elsewhere and every file that a page links to."""
    pages = [file.src_uri for file in files.documentation_pages()]
    _add(files, config, FRONT, ROOT / "README.md")
    for name in EXTRA_PAGES:
        _add(files, config, f"{OUTSIDE}/{name}", ROOT / name)
    for page in [*pages, FRONT, *(f"{OUTSIDE}/{name}" for name in EXTRA_PAGES)]:
        for target in linked(page):
            if (uri := uri_of(target)).startswith(f"{OUTSIDE}/") and not files.get_file_from_path(
                uri
            ):
                _add(files, config, uri, target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let a page's links lead to where their files lie on the site."""
    source = source_of(page.file.src_uri)
    here = PurePosixPath(page.file.src_uri).parent

    def moved(match: re.Match) -> str:
        target = target_of(source, match[2])
        if target is None or not target.is_file():
            return match[0]  # strict mode complains of what does not exist
        return f"{match[1]}{os.path.relpath(uri_of(target), here)}{match[3]}"

    return _outside_of_code(markdown, lambda text: _LINK.sub(moved, text))


def linked(page: str) -> list[Path]:
    """Return the project's files that a page of the site links to."""
    source, found = source_of(page), []
    text = _CODE.sub("", source.read_text(encoding="utf-8"))
    for match in _LINK.finditer(text):
        target = target_of(source, match[2])
        if target is not None and target.is_file():
            found.append(target)
    return found


def source_of(uri: str) -> Path:
    """Return the project's file behind a page of the site."""
    if uri == FRONT:
        return ROOT / "README.md"
    if uri.startswith(f"{OUTSIDE}/"):
        return ROOT / uri.removeprefix(f"{OUTSIDE}/")
    return ROOT / "docs" / uri


def uri_of(path: Path) -> str:
    """Return where a file of the project lies on the site."""
    name = path.relative_to(ROOT).as_posix()
    if name == "README.md":
        return FRONT
    return name.removeprefix("docs/") if name.startswith("docs/") else f"{OUTSIDE}/{name}"


def target_of(source: Path, link: str) -> Path | None:
    """Return the file of the project that a link means; None for addresses; README of a folder."""
    if re.match(r"[a-z]+:", link):
        return None
    path = (source.parent / link).resolve()
    path = path / "README.md" if path.is_dir() else path
    return path if path.is_relative_to(ROOT) else None


def _add(files: Files, config: MkDocsConfig, uri: str, source: Path) -> None:
    files.append(File.generated(config, uri, abs_src_path=str(source)))


def _outside_of_code(text: str, change) -> str:
    parts, end = [], 0
    for match in _CODE.finditer(text):
        parts += [change(text[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*parts, change(text[end:])])
