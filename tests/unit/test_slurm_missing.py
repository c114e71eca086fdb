"""Without a SLURM that works its tests are skipped, on CI as well; never for a fault of ours."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import slurm_cluster
from slurm_cluster import Cluster, ConfRefused, NoCluster, missing

FOLDER = Path(__file__).parents[1] / "slurm"


@pytest.fixture
def slurm_tests(monkeypatch):
    """The conftest of tests/slurm, as on CI, and a configuration of pytest that it has set up."""
    spec = importlib.util.spec_from_file_location("slurm_conftest", FOLDER / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("CI", "true")
    monkeypatch.delenv(module.IS_NEEDED, raising=False)
    config = SimpleNamespace(stash=pytest.Stash())
    config.stash[module._reasons] = []
    return module, config


@pytest.fixture
def stubs(tmp_path, monkeypatch):
    """A machine whose tools are written by the test: name=lines of a shell."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setattr(slurm_cluster, "SEARCH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(slurm_cluster, "PATIENCE_S", 120)

    def write(**tools):
        for name, lines in tools.items():
            (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
            (folder / name).chmod(0o755)
        return tmp_path / "cluster"

    return write


SLEEP = "exec sleep 600"
MUNGED = f'for word; do case $word in --socket=*) : > "${{word#*=}}";; esac; done\n{SLEEP}'
UNKNOWN_KEY = "error: Parsing error at unrecognized key: Colour"


def controller(told, number):
    return f'[ "$1" = -V ] && {{ echo slurm-wlm {number}; exit; }}\necho "{told}"; exit 1'


@pytest.mark.parametrize(
    ("told", "number", "is_ours"),
    [
        (UNKNOWN_KEY, "22.05.8", True),
        (UNKNOWN_KEY, "99.11.1", False),  # a key that went: SLURM has changed
        ("fatal: Could not bind a port", "22.05.8", False),
    ],
)
def test_a_cluster_that_does_not_come_up_is_ours_where_the_configuration_is(
    stubs, told, number, is_ours
):
    folder = stubs(munged=MUNGED, slurmctld=controller(told, number), slurmd=SLEEP)
    with pytest.raises(NoCluster, match=told) as found, Cluster(folder):
        pytest.fail("it came up")
    assert isinstance(found.value, ConfRefused) == is_ours


def test_without_packages_the_tests_are_skipped_on_ci_and_fail_where_they_are_needed(
    slurm_tests, monkeypatch
):
    monkeypatch.setattr(slurm_cluster, "SEARCH", "")
    assert "Debian: slurmctld slurmd" in missing()
    module, config = slurm_tests
    with pytest.raises(pytest.skip.Exception):
        module.do_without(config, missing())
    assert config.stash[module._reasons] == [missing()]  # for the end of the output, in capitals
    monkeypatch.setenv(module.IS_NEEDED, "1")
    with pytest.raises(pytest.fail.Exception):
        module.do_without(config, missing())


def test_a_fault_of_ours_fails_on_ci_as_well(slurm_tests):
    module, config = slurm_tests
    with pytest.raises(pytest.fail.Exception, match="a reason"):
        module.do_without(config, "a reason", is_ours=True)


def test_nothing_else_is_skipped_where_the_cluster_is_up():
    """One place decides; the shared run is left out where nobody looks at it, or it is slow."""
    texts = {path.name: path.read_text() for path in FOLDER.glob("*.py")}
    skips = {name: text.count("skip(") + text.count("skipif") for name, text in texts.items()}
    assert {name: n for name, n in skips.items() if n} == {
        "conftest.py": 1,
        "test_shared_run.py": 2,
    }
