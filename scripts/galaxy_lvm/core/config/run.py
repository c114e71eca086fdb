"""The whole config of a run, and keys of different sections that do not go together."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator

from galaxy_lvm.core.config.align import Align
from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, part
from galaxy_lvm.core.config.catalogue import Catalogue
from galaxy_lvm.core.config.datasets import Dataset
from galaxy_lvm.core.config.extensions import Extensions
from galaxy_lvm.core.config.fewshot import Features, FewShot
from galaxy_lvm.core.config.hitl import Hitl, Name
from galaxy_lvm.core.config.joint import Joint
from galaxy_lvm.core.config.layers import LayersChapter
from galaxy_lvm.core.config.lenses import Lenses
from galaxy_lvm.core.config.release import Release
from galaxy_lvm.core.config.resources import Resources
from galaxy_lvm.core.config.schemes import Scheme, own_schemes
from galaxy_lvm.core.config.sky_survey import survey_of, survey_problems
from galaxy_lvm.core.config.spectra import Spectra
from galaxy_lvm.core.config.survey import Crop, Folder, Mock, Service, Splits
from galaxy_lvm.core.config.tasks import (
    Baselines,
    Blur,
    Classification,
    Mask,
    Multitask,
    Reference,
)
from galaxy_lvm.core.config.training import Lvm, Pretrain
from galaxy_lvm.core.config.wise import Wise

# Targets beside the images that a run may ask for; rules/targets.smk has their files.
Chapter = Literal["spectra", "align", "joint", "layers", "wise_sources", "wise"]


class RunConfig(Section):
    """Everything that a run is told; `run` and `datasets` are the only keys that it needs."""

    run: str = Field(
        pattern="^[A-Za-z0-9_-]+$",
        description="name of the run; everything is written below results/{run}",
    )
    seed: int = Field(1, ge=0, description="the one seed that all others are derived from")
    threads: int = Field(
        2, ge=1, description="CPU threads of a job that trains; SLURM and --cores may grant fewer"
    )
    gpus: int = Field(0, ge=0, description="GPUs of a job that trains; 0 trains on the CPU")
    nodes: int = Field(
        1,
        ge=1,
        description=(
            "nodes that the GPUs of pretraining stand in, equally many in each; more than one "
            "needs SLURM, and other trainings take the GPUs of one"
        ),
    )
    data_dir: str | None = Field(
        None,
        description=(
            "short for the folder of every dataset of source 'folder' (--config data_dir=PATH)"
        ),
    )
    tasks_dataset: str = Field(
        "galaxies", description="dataset with the labels that the tasks are trained and tested on"
    )
    pretrain_datasets: Annotated[tuple[Name, ...], UNIQUE] = Field(
        ("galaxies",),
        min_length=1,
        description=(
            "datasets that the LVM is pretrained on; of one with labels only the training split, "
            "and of the others no copy of a galaxy that models are chosen or scored by"
        ),
    )
    datasets: dict[Name, Dataset] = Field(min_length=1, description="datasets by name")
    beside: Annotated[tuple[Chapter, ...], UNIQUE] = Field(
        (),
        description=(
            "targets beside the images that the default ones, and so the report, have too; all of "
            "them are the target multimodal"
        ),
    )
    mock: Mock = part(Mock)
    folder: Folder = part(Folder)
    legacysurvey: Service = part(Service)
    crop: Crop = part(Crop)
    class_schemes: dict[str, Scheme] = Field(
        default_factory=own_schemes,
        description=(
            "classes by columns of a catalogue; a dataset names its scheme under 'classes', and a "
            "galaxy of none, or of two that cannot be weighed, is not used; your own stand beside "
            "galaxy_zoo_decals, galaxy_zoo_decals_1_and_2, galaxy_zoo_2, galaxy_zoo_2_clean and "
            "simulated"
        ),
    )
    splits: Splits = part(Splits)
    lvm: Lvm = part(Lvm)
    pretrain: Pretrain = part(Pretrain)
    multitask: Multitask = part(Multitask)
    classification: Classification = part(Classification)
    restoration: Blur = part(Blur)
    reconstruction: Mask = part(Mask)
    baselines: Baselines = part(Baselines)
    reference: Reference = part(Reference)
    features: Features = part(Features)
    fewshot: FewShot = part(FewShot)
    extensions: Extensions = part(Extensions)
    catalogue: Catalogue = part(Catalogue)
    hitl: Hitl = part(Hitl)
    lenses: Lenses = part(Lenses)
    spectra: Spectra = part(Spectra)
    align: Align = part(Align)
    joint: Joint = part(Joint)
    layers: LayersChapter = part(LayersChapter)
    wise: Wise = part(Wise)
    release: Release = part(Release)
    resources: Resources = part(Resources)

    @field_validator("class_schemes")
    @classmethod
    def _with_own_schemes(cls, given: dict[str, Scheme]) -> dict[str, Scheme]:
        return own_schemes() | given

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield what no section can see by itself."""
        yield from self._unknown_datasets()
        yield from self._other_surveys()
        for name, dataset in self.datasets.items():
            if dataset.source == "folder" and not (dataset.data_dir or self.data_dir):
                yield (
                    f"datasets.{name}.data_dir",
                    "needed by source 'folder' (or --config data_dir=...)",
                )
            if dataset.classes not in (None, *self.class_schemes):
                known = ", ".join(self.class_schemes)
                yield (
                    f"datasets.{name}.classes",
                    f"{dataset.classes!r} is none of the class_schemes {known}",
                )
        for name, rules in self.class_schemes.items():
            classes = [rule.class_ for rule in rules]
            if len(set(classes)) < len(classes):
                yield f"class_schemes.{name}", f"a class occurs twice in {classes}"
        if self.catalogue.strategy == "from_scratch" and not self.multitask.from_scratch:
            yield "catalogue.strategy", "from_scratch is not trained; set multitask.from_scratch"
        yield from self._datasets_without_spectra()
        yield from self._uneven_sides()
        yield from self._patches_beyond_images()
        yield from self._uneven_batches()
        yield from self._uneven_nodes()

    def _unknown_datasets(self) -> Iterator[Contradiction]:
        """Yield names that stand for none of the datasets."""
        chosen = {
            "tasks_dataset": self.tasks_dataset,
            **{f"pretrain_datasets.{k}": name for k, name in enumerate(self.pretrain_datasets)},
            "fewshot.dataset": self.fewshot.dataset,
            "catalogue.dataset": self.catalogue.dataset,
            "extensions.search_dataset": self.extensions.search_dataset,
            "extensions.outlier_dataset": self.extensions.outlier_dataset,
            "hitl.comparison_dataset": self.hitl.comparison_dataset,
            "hitl.discovery_dataset": self.hitl.discovery_dataset,
        }
        for path, name in chosen.items():
            if name not in (None, *self.datasets):
                yield path, f"{name!r} is none of the datasets {sorted(self.datasets)}"

    def _other_surveys(self) -> Iterator[Contradiction]:
        """Yield what is wrong with the surveys of datasets: layers, bands, pixels."""
        coarsest = self.folder.max_pixel_scale_arcsec
        for name, dataset in self.datasets.items():
            if dataset.source not in ("folder", "legacysurvey", "bricks"):
                continue
            layer = self.legacysurvey.layer if dataset.source == "legacysurvey" else None
            for key, what in survey_problems(dataset.survey, layer):
                yield f"datasets.{name}.survey.{key}", what
            scale = survey_of(dataset.survey, layer).pixel_scale_arcsec
            if dataset.source == "folder" and scale > coarsest:
                yield (
                    f"datasets.{name}.survey.pixel_scale_arcsec",
                    f"{scale:g} is above folder.max_pixel_scale_arcsec, {coarsest:g}: all its "
                    "files would be rejected; raise that",
                )

    def _datasets_without_spectra(self) -> Iterator[Contradiction]:
        """Yield joint vectors that are asked for galaxies that have none."""
        tasks, joint = self.tasks_dataset, self.joint.dataset
        asked = {
            "similar": (tasks, self.extensions.search_dataset),
            "label_loop": (
                self.hitl.comparison_dataset or tasks,
                self.hitl.discovery_dataset or tasks,
            ),
        }
        for key, names in asked.items():
            others = [name for name in names if name not in (None, joint)]
            if getattr(self.joint.vectors, key) and others:
                yield (
                    f"joint.vectors.{key}",
                    f"only joint.dataset, {joint!r}, has joint vectors; {others[0]!r} has none",
                )

    def _uneven_sides(self) -> Iterator[Contradiction]:
        """Yield sides of views that are no whole number of the network's coarsest tokens."""
        coarsest = self.lvm.coarsest_pix
        sides = {
            "pretrain.view_side_pix": self.pretrain.view_side_pix,
            "pretrain.final_view_side_pix": self.pretrain.last_side_pix,
            "classification.view_side_pix": self.classification.view_side_pix,
            "multitask.patch_side_pix": self.multitask.patch_side_pix,
        }
        for path, side in sides.items():
            if side % coarsest:
                yield path, f"{side} is no multiple of {coarsest} pixels"

    def _patches_beyond_images(self) -> Iterator[Contradiction]:
        """Yield patches that are larger than what they are cut from, or laid on."""
        dataset = self.datasets.get(self.tasks_dataset)
        crop_side = (dataset and dataset.crop.side_pix) or self.crop.side_pix
        side, largest = self.multitask.patch_side_pix, max(self.reconstruction.patch_sizes_pix)
        if side > crop_side:
            whose = f"the side of the crops of {self.tasks_dataset!r}"
            yield "multitask.patch_side_pix", f"{side} is above {whose}, {crop_side}"
        elif largest > side:
            limit = f"multitask.patch_side_pix, {side}"
            yield "reconstruction.patch_sizes_pix", f"{largest} is above {limit}"

    def _uneven_batches(self) -> Iterator[Contradiction]:
        """Yield batches that the GPUs of a training cannot share equally."""
        sizes = {
            "pretrain.batch_size": self.pretrain.batch_size,
            "multitask.batch_size": self.multitask.batch_size,
            "multitask.image_batch_size": self.multitask.image_batch_size or 0,  # batch_size's
        }
        for path, size in sizes.items():
            if self.gpus > 1 and size % self.gpus:
                yield path, f"{size} is no multiple of gpus, {self.gpus}"
        parts, size = max(1, self.gpus) * self.pretrain.accumulate, self.pretrain.batch_size
        if self.pretrain.accumulate > 1 and size % parts:
            yield "pretrain.batch_size", f"{size} is no multiple of gpus x accumulate, {parts}"

    def _uneven_nodes(self) -> Iterator[Contradiction]:
        """Yield nodes that the GPUs cannot be spread over."""
        if self.nodes > 1 and (self.gpus < self.nodes or self.gpus % self.nodes):
            yield "nodes", f"{self.gpus} GPUs cannot be spread equally over {self.nodes} nodes"
