"""Written from the models: a schema for editors, a commented default file, a page of docs."""

import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from galaxy_lvm.core.config.load import check_config
from galaxy_lvm.core.config.run import RunConfig

ORIGIN = "Written from the models in scripts/galaxy_lvm/core/config: make docs"
EXAMPLE = {"run": "my_run", "datasets": {"galaxies": {"source": "mock"}}}
"""The keys without a default, in the default file."""
BASE = {
    "description": (
        "what this config lies over - a name (demo, folder, paper, ...), the path of a config "
        "file, or null for the defaults alone"
    ),
    "anyOf": [{"type": "string"}, {"type": "null"}],
    "default": None,
}
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "pattern": "matches `{}`",
    "minItems": "entries: at least {}",
    "maxItems": "entries: at most {}",
    "minProperties": "entries: at least {}",
}
WIDTH = 100


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of a config file, which may leave out what its base says."""
    found = _without_titles(RunConfig.model_json_schema(by_alias=True))
    found["properties"] = {"base": BASE, **found["properties"]}
    del found["required"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _without_titles(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    # A key of the config may itself be called title; only texts are pydantic's own.
    kept = {k: v for k, v in node.items() if not (k == "title" and isinstance(v, str))}
    return {key: _without_titles(value) for key, value in kept.items()}


def schema_yaml() -> str:
    """Return the schema as a YAML file."""
    text = yaml.safe_dump(schema(), sort_keys=False, width=WIDTH, allow_unicode=True)
    return f"# {ORIGIN}\n{text}"


def default_yaml() -> str:
    """Return a config file with every key, its default, and what it means."""
    lines = [f"# Every key with its default. {ORIGIN}"]
    lines += _commented(schema(), {"base": None, **check_config(EXAMPLE)}, "")
    return "\n".join(lines) + "\n"


def _commented(node: dict[str, Any], values: dict[str, Any], indent: str) -> Iterator[str]:
    for key, part in node["properties"].items():
        inner = _section(part)
        about = " - ".join(filter(None, [_meaning(part), _limits(part)]))
        width = max(40, WIDTH - len(indent) - 2)
        yield from (f"{indent}# {line}" for line in textwrap.wrap(about, width))
        if inner and inner["properties"] and values[key]:
            yield f"{indent}{key}:"
            yield from _commented(inner, values[key], indent + "  ")
            continue
        text = yaml.safe_dump({key: values[key]}, sort_keys=False, width=WIDTH, allow_unicode=True)
        yield from (indent + line for line in text.rstrip().split("\n"))


def page() -> str:
    """Return the page of the documentation: one table a section."""
    head = [
        "# Every key of a config",
        "",
        f"{ORIGIN}. [`config/defaults.yaml`](../config/defaults.yaml) has the same as a file.",
        "",
        "A config file says what differs from its `base`, and a base what differs from its own; "
        "one that names none stands on the defaults below alone. Several files behind "
        "`--configfile` lie over each other in their order, `--config` over all of them.",
    ]
    return "\n".join([*head, *_tables("", schema(), None)]) + "\n"


def _tables(path: str, node: dict[str, Any], about: str | None) -> Iterator[str]:
    rows, inner = [], []
    for key, part in node["properties"].items():
        section, entries = _section(part), _entries(part)
        place = f"{path}.{key}" if path else key
        if section:
            inner.append((place, section, _meaning(part)))
            continue
        if entries:
            inner.append((f"{place}, each entry", entries, None))
        default = "needed" if key in _needed(node, path) else _default(part)
        cells = [f"`{key}`", _type(part), default, _limits(part), _meaning(part)]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if rows:
        yield from ["", f"## `{path}`" if path else "## The run", ""]
        if about:
            yield from [about[0].upper() + about[1:] + ".", ""]
        yield from ["| key | type | default | limits | meaning |", "|---|---|---|---|---|", *rows]
    for place, section, text in inner:
        yield from _tables(place, section, text)


def _needed(node: dict[str, Any], path: str) -> list[str]:
    return node.get("required", []) if path else list(EXAMPLE)


def _referred(part: dict[str, Any]) -> dict[str, Any] | None:
    name = part.get("$ref", "").rpartition("/")[2]
    return schema()["$defs"][name] if name else None


def _section(part: dict[str, Any]) -> dict[str, Any] | None:
    """Return the section that a key holds, if it is one."""
    return _referred(part)


def _entries(part: dict[str, Any]) -> dict[str, Any] | None:
    """Return the section that the entries of a list or a mapping are, if they are one."""
    for choice in _choices(part):
        # Names that have to look in a certain way are patterns of the schema.
        by_name = next(iter(choice.get("patternProperties", {}).values()), None)
        values = choice.get("items") or choice.get("additionalProperties") or by_name
        while isinstance(values, dict) and "$ref" not in values:
            values = values.get("items")
        if values:
            return _referred(values)
    return None


def _choices(part: dict[str, Any]) -> list[dict[str, Any]]:
    return part.get("anyOf", [part])


def _type(part: dict[str, Any]) -> str:
    return " or ".join(_plain_type(choice) for choice in _choices(part))


def _plain_type(part: dict[str, Any]) -> str:
    if "enum" in part or "const" in part:
        return ", ".join(f"`{value}`" for value in part.get("enum", [part.get("const")]))
    if part.get("type") == "array":
        return f"list of {_type(part['items'])}"
    if part.get("type") == "object":
        return "names with entries"
    return {"null": "null", "string": "text", "boolean": "true or false", None: "entry"}.get(
        part.get("type"), part.get("type", "")
    )


def _default(part: dict[str, Any]) -> str:
    if "default" not in part:
        return "see defaults.yaml"
    text = yaml.safe_dump(part["default"], default_flow_style=True, width=10_000).strip()
    text = text.removesuffix("...").strip()
    return f"`{text}`" if len(text) <= 60 else "see defaults.yaml"


def _limits(part: dict[str, Any]) -> str:
    found = []
    for choice in _choices(part):
        found += [text.format(choice[key]) for key, text in LIMITS.items() if key in choice]
        items = choice.get("items", {})
        found += [f"each {text.format(items[k])}" for k, text in LIMITS.items() if k in items]
        found += ["no entry twice"] if choice.get("uniqueItems") else []
    return ", ".join(found)


def _meaning(part: dict[str, Any]) -> str:
    return part.get("description") or (_referred(part) or {}).get("description", "")


def write_all(root: Path) -> list[Path]:
    """Write the three files below a checkout and return their paths."""
    texts = {
        root / "config" / "config.schema.yaml": schema_yaml(),
        root / "config" / "defaults.yaml": default_yaml(),
        root / "docs" / "config.md": page(),
    }
    for path, text in texts.items():
        path.write_text(text)
    return list(texts)
