"""What a script imports at its start is what it uses: every job is a new Python.

torch takes 2 CPU seconds, torchvision with timm another 2, scikit-learn 1.3, galsim 0.6,
scipy.stats 0.7, matplotlib 0.5. A library that one function of a module needs is imported there.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
HEAVY = (
    "torch", "torchvision", "timm", "sklearn", "skimage", "galsim", "matplotlib", "scipy.stats",
    "dust_extinction",
)  # fmt: skip

# Scripts, and all of the heavy that they may load. A new script starts in the first group that
# fits it; what none names may load nothing heavy.
FIGURES = {"matplotlib"}
MAY_LOAD = {
    "draw_*": FIGURES | {"torch"},  # from the built network
    "plot_*": FIGURES,
    "plot_reconstruction": FIGURES | {"torch"},
    "check_lens_masks": FIGURES,
    "simulate_*": {"galsim"},
    "render_noise_free": {"galsim"},
    "detect_lenses": FIGURES | {"torch", "torchvision"},
    "train_detector": {"torch", "torchvision"},
    **dict.fromkeys(("estimate_parameters", "map_features"), {"sklearn", "scipy.stats"}),
    **dict.fromkeys(
        (
            "catalogue_shard", "make_catalogue", "find_outliers", "score_shard", "search_across",
            "translate_spectra", "score_scaling", "estimate_stellar_parameters",
            "estimate_galaxies", "estimate_real", "evaluate_objectives",
        ),
        {"torch", "sklearn", "scipy.stats"},
    ),
    **dict.fromkeys(
        (
            "align_modalities", "decompose_layers", "decompose_lvm", "evaluate_multitask",
            "evaluate_wise", "extract_features", "extract_shard", "finetune_spectra",
            "join_features", "measure_wise", "pretrain_lvm", "pretrain_spectra", "release_encoder",
            "scale_training", "score_capacity", "take_weights", "train_*",
        ),
        {"torch"},
    ),
}  # fmt: skip


def may_load(script):
    """Return what the table allows: the entry of the script's name, else of its kind."""
    kind = f"{script.partition('_')[0]}_*"
    return MAY_LOAD.get(script, MAY_LOAD.get(kind, set()))


def run_at_start(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what importing a module runs: nothing in functions, nothing for types alone."""
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody", "handlers"):
                yield from run_at_start(getattr(node, part, []))


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports when it is imported itself."""
    names = set()
    for node in run_at_start(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def files_of(name: str) -> list[Path]:
    """Return the files of the library that importing a dotted name runs."""
    parts = name.split(".")
    places = [SCRIPTS.joinpath(*parts[:end]) for end in range(1, len(parts) + 1)]
    files = [f for p in places for f in (p.with_suffix(".py"), p / "__init__.py")]
    return [file for file in files if file.is_file()] if parts[0] == "galaxy_lvm" else []


def loads(path: Path, libraries: tuple[str, ...] = HEAVY) -> dict[str, str]:
    """Return the heavy libraries that importing a file loads, each with a module that does it."""
    found, seen, left = {}, set(), [path]
    while left:
        file = left.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in imports_of(file):
            left += files_of(name)
            for heavy in libraries:
                if f"{name}.".startswith(f"{heavy}."):
                    found[heavy] = file.relative_to(SCRIPTS).as_posix()
    return found


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_loads_nothing_heavy_that_it_does_not_use(path):
    found = {name: by for name, by in loads(path).items() if name not in may_load(path.stem)}
    assert not found, f"{found}; import it in the function that needs it, or name it in MAY_LOAD"


def test_an_import_is_found_through_others_and_not_within_functions():
    assert loads(SCRIPTS / "simulate_survey.py").keys() == {"galsim"}
    # Backbones build networks of timm and torchvision in functions.
    assert loads(SCRIPTS / "galaxy_lvm/training/backbones.py").keys() == {"torch"}
    assert "timm" in (SCRIPTS / "galaxy_lvm/training/backbones.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "script",
    ["extract_features", "pretrain_lvm", "train_fewshot", "simulate_hitl", "gather_pool"],
)
def test_who_reads_no_fits_starts_without_astropy(script):
    """0.3 CPU seconds, for the name of one error."""
    assert not loads(SCRIPTS / f"{script}.py", ("astropy",))
    assert loads(SCRIPTS / "import_folder.py", ("astropy",))


def test_every_entry_names_a_script():
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    kinds = {f"{name.partition('_')[0]}_*" for name in scripts}
    assert MAY_LOAD.keys() <= scripts | kinds


def loaded(module: str) -> set[str]:
    """Return what of the heavy a fresh Python has loaded behind the import of a module."""
    code = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_the_command_tells_its_use_without_anything_heavy():
    assert loaded("galaxy_lvm.cli.main") == set()


def test_vectors_of_images_start_without_other_networks():
    """Also what torch and others load in turn."""
    assert loaded("galaxy_lvm.features.encoder") == {"torch"}


def test_a_script_loads_the_models_of_its_own_sections_alone():
    code = "import sys, plot_survey; print(*[m for m in sys.modules if '.core.config.' in m])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    models = {name.rpartition(".")[2] for name in result.stdout.split()}
    assert {"base", "survey"} <= models and not {"run", "load", "hitl", "wise"} & models
