"""The config: complete, checked, and every mistake named with its path."""

import re
from pathlib import Path

import pytest
import yaml
from galaxy_lvm.core.config import SCHEMA_PATH, check_config, load_config
from galaxy_lvm.core.errors import ConfigError

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "config" / "config.yaml"


@pytest.mark.parametrize("name", ["config", "test", "paper", "lenses", "fewshot", "discovery"])
def test_shipped_configs_are_valid(name):
    config = load_config(DEMO, ROOT / "config" / f"{name}.yaml")
    assert config["run"] == {"config": "demo"}.get(name, name)


def test_paper_config_is_the_papers():
    config = load_config(DEMO, ROOT / "config" / "paper.yaml")
    assert config["lvm"]["preset"] == "lvm_base"
    assert config["lvm"]["skip_connections"] is True
    assert config["pretrain"]["objective"] == "reconstruct"
    assert config["pretrain"]["batch_size"] == 512
    assert config["pretrain"]["optim"]["optimizer"] == "adam"
    assert config["splits"]["n_train_per_class"] == 500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sed": 1}, r"sed: no such key; did you mean 'seed'\?"),
        ({"pretrain": {"optim": {"stepz": 3}}}, r"pretrain\.optim\.stepz: no such key"),
        ({"crop": {"margin": "wide"}}, r"crop\.margin: 'wide' is not of type 'number'"),
        ({"seed": -1}, r"seed: -1 is less than the minimum"),
        ({"splits": {"train": 0.9}}, r"splits: train \+ val \+ test is 1\.2, expected 1"),
        ({"tasks_dataset": "stars"}, r"tasks_dataset: 'stars' is none of the datasets"),
        ({"hitl": {"discovery_dataset": "bgs"}}, r"hitl\.discovery_dataset: 'bgs' is none of"),
        ({"hitl": {"comparison": {"target": "bar"}}}, r"hitl\.comparison\.target: 'bar' is none"),
        ({"datasets": {"galaxies": {"source": "folder"}}}, r"datasets\.galaxies\.data_dir"),
        ({"fewshot": {"dataset": "bgs"}}, r"fewshot\.dataset: 'bgs' is none of the datasets"),
        ({"mock": {"n_lenses": 900}}, r"mock\.n_lenses: 900 lenses among about 500 ellipticals"),
        ({"multitask": {"optim": {"optimizer": "adam"}}}, r"multitask\.optim\.weight_decay: 0\.05"),
        (
            {"datasets": {"galaxies": {"source": "mock", "classes": "zoo"}}},
            r"datasets\.galaxies\.classes: 'zoo' is none of the class_schemes",
        ),
        ({"pretrain": {"view_side_pix": 70}}, r"pretrain\.view_side_pix: 70 is no multiple of 32"),
    ],
)
def test_mistakes_are_named_with_their_path(change, message):
    config = yaml.safe_load("{run: x, datasets: {galaxies: {source: mock}}}")
    config.update(change)
    with pytest.raises(ConfigError, match=message):
        check_config(config)


def test_all_mistakes_are_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        check_config({"run": "a b", "datasets": {}, "seed": "one"})
    assert len(re.findall(r"^  ", str(caught.value), flags=re.M)) == 3


def test_every_key_is_described_and_closed():
    def walk(node, path):
        if node.get("type") == "object":
            assert "additionalProperties" in node, path
        for key, part in node.get("properties", {}).items():
            assert part.get("description"), f"{path}.{key}"
            assert "default" in part or part.get("properties") or key in ("run", "datasets"), key
            walk(part, f"{path}.{key}")

    walk(yaml.safe_load(SCHEMA_PATH.read_text()), "")


def test_settings_match_the_classes_that_read_them():
    """A key of the schema that no class reads, or the other way round, is a silent default."""
    from dataclasses import fields

    from galaxy_lvm.multitask.degrade import BlurRecipe, MaskRecipe
    from galaxy_lvm.simulation.survey import MockSettings
    from galaxy_lvm.survey.crops import CropSettings
    from galaxy_lvm.survey.folder import FolderSettings
    from galaxy_lvm.survey.splits import SplitSettings
    from galaxy_lvm.training.augment import ViewRecipe
    from galaxy_lvm.training.loop import OptimSettings

    schema = yaml.safe_load(SCHEMA_PATH.read_text())["properties"]
    views = schema["pretrain"]["properties"]["views"]
    pairs = [
        (schema["crop"], CropSettings, set()),
        (schema["folder"], FolderSettings, set()),
        (schema["mock"], MockSettings, set()),
        (schema["splits"], SplitSettings, set()),
        (schema["restoration"], BlurRecipe, set()),
        (schema["reconstruction"], MaskRecipe, set()),
        (schema["pretrain"]["properties"]["optim"], OptimSettings, set()),
        (views, ViewRecipe, {"side_pix"}),
    ]
    for part, settings_class, elsewhere in pairs:
        names = {field.name for field in fields(settings_class)}
        assert set(part["properties"]) == names - elsewhere, settings_class.__name__
