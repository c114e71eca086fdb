"""The config: defaults from the schema, and a check that names every key at fault."""

import difflib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from galaxy_lvm.core.errors import ConfigError

SCHEMA_PATH = Path(__file__).parents[3] / "config" / "config.schema.yaml"


def load_config(*paths: str | os.PathLike) -> dict[str, Any]:
    """Read config files, later ones over earlier ones, key by key, and check the result."""
    config: dict[str, Any] = {}
    for path in paths:
        merge(config, yaml.safe_load(Path(path).read_text()) or {})
    return check_config(config)


def merge(base: dict[str, Any], over: dict[str, Any]) -> None:
    """Write `over` into `base`, mappings key by key, as Snakemake does with `--configfile`."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value


def check_config(config: dict[str, Any], schema_path: Path = SCHEMA_PATH) -> dict[str, Any]:
    """Fill in defaults, in place, and refuse a config with any mistake in it.

    Parameters
    ----------
    config
        Merged config of a run.
    schema_path
        JSON schema in YAML.

    Returns
    -------
    dict
        The same config, complete.

    Raises
    ------
    ConfigError
        One line per mistake: the key's path, what stands there, what was expected.
    """
    schema = yaml.safe_load(schema_path.read_text())
    _fill_defaults(config, schema)
    errors = sorted(Draft202012Validator(schema).iter_errors(config), key=lambda e: e.json_path)
    lines = [line for error in errors for line in _describe(error)]
    lines += _contradictions(config) if not lines else []
    if lines:
        raise ConfigError(
            "the config has mistakes; nothing was started\n  "
            + "\n  ".join(lines)
            + "\nEvery key is described in config/config.schema.yaml."
        )
    return config


def _fill_defaults(config: dict[str, Any], schema: dict[str, Any]) -> None:
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            config.setdefault(key, part["default"])
        elif part.get("type") == "object" and part.get("properties"):
            config.setdefault(key, {})
        if isinstance(config.get(key), dict):
            _fill_defaults(config[key], part)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        for key, value in config.items():
            if key not in schema.get("properties", {}) and isinstance(value, dict):
                _fill_defaults(value, extra)


def _describe(error: ValidationError) -> Iterator[str]:
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in sorted(set(error.instance) - set(known)):
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"
            yield f"{path + '.' if path else ''}{key}: no such key{hint}"
        return
    about = error.schema.get("description", "")
    yield f"{path or '(top)'}: {error.message}" + (f" - {about}" if about else "")


def _dataset_contradictions(config: dict[str, Any]) -> Iterator[str]:
    for name, dataset in config["datasets"].items():
        source = dataset["source"]
        if source == "folder" and not (dataset["data_dir"] or config["data_dir"]):
            yield f"datasets.{name}.data_dir: needed by source 'folder' (or --config data_dir=...)"
        if source == "ssl_legacysurvey" and not dataset["path"]:
            yield f"datasets.{name}.path: needed by source 'ssl_legacysurvey' (an HDF5 file)"
        scheme = dataset["classes"]
        if scheme is not None and scheme not in config["class_schemes"]:
            known = ", ".join(config["class_schemes"])
            yield f"datasets.{name}.classes: {scheme!r} is none of the class_schemes {known}"
    hitl = config["hitl"]
    chosen = {key: config[key] for key in ("tasks_dataset", "pretrain_dataset")}
    chosen["fewshot.dataset"] = config["fewshot"]["dataset"]
    chosen["extensions.search_dataset"] = config["extensions"]["search_dataset"]
    chosen |= {f"hitl.{key}": hitl[key] for key in ("comparison_dataset", "discovery_dataset")}
    for path, name in chosen.items():
        # The schema says where there may be none.
        if name not in (None, *config["datasets"]):
            yield f"{path}: {name!r} is none of the datasets {sorted(config['datasets'])}"


def _mock_contradictions(mock: dict[str, Any]) -> Iterator[str]:
    shares = mock["class_fractions"]
    total = sum(shares.values())
    if total <= 0:
        yield "mock.class_fractions: the shares are all 0"
        return
    n_elliptical = math.ceil(mock["n_galaxies"] * shares["elliptical"] / total)
    if mock["n_lenses"] > n_elliptical:
        yield (
            f"mock.n_lenses: {mock['n_lenses']} lenses among about {n_elliptical} ellipticals; "
            "raise mock.n_galaxies or mock.class_fractions.elliptical"
        )


def _optim_contradictions(config: dict[str, Any]) -> Iterator[str]:
    sections = {
        name: config[name]["optim"] for name in ("pretrain", "multitask", "reference", "fewshot")
    }
    sections["lenses.detector"] = config["lenses"]["detector"]["optim"]
    for name, optim in sections.items():
        if optim["optimizer"] == "adam" and optim["weight_decay"]:
            yield f"{name}.optim.weight_decay: {optim['weight_decay']} needs optimizer 'adamw'; 0?"


def _contradictions(config: dict[str, Any]) -> Iterator[str]:
    """Yield what a schema cannot say: keys that do not go together."""
    split = config["splits"]
    total = split["train"] + split["val"] + split["test"]
    if abs(total - 1) > 1e-6:
        yield f"splits: train + val + test is {total:g}, expected 1"
    yield from _dataset_contradictions(config)
    yield from _mock_contradictions(config["mock"])
    yield from _optim_contradictions(config)
    yield from _lens_contradictions(config["lenses"])
    hitl = config["hitl"]
    target = hitl["comparison"]["target"]
    if hitl["targets"] is not None and target not in (None, *hitl["targets"]):
        yield f"hitl.comparison.target: {target!r} is none of {sorted(hitl['targets'])}"
    coarsest = 4 * 2 ** (len(config["lvm"]["depths"] or [0] * 4) - 1)
    for section, key in (
        ("pretrain", "view_side_pix"),
        ("classification", "view_side_pix"),
        ("multitask", "patch_side_pix"),
    ):
        if config[section][key] % coarsest:
            yield f"{section}.{key}: {config[section][key]} is no multiple of {coarsest} pixels"


def _lens_contradictions(lenses: dict[str, Any]) -> Iterator[str]:
    fields, search, detector = lenses["fields"], lenses["search"], lenses["detector"]
    if fields["source"] == "candidates" and not lenses["candidates"]["tables"]:
        yield "lenses.candidates.tables: needed by lenses.fields.source 'candidates'"
    if max(detector["train_sizes"]) > fields["n_train"]:
        yield (
            f"lenses.detector.train_sizes: {max(detector['train_sizes'])} fields, but "
            f"lenses.fields.n_train is {fields['n_train']}"
        )
    if fields["source"] == "none" and (search["images"] or search["positions"]):
        yield (
            "lenses.search: nothing would be searched, lenses.fields.source 'none' trains no "
            "detector; search with one of another run: python scripts/detect_lenses.py --help"
        )
    if search["images"] and search["positions"]:
        yield "lenses.search: give images or positions, not both"
    if search["backbone"] not in detector["backbones"]:
        yield (
            f"lenses.search.backbone: {search['backbone']!r} is none of "
            f"lenses.detector.backbones {detector['backbones']}"
        )
