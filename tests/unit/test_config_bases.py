"""Config files over each other: bases, their chains, files in their order, the command line."""

from pathlib import Path

import pytest
import yaml
from galaxy_lvm.core.config import load_config, merge, resolve, type_command_line
from galaxy_lvm.core.config.load import read, sizes
from galaxy_lvm.core.config.profile import check_profile, profiles_of
from galaxy_lvm.core.errors import ConfigError
from snakemake.cli import parse_config

ROOT = Path(__file__).parents[2]
OWN = {"run": "mine", "datasets": {"galaxies": {"source": "mock"}}}


def write(path, **content):
    path.write_text(yaml.safe_dump(content))
    return path


def test_without_a_file_it_is_the_demo():
    assert load_config() == load_config(ROOT / "config" / "demo.yaml") == resolve({})
    assert resolve({"seed": 7}) == {**load_config(), "seed": 7}


def test_a_file_without_a_base_stands_on_the_defaults_alone(tmp_path):
    config = load_config(write(tmp_path / "mine.yaml", **OWN))
    assert config["multitask"]["optim"]["head_factor"] == 1.0
    assert config["lvm"]["skip_connections"] is True


@pytest.mark.parametrize("base", ["paper", "demo", "test"])
def test_a_base_is_named_by_its_size(tmp_path, base):
    config = load_config(write(tmp_path / "mine.yaml", base=base, run="mine", seed=3))
    expected = load_config(ROOT / "config" / f"{base}.yaml")
    assert config == {**expected, "run": "mine", "seed": 3}
    assert "base" not in config


def test_a_users_images_over_the_folder_config(tmp_path):
    config = load_config(write(tmp_path / "mine.yaml", base="folder", data_dir="images"))
    assert config["run"] == "folder" and config["data_dir"] == "images"
    assert config["multitask"]["optim"]["head_factor"] == 2


def test_bases_form_chains_and_paths_are_seen_from_the_file_that_names_them(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep" / "lowest.yaml", **OWN, seed=1, threads=7)
    write(tmp_path / "deep" / "middle.yaml", base="lowest.yaml", seed=2, mock={"n_lenses": 1})
    top = write(tmp_path / "top.yaml", base="deep/middle.yaml", mock={"n_galaxies": 50})
    config = load_config(top)
    assert (config["seed"], config["threads"]) == (2, 7)
    assert (config["mock"]["n_lenses"], config["mock"]["n_galaxies"]) == (1, 50)


def test_a_loop_of_bases_is_named(tmp_path):
    first = write(tmp_path / "a.yaml", base="b.yaml")
    write(tmp_path / "b.yaml", base="c.yaml")
    write(tmp_path / "c.yaml", base="b.yaml")
    with pytest.raises(ConfigError, match=r"base: b\.yaml -> c\.yaml -> b\.yaml is a loop"):
        load_config(first)


def test_an_unknown_base_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(ConfigError, match=r"base: 'papre' is none of demo, .*paper"):
        load_config(write(tmp_path / "mine.yaml", base="papre", **OWN))


def test_files_that_are_no_config_are_named(tmp_path):
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match=r"list\.yaml: a list, expected keys"):
        load_config(tmp_path / "list.yaml")
    with pytest.raises(ConfigError, match=r"broken\.yaml: not YAML"):
        load_config(tmp_path / "broken.yaml")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_files_lie_over_each_other_in_their_order_and_over_one_base(tmp_path):
    first = write(tmp_path / "1.yaml", **OWN, seed=1, threads=5, base=None)
    second = write(tmp_path / "2.yaml", seed=2)
    assert load_config(first, second)["seed"] == 2
    assert load_config(second, first)["seed"] == 1
    third = write(tmp_path / "3.yaml", base="paper")
    config = load_config(first, third)
    assert (config["gpus"], config["threads"], config["run"]) == (8, 5, "mine")


def test_the_command_line_lies_over_everything(tmp_path):
    path = write(tmp_path / "mine.yaml", base="paper", seed=1, threads=5)
    config = read(path)
    merge(config, {"seed": 9})
    assert resolve(config, [path])["seed"] == 9


def test_a_default_base_serves_only_files_that_name_none(tmp_path):
    plain = write(tmp_path / "plain.yaml", seed=4)
    assert resolve({**read(plain), "default_base": "paper"}, [plain])["run"] == "paper"
    folder = ROOT / "config" / "folder.yaml"
    config = {**read(folder), "data_dir": "images", "default_base": "paper"}
    assert resolve(config, [folder])["gpus"] == 0
    assert resolve({"default_base": "paper"})["run"] == "paper"


def test_every_size_says_what_it_stands_on():
    """Behind a profile of another size it would stand on that one otherwise."""
    assert all("base" in read(path) for path in sizes().values())


def test_variations_of_the_study_differ_where_they_say_so_alone():
    for name in ("demo", "lenses", "fewshot", "discovery", "test"):
        expected = read(ROOT / "config" / "study.yaml")
        merge(expected, read(ROOT / "config" / f"{name}.yaml"))
        assert load_config(ROOT / "config" / f"{name}.yaml") == resolve({**expected, "base": None})


@pytest.mark.parametrize(
    ("arguments", "environment", "found"),
    [
        (["-n", "--profile", "slurm", "fig1"], {}, ["slurm"]),
        (["--profile=a", "-n"], {"SNAKEMAKE_PROFILE": "b"}, ["a"]),
        (["-n"], {"SNAKEMAKE_PROFILE": "b,c"}, ["b", "c"]),
    ],
)
def test_profiles_of_a_command_line(arguments, environment, found):
    assert profiles_of(arguments, environment) == found


def test_a_profile_whose_size_is_lost_is_refused():
    with pytest.raises(ConfigError, match=r"base: paper.*default_base=paper"):
        check_profile({"seed": 1}, ["slurm"], [ROOT])
    for said in ({"base": None}, {"default_base": "paper"}):
        check_profile(said, ["slurm"], [ROOT])
    check_profile({"seed": 1}, [""], [ROOT])


def test_numbers_inside_a_mapping_of_the_command_line_are_numbers():
    """As Snakemake hands them over, laid over what the files say."""
    entries = [
        "multitask={n_seeds: 2, optim: {learning_rate: 1e-3}, zooms: [1.0, 1.1]}",
        "lvm={skip_connections: false}",
        "folder={label_column: '2024: my label'}",
        "run=mine",
    ]
    told = parse_config(entries)
    config = {"base": "demo", "multitask": {"batch_size": 8}}
    merge(config, told)
    type_command_line(config, told)
    multitask = resolve(config)["multitask"]
    assert (multitask["n_seeds"], multitask["batch_size"]) == (2, 8)
    assert multitask["optim"]["learning_rate"] == 0.001 and multitask["zooms"] == [1.0, 1.1]
    assert config["lvm"]["skip_connections"] is False and config["run"] == "mine"
    assert config["folder"]["label_column"] == "2024: my label"
