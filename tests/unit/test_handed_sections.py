"""Sections handed from the config to a script: every key, and no other."""

from pathlib import Path

import pytest
import yaml
from galaxy_lvm.core.config import load_config, part_of, section
from galaxy_lvm.core.config.tasks import Blur
from galaxy_lvm.core.config.training import Lvm, Optim, Pretraining
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.lvm.model import PATCH_PIX, PRESETS

ROOT = Path(__file__).parents[2]


def test_a_section_arrives_as_it_was_written():
    config = load_config()
    optim = section(Optim, config["multitask"]["optim"])
    written = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())["multitask"]["optim"]
    assert written
    assert {name: getattr(optim, name) for name in written} == written


def test_no_default_steps_in_for_a_key_that_was_forgotten():
    given = dict(load_config()["restoration"])
    del given["fwhm_max_pix"]
    with pytest.raises(ConfigError, match="restoration: fwhm_max_pix not handed on"):
        section(Blur, given, "restoration")


def test_a_key_that_was_forgotten_in_a_section_within_is_named_by_its_path():
    given = part_of(Pretraining, load_config()["pretrain"])
    del given["views"]["zoom_min"], given["optim"]
    with pytest.raises(ConfigError, match="pretrain: views.zoom_min, optim not handed on"):
        section(Pretraining, given, "pretrain")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_config_knows_the_coarsest_token_of_every_preset(preset):
    assert Lvm(preset=preset).coarsest_pix == PATCH_PIX * 2 ** (len(PRESETS[preset].depths) - 1)


def test_only_the_keys_of_the_model_are_handed_on():
    config = load_config()["restoration"] | {"of_another_script": 1}
    assert section(Blur, part_of(Blur, config)) == Blur()
    with pytest.raises(ConfigError, match="restoration.of_another_script: no such key"):
        section(Blur, config, "restoration")


def test_values_are_checked_on_arrival():
    with pytest.raises(ConfigError, match="restoration.fwhm_min_pix: 9.* is above fwhm_max_pix"):
        section(Blur, {**load_config()["restoration"], "fwhm_min_pix": 9.0}, "restoration")
