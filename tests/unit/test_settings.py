"""The config: complete, checked, and every mistake named with its path."""

import ast
import json
import re

import pytest
import yaml
from galaxy_lvm.core.config import RunConfig, check_config, load_config
from galaxy_lvm.core.config.base import Section
from galaxy_lvm.core.config.load import CONFIG_FOLDER, merge, sizes
from galaxy_lvm.core.config.mistakes import section_in
from galaxy_lvm.core.config.render import default_yaml, page, schema, schema_yaml
from galaxy_lvm.core.config.snapshots import snapshot_yaml
from galaxy_lvm.core.errors import ConfigError

ROOT = CONFIG_FOLDER.parent
NO_GALAXIES = dict.fromkeys(("elliptical", "edge_on", "spiral", "other"), 0)
SMALLEST = {"run": "x", "datasets": {"galaxies": {"source": "mock"}}}


def with_change(change):
    config = json.loads(json.dumps(SMALLEST))
    merge(config, change)
    return config


def nested(path, value):
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def all_sections(section=RunConfig, seen=None):
    """Every section that a config may hold, this one among them."""
    seen = {} if seen is None else seen
    seen[section.__name__] = section
    for field in section.model_fields.values():
        inner = section_in(field.annotation)
        if inner and inner.__name__ not in seen:
            all_sections(inner, seen)
    return seen


@pytest.mark.parametrize("name", sorted(sizes()))
def test_complete_config_of_every_size_is_the_one_that_is_kept(name):
    """An intended change: make docs, and look at the difference of the snapshots."""
    kept = (ROOT / "tests" / "snapshots" / "config" / f"{name}.yaml").read_text()
    assert kept == snapshot_yaml(name)
    assert yaml.safe_load(kept)["run"] == name


def test_no_snapshot_is_left_of_a_size_that_is_gone():
    kept = {path.stem for path in (ROOT / "tests" / "snapshots" / "config").glob("*.yaml")}
    assert kept == set(sizes())


def test_paper_config_is_the_papers():
    config = load_config(CONFIG_FOLDER / "paper.yaml")
    assert config["lvm"]["preset"] == "lvm_base"
    assert config["lvm"]["skip_connections"] is True
    assert config["pretrain"]["objective"] == "reconstruct"
    assert config["pretrain"]["batch_size"] == 512
    assert config["pretrain"]["optim"]["optimizer"] == "adam"
    assert config["splits"]["n_train_per_class"] == 500


def test_demo_values_do_not_leak_into_the_papers_run():
    """docs/deviations.md: heads learn at the encoder's rate, the last weights are kept."""
    config = load_config(CONFIG_FOLDER / "paper.yaml")
    multitask = config["multitask"]
    assert multitask["optim"]["head_factor"] == 1.0
    assert multitask["optim"]["ema_decay"] == 0.0
    assert multitask["image_batch_size"] is None
    assert config["lenses"]["detector"]["optim"]["ema_decay"] == 0.0


def test_folder_config_says_all_that_it_needs():
    said = yaml.safe_load((CONFIG_FOLDER / "folder.yaml").read_text())
    assert said["base"] is None
    assert said["multitask"]["optim"]["head_factor"] == 2
    assert said["pretrain"]["objective"] == "contrastive"
    assert said["lvm"]["skip_connections"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sed": 1}, r"sed: no such key; did you mean 'seed'\?"),
        ({"pretrain": {"optim": {"stepz": 3}}}, r"pretrain\.optim\.stepz: no such key"),
        ({"crop": {"margin": "wide"}}, r"crop\.margin: 'wide' is not of type 'number'"),
        ({"seed": -1}, r"seed: -1 is less than the minimum of 0"),
        ({"seed": True}, r"seed: True is not of type 'integer'"),
        ({"splits": {"train": 0.9}}, r"splits: train \+ val \+ test is 1\.2, expected 1"),
        ({"tasks_dataset": "stars"}, r"tasks_dataset: 'stars' is none of the datasets"),
        ({"pretrain_datasets": ["stars"]}, r"pretrain_datasets.0: 'stars' is none of the datasets"),
        ({"extensions": {"search_dataset": "s"}}, r"extensions\.search_dataset: 's' is none of"),
        ({"hitl": {"comparison_dataset": "b"}}, r"hitl\.comparison_dataset: 'b' is none of"),
        ({"hitl": {"discovery_dataset": "bgs"}}, r"hitl\.discovery_dataset: 'bgs' is none of"),
        ({"hitl": {"comparison": {"target": "bar"}}}, r"hitl\.comparison\.target: 'bar' is none"),
        ({"datasets": {"galaxies": {"source": "folder"}}}, r"datasets\.galaxies\.data_dir: needed"),
        ({"datasets": {"galaxies": {"source": "ssl_legacysurvey"}}}, r"datasets\.galaxies\.path"),
        ({"datasets": {"Mine": {"source": "mock"}}}, r"datasets\.Mine: 'Mine' does not match"),
        ({"fewshot": {"dataset": "bgs"}}, r"fewshot\.dataset: 'bgs' is none of the datasets"),
        ({"fewshot": {"sizes": [10, 10]}}, r"fewshot\.sizes: names 10 twice"),
        ({"fewshot": {"models": []}}, r"fewshot\.models: \[\] is too short, expected at least 1"),
        ({"fewshot": {"models": [{"model": 1}]}}, r"fewshot\.models\.0\.model: 1 is not of type"),
        ({"mock": {"n_lenses": 900}}, r"mock\.n_lenses: 900 lenses among about 500 ellipticals"),
        (
            {"mock": {"class_fractions": NO_GALAXIES}},
            r"mock\.class_fractions: the shares are all 0",
        ),
        ({"multitask": {"patch_side_pix": 256}}, r"multitask\.patch_side_pix: 256 is above .* 128"),
        ({"crop": {"side_pix": 32}}, r"multitask\.patch_side_pix: 64 is above .* 32"),
        (
            {"datasets": {"galaxies": {"source": "mock", "crop": {"side_pix": 32}}}},
            r"multitask\.patch_side_pix: 64 is above the side of the crops of 'galaxies', 32",
        ),
        (
            {"reconstruction": {"patch_sizes_pix": [4, 100]}},
            r"reconstruction\.patch_sizes_pix: 100 is above multitask\.patch_side_pix, 64",
        ),
        ({"multitask": {"optim": {"optimizer": "adam"}}}, r"multitask\.optim\.weight_decay: 0\.05"),
        (
            {"lenses": {"detector": {"optim": {"optimizer": "adam"}}}},
            r"detector\.optim\.weight_decay",
        ),
        (
            {"datasets": {"galaxies": {"source": "mock", "classes": "zoo"}}},
            r"datasets\.galaxies\.classes: 'zoo' is none of the class_schemes",
        ),
        ({"pretrain": {"view_side_pix": 70}}, r"pretrain\.view_side_pix: 70 is no multiple of 32"),
        ({"classification": {"view_side_pix": 48}}, r"classification\.view_side_pix: 48 is no"),
        ({"multitask": {"patch_side_pix": 40}}, r"multitask\.patch_side_pix: 40 is no multiple"),
        ({"multitask": {"lag": "mine"}}, r"multitask\.lag: 'mine' is none of 'paper'"),
        (
            {"pretrain": {"views": {"zoom_min": 2}}},
            r"pretrain\.views\.zoom_min: 2 is above zoom_max",
        ),
        (
            {"restoration": {"fwhm_min_pix": 9}},
            r"restoration\.fwhm_min_pix: 9 is above fwhm_max_pix",
        ),
        ({"restoration": {"noise_sigma_min": 20}}, r"restoration\.noise_sigma_min: 20 is above"),
        ({"reconstruction": {"fraction_min": 0.8}}, r"reconstruction\.fraction_min: 0\.8 is above"),
        (
            {"lenses": {"fields": {"source": "candidates"}}},
            r"lenses\.candidates\.tables: needed by",
        ),
        ({"lenses": {"detector": {"train_sizes": [999]}}}, r"lenses\.detector\.train_sizes: 999"),
        ({"lenses": {"detector": {"anchor_sides_pix": [8]}}}, r"anchor_sides_pix: 1 sides for 3"),
        (
            {"lenses": {"fields": {"source": "none"}, "search": {"images": "x"}}},
            r"lenses\.search: no",
        ),
        ({"lenses": {"search": {"images": "x", "positions": "y"}}}, r"lenses\.search: give images"),
        (
            {"lenses": {"search": {"backbone": "vgg"}}},
            r"lenses\.search\.backbone: 'vgg' is none of",
        ),
        ({"lenses": {"search": {"overlap_pix": 99}}}, r"lenses\.search\.overlap_pix: 99 is above"),
        (
            {"lenses": {"fields": {"mock": {"einstein_radius_min_arcsec": 4}}}},
            r"lenses\.fields\.mock\.einstein_radius_min_arcsec: 4 is not below",
        ),
        (
            {"lenses": {"fields": {"mock": {"source_mag_r_faint": 21}}}},
            r"lenses\.fields\.mock\.source_mag_r_bright: 22 is not below",
        ),
        (
            {"lenses": {"candidates": {"empty_min_arcsec": 400}}},
            r"candidates\.empty_min_arcsec: 400",
        ),
        ({"class_schemes": {"own": [{"clas": "a"}]}}, r"class_schemes\.own\.0\.clas: no such key"),
        (
            {"class_schemes": {"own": [{"class": "a", "where": [{"column": "c", "min": 1}]}] * 2}},
            r"class_schemes\.own: a class occurs twice",
        ),
        (
            {"hitl": {"targets": {"a": {"where": [{"column": "c"}]}}}},
            r"where\.0: 'c' needs min, max",
        ),
        (
            {"hitl": {"targets": {"a": {"where": [{"column": "c", "min": 2, "max": 1}]}}}},
            r"hitl\.targets\.a\.where\.0\.min: 2 is above max, 1",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_path(change, message):
    with pytest.raises(ConfigError, match=message):
        check_config(with_change(change))


def test_all_mistakes_are_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        check_config({"run": "a b", "datasets": {}, "seed": "one"})
    assert len(re.findall(r"^  ", str(caught.value), flags=re.M)) == 3


def test_contradictions_of_sections_are_listed_beside_other_mistakes():
    with pytest.raises(ConfigError) as caught:
        check_config(with_change({"splits": {"train": 0.9}, "mock": {"n_lenses": 900}, "sed": 1}))
    assert len(re.findall(r"^  ", str(caught.value), flags=re.M)) == 3


def test_own_class_schemes_stand_beside_those_that_every_config_has():
    where = [{"column": "c", "min": 1}]
    own = [{"class": "a", "where": where}, {"class": "b", "where": where}]
    schemes = check_config(with_change({"class_schemes": {"mine": own}}))["class_schemes"]
    assert schemes["mine"] == own
    assert {"galaxy_zoo_decals", "galaxy_zoo_2", "simulated"} < set(schemes)


def test_every_key_is_described_and_closed():
    for name, section in all_sections().items():
        assert issubclass(section, Section) and section.__doc__, name
        assert section.model_config["extra"] == "forbid" and section.model_config["frozen"], name
        for key, field in section.model_fields.items():
            assert field.description and "\n" not in field.description, f"{name}.{key}"


def test_no_section_says_a_key_twice():
    """Python takes the last of two fields of one name without a word."""
    for path in sorted((ROOT / "scripts/galaxy_lvm/core/config").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                said = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign)]
                assert len(said) == len(set(said)), f"{path.name}: {node.name}"


def test_defaults_are_within_their_limits():
    """Pydantic does not look at defaults: given explicitly they have to pass as well."""
    complete = check_config(SMALLEST)
    assert check_config(complete) == complete


def test_files_written_from_the_models_are_in_step():
    """Mended by: make docs."""
    assert (CONFIG_FOLDER / "config.schema.yaml").read_text() == schema_yaml()
    assert (CONFIG_FOLDER / "defaults.yaml").read_text() == default_yaml()
    assert (ROOT / "docs" / "config.md").read_text() == page()
    assert "## `datasets, each entry`" in page() and "| `n_shards` |" in page()


def test_default_file_is_a_config_with_every_default():
    made = load_config(CONFIG_FOLDER / "defaults.yaml")
    assert made == check_config({**SMALLEST, "run": made["run"]})


def test_schema_for_editors_accepts_what_the_models_accept():
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schema())
    for path in sizes().values():
        assert not list(validator.iter_errors(yaml.safe_load(path.read_text()))), path
    assert list(validator.iter_errors({"sed": 1}))
    assert list(validator.iter_errors({"crop": {"centre_fraction": 0.5}}))


@pytest.mark.parametrize("fraction", [0.005, 0.45])
def test_allowed_reach_of_the_crops_centre_works_on_small_frames(fraction):
    np = pytest.importorskip("numpy")
    from galaxy_lvm.survey.crops import adaptive_box

    settings = RunConfig(**with_change(nested("crop.centre_fraction", fraction))).crop
    y, x = np.mgrid[:32, :32] - 16
    frame = np.repeat(np.exp(-np.hypot(x, y) / 3)[..., None] * 200, 3, axis=2).astype(np.uint8)
    assert adaptive_box(frame, settings) is not None


@pytest.mark.parametrize("value", [0.5, 0.46, 0.004])
def test_reach_of_the_crops_centre_that_leaves_the_frame_is_refused(value):
    with pytest.raises(ConfigError, match=r"crop\.centre_fraction"):
        check_config(with_change(nested("crop.centre_fraction", value)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pretrain.batch_size", 6),
        ("multitask.batch_size", 10),
        ("multitask.image_batch_size", 2),
    ],
)
def test_a_batch_that_the_gpus_cannot_share_equally_is_refused(key, value):
    fitting = with_change(nested(key, value))
    check_config(fitting | {"gpus": 1})
    with pytest.raises(ConfigError, match=rf" {re.escape(key)}: {value} is no multiple of gpus"):
        check_config(fitting | {"gpus": 4})
    check_config(with_change(nested(key, 8)) | {"gpus": 4})


def test_a_batch_is_shared_by_gpus_and_by_the_parts_of_a_step():
    fitting = with_change({"pretrain": {"batch_size": 24, "accumulate": 3}}) | {"gpus": 4}
    check_config(fitting)
    message = r"pretrain\.batch_size: 20 is no multiple of gpus x accumulate, 12"
    with pytest.raises(ConfigError, match=message):
        check_config(with_change({"pretrain": {"batch_size": 20, "accumulate": 3}}) | {"gpus": 4})


@pytest.mark.parametrize("objective", ["momentum", "byol"])
def test_parts_of_a_step_would_move_an_average_too_often(objective):
    fitting = with_change({"pretrain": {"objective": objective, "batch_size": 24}})
    check_config(fitting)
    fitting["pretrain"]["accumulate"] = 2
    with pytest.raises(ConfigError, match=rf"accumulate: 2 does not go with '{objective}'"):
        check_config(fitting)


def test_a_detector_is_trained_on_one_gpu_whatever_its_batch():
    check_config(with_change({"lenses": {"detector": {"batch_size": 7}}}) | {"gpus": 4})


@pytest.mark.parametrize(("gpus", "nodes"), [(8, 3), (1, 2), (0, 2)])
def test_nodes_have_equally_many_gpus(gpus, nodes):
    check_config({**with_change({}), "gpus": 8, "nodes": 2})
    with pytest.raises(ConfigError, match=rf"nodes: {gpus} GPUs.*{nodes} nodes"):
        check_config({**with_change({}), "gpus": gpus, "nodes": nodes})
