"""`python:MODULE:FUNCTION`: a network of the user's own among the classifiers."""

import pytest
import torch
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.training.backbones import build_encoder, feature_dim
from galaxy_lvm.training.model_specs import model_specs

CODE = """
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def maps():
    return nn.Conv2d(3, 7, 3)

def words():
    return "a network"
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_made_up_networks.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_made_up_networks"


def spec(model, **more):
    return model_specs([{"model": model, **more}])[0]


def test_a_function_of_the_users_makes_the_encoder(module):
    own = spec(f"python:{module}:small")
    assert own.label == "python_my_made_up_networks_small"
    assert own.display_name == "small, from scratch"
    encoder = build_encoder(own, 32)
    assert encoder.training
    assert feature_dim(encoder, 32) == 7
    assert encoder(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("absent", "absent.*beside the scripts"),
        ("words", "returns str, expected an nn.Module"),
        ("maps", r"makes \(1, 7, 30, 30\) of one image, expected vectors"),
    ],
)
def test_what_is_no_encoder_is_named(module, function, message):
    with pytest.raises(ConfigError, match=message):
        build_encoder(spec(f"python:{module}:{function}"), 32)


def test_a_module_that_is_not_there_says_where_to_put_it():
    with pytest.raises(ConfigError, match=r"put no_such_module\.py beside the scripts"):
        build_encoder(spec("python:no_such_module:small"), 32)


@pytest.mark.parametrize("model", ["python:module", "python:a b:c", "python::f"])
def test_another_form_is_refused(model):
    with pytest.raises(ConfigError, match="MODULE:FUNCTION"):
        spec(model)


def test_weights_are_the_functions_own():
    with pytest.raises(ConfigError, match="let the function load them"):
        spec("python:m:f", weights="imagenet")
