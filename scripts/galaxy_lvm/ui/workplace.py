"""What there is to look at: the pool of a finished run, its images, and what is known of them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.config import load_config, part_of, section
from galaxy_lvm.core.config.hitl import Place
from galaxy_lvm.core.config.load import sizes
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features.images import FileImages
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.hitl.pools import Pool, Target, read_catalogue
from galaxy_lvm.hitl.settings import SessionSettings, settings_from
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits

_NONE = np.zeros(0, bool)


@dataclass(frozen=True)
class Workplace:
    """Galaxies to label.

    Attributes
    ----------
    name
        What is looked for.
    pool
        Galaxies and features (N).
    crops
        File of their images.
    crop_rows
        Row in it of every galaxy (N,).
    cutouts
        Store of the images in full, None where there is none.
    catalogue
        One row per galaxy (N): `id`, `ra`, `dec` where known, `cutout_index`, `label`.
    truth
        Whether each galaxy is what is looked for (N,); None where the run does not say.
    known
        For which galaxies the truth is known (N,).
    settings
        Of a new session.
    n_recommended
        Galaxies of a round.
    files
        The images in full where they are files of a folder, by id.
    """

    name: str
    pool: Pool
    crops: Path
    crop_rows: np.ndarray
    cutouts: Path | None
    catalogue: pd.DataFrame
    truth: np.ndarray | None = None
    known: np.ndarray | None = None
    settings: SessionSettings = field(default_factory=SessionSettings)
    n_recommended: int = 10
    files: FileImages | None = None

    def classes(self) -> dict[str, int]:
        """Return the classes of the run's labels with their numbers of galaxies."""
        counts = self.catalogue["label"].value_counts()
        return {name: int(n) for name, n in counts.items() if name}

    def rows_of_class(self, name: str) -> np.ndarray:
        """Return the rows of the galaxies of a class."""
        return np.flatnonzero(self.catalogue["label"].to_numpy(object) == name)


def open_run(
    run: str,
    target: str | None = None,
    new: str | None = None,
    dataset: str | None = None,
    configfiles: tuple[str, ...] = (),
    root: Path = Path("results"),
) -> Workplace:
    """Return the galaxies of a finished run.

    Parameters
    ----------
    run
        Its name, or its folder.
    target
        Class of its labels, or key of `hitl.targets` in its config.
    new
        Instead of a target: what is looked for, in words, where no label of the run says it.
    dataset
        Of the run, where it has several.
    configfiles
        The run's config; without any that of the size of the run's name is taken where there is.
    root
        Where runs lie.

    Raises
    ------
    DataError
        If there is no such run, a part of it is missing, or its files do not belong together.
    ConfigError
        If the target is unknown.
    """
    folder = Path(run) if Path(run).is_dir() else root / run
    features = _features_of(folder, dataset)
    return open_place(
        features, folder / "data" / features.parent.name, _settings_of(folder.name, configfiles),
        target, new,
    )  # fmt: skip


def open_place(
    features: Path, data: Path, hitl: Place, target: str | None = None, new: str | None = None
) -> Workplace:
    """Return the galaxies of a dataset; errors and further parameters as for `open_run`.

    Parameters
    ----------
    features
        Of the LVM (`.npy`).
    data
        Folder of the dataset: `crops.h5`, `splits.parquet`, and `cutouts.h5` where there is one.
    hitl
        The config's section.
    """
    crops, splits = _needed(data / "crops.h5"), _needed(data / "splits.parquet")
    cutouts = data / "cutouts.h5"
    cutouts = cutouts if cutouts.exists() else None
    store = FeatureStore.open(features)
    galaxies = _galaxies(store, crops, splits, cutouts)
    name, truth = _looked_for(galaxies, hitl, target, new)
    return Workplace(
        name=name,
        pool=Pool(store.ids, store.rows),
        crops=crops,
        crop_rows=store.index,
        cutouts=cutouts,
        catalogue=galaxies,
        truth=truth,
        known=galaxies["in_splits"].to_numpy(bool) if truth is not None else None,
        settings=settings_from(hitl),
        n_recommended=hitl.n_recommended,
    )


def a_target(features: Path, data: Path, hitl: Place) -> Workplace:
    """Return a dataset with the first of its targets or classes that it has galaxies of.

    Without any it is looked at without a truth.
    """
    blind = open_place(features, data, hitl, new="unusual galaxies")
    galaxies = blind.catalogue
    truths = {name: galaxies["label"].eq(name).to_numpy() for name in blind.classes()}
    for name, target in (hitl.targets or {}).items():
        wanted = Target.of(name, target.where)
        if not wanted.missing(galaxies):
            truths[name] = wanted.truth(galaxies)
    found = [name for name in (*(hitl.targets or {}), *truths) if truths.get(name, _NONE).any()]
    if not found:
        return blind
    known = galaxies["in_splits"].to_numpy(bool)
    return replace(blind, name=found[0], truth=truths[found[0]], known=known)


def _features_of(folder: Path, dataset: str | None) -> Path:
    """Return the features file of a run."""
    if not folder.is_dir():
        known = sorted(p.parent.name for p in folder.parent.glob("*/features"))
        runs = f"; there are runs {', '.join(known)}" if known else ""
        make = "`make demo`" if folder.name == "demo" else f"a config with `run: {folder.name}`"
        raise DataError(
            f"{folder}: no such run{runs}. Make it first: {make}, or "
            "`snakemake --cores 2 --configfile YOURS.yaml`"
        )
    pattern = f"features/{dataset or '*'}/lvm.npy"
    found = sorted(folder.glob(pattern))
    if not found:
        raise DataError(
            f"{folder}: no {pattern}: the run has not made its features yet. Make them with "
            f"`snakemake --cores 2 [--configfile YOURS.yaml] -- {folder}/features/"
            f"{dataset or 'galaxies'}/lvm.npy`"
        )
    if len(found) > 1:
        names = ", ".join(path.parent.name for path in found)
        raise DataError(f"{folder}: features of several datasets ({names}); choose by --dataset")
    return found[0]


def _needed(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"{path}: missing; run the workflow of this run again, it makes the file")
    return path


def _settings_of(run: str, configfiles: tuple[str, ...]) -> Place:
    """Return the config's section `hitl` of a run."""
    if not configfiles and run in sizes():
        configfiles = (str(sizes()[run]),)
    if not configfiles:
        return Place()
    return section(Place, part_of(Place, load_config(*configfiles)["hitl"]), "hitl")


def _galaxies(store: FeatureStore, crops: Path, splits: Path, cutouts: Path | None) -> pd.DataFrame:
    """Return what is known of every galaxy of the pool, in its order."""
    with CropStore(crops) as images:
        images.check(store.ids, store.index, str(store.path))
        place = images.column("cutout_index")[store.index]
    table = Splits(splits).table.set_index("id")["label"]
    ids = pd.Index(store.ids)
    known = pd.DataFrame({"id": store.ids})
    if cutouts is not None:
        known = read_catalogue(cutouts, store.ids.tolist())
    labels = table.reindex(ids).fillna("").to_numpy(object)
    return known.assign(label=labels, cutout_index=place, in_splits=ids.isin(table.index))


def _looked_for(
    galaxies: pd.DataFrame, hitl: Place, target: str | None, new: str | None
) -> tuple[str, np.ndarray | None]:
    """Return the name of what is looked for, and which galaxies are one."""
    classes = sorted(set(galaxies["label"]) - {""})
    targets = hitl.targets or {}
    if target is None:
        if new:
            return new, None
        raise ConfigError(
            f"say what is looked for: --target with one of {', '.join([*classes, *targets])}; or "
            "--new NAME for what no label of the run says"
        )
    if target in targets:
        wanted = Target.of(target, targets[target].where)
        return target, wanted.truth(galaxies)
    if target in classes:
        return target, (galaxies["label"] == target).to_numpy()
    raise ConfigError(
        f"--target {target!r} is no class of this run ({', '.join(classes) or 'it has no labels'}) "
        f"and no key of hitl.targets ({', '.join(targets) or 'none'}); to look for something that "
        f"no label says, start with --new {target!r}"
    )
