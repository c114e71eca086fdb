"""Strong lenses in wide fields (paper IV.B, figure 6)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, part
from galaxy_lvm.core.config.lens_search import Search
from galaxy_lvm.core.config.training import Optim


class MockLenses(Section):
    """Simulated lenses (source 'mock'); sky and seeing are those of the section mock."""

    einstein_radius_min_arcsec: float = Field(
        0.8, ge=0.3, le=6, description="smallest Einstein radius"
    )
    einstein_radius_max_arcsec: float = Field(
        3.5, ge=0.3, le=6, description="largest Einstein radius"
    )
    source_mag_r_bright: float = Field(
        22.0, ge=18, le=28, description="brightest source before lensing in r"
    )
    source_mag_r_faint: float = Field(
        25.2, ge=18, le=28, description="faintest source before lensing in r"
    )
    min_arc_snr: float = Field(
        25.0,
        ge=1,
        le=1000,
        description=(
            "lenses whose images have a lower signal to noise (g, r and z together, in the glare "
            "of the galaxy in front) are drawn again"
        ),
    )
    mask_peak_fraction: float = Field(
        0.15,
        ge=0,
        le=0.9,
        description="the mask ends at this fraction of the images' brightest pixel",
    )
    mask_sky_sigmas: float = Field(
        1.0,
        ge=0.1,
        le=20,
        description="and where they sink below this multiple of the sky's noise per pixel",
    )
    two_lens_share: float = Field(
        0.06, ge=0, le=1, description="share of the fields with a lens that have two"
    )
    red_density_per_arcmin2: float = Field(
        2.0,
        ge=0,
        le=50,
        description=(
            "massive red galaxies that lens nothing; some with blue companions or a blue disc"
        ),
    )
    bright_density_per_arcmin2: float = Field(
        0.8, ge=0, le=20, description="bright nearby spirals and ellipticals and edge-on discs"
    )

    @property
    def einstein_limits_arcsec(self) -> tuple[float, float]:
        """Smallest and largest Einstein radius."""
        return self.einstein_radius_min_arcsec, self.einstein_radius_max_arcsec

    @property
    def source_mag_r_limits(self) -> tuple[float, float]:
        """Brightest and faintest source before lensing."""
        return self.source_mag_r_bright, self.source_mag_r_faint

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield ranges with nothing between their ends."""
        for low, high in (
            ("einstein_radius_min_arcsec", "einstein_radius_max_arcsec"),
            ("source_mag_r_bright", "source_mag_r_faint"),
        ):
            if getattr(self, low) >= getattr(self, high):
                limits = f"{getattr(self, low):g} is not below {high}, {getattr(self, high):g}"
                yield low, limits


class FieldPlan(Section):
    """How many fields of which size, simulated or cut around candidates."""

    side_pix: int = Field(
        160,
        ge=64,
        le=2048,
        multiple_of=32,
        description="side of a field at 0.262 arcsec per pixel; a multiple of 32",
    )
    n_train: int = Field(300, ge=1, description="training fields (paper - 1000)")
    n_val: int = Field(60, ge=1, description="validation fields; thresholds are chosen on them")
    n_test: int = Field(150, ge=1, description="test fields (paper - 1000)")
    empty_share: float = Field(0.3, ge=0, lt=1, description="share of the fields without any lens")

    @property
    def counts(self) -> dict[str, int]:
        """Fields of each split."""
        return {"train": self.n_train, "val": self.n_val, "test": self.n_test}


class MockFields(FieldPlan):
    """Simulated fields."""

    mock: MockLenses = part(MockLenses)


class Fields(MockFields):
    """Fields that detectors are trained and tested on."""

    source: Literal["mock", "candidates", "none"] = Field(
        "mock",
        description=(
            "mock simulates them; candidates cuts them around published lens candidates; none "
            "leaves the lenses out"
        ),
    )


class ArcMask(Section):
    """How the masks of real candidates are measured (and checked on simulated lenses)."""

    radius_arcsec: float = Field(
        4.0,
        gt=0,
        le=30,
        description="arcs have their peak within this distance of the galaxy in front",
    )
    recentre_arcsec: float = Field(
        1.3,
        ge=0,
        le=10,
        description=(
            "the galaxy is the brightest point in r and z within this distance of the position"
        ),
    )
    threshold_sigma: float = Field(
        2.0, gt=0, le=100, description="pixels of a mask stand out of the noise by this"
    )
    peak_sigma: float = Field(
        3.0, gt=0, le=100, description="brightest pixel of every arc or counter image"
    )
    detection_sigma: float = Field(
        7.0,
        gt=0,
        le=100,
        description="brightest pixel of the brightest of them; below it the candidate is rejected",
    )
    peak_fraction: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="pixels of an arc are brighter than this fraction of its brightest one",
    )


class Candidates(Section):
    """Fields cut around published lens candidates (lenses.fields.source 'candidates')."""

    tables: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], UNIQUE] = Field(
        (),
        description=(
            "paths or http(s) addresses of tables (CSV, TSV, parquet) with ra and dec in degrees,"
            " perhaps id or name, grade or grading; for instance the lists of the NeuraLens "
            "database"
        ),
    )
    grades: Annotated[tuple[str, ...], UNIQUE] = Field(
        (),
        description=(
            "grades that count as a lens, as the tables write them (A, B, confident, probable); "
            "empty takes all"
        ),
    )
    ungraded: bool = Field(True, description="whether candidates without a grade count as well")
    duplicate_arcsec: float = Field(
        3.0, ge=0, le=60, description="candidates closer than this are one"
    )
    max_offset: float = Field(
        0.6,
        ge=0,
        le=0.9,
        description=(
            "largest distance of the lens from the centre of its field along each axis as a "
            "fraction of half of the side"
        ),
    )
    empty_min_arcsec: float = Field(
        90.0,
        gt=0,
        description="fields without a lens are centred at least this far from a candidate",
    )
    empty_max_arcsec: float = Field(300.0, gt=0, le=3600, description="and at most this far")
    mask: ArcMask = part(ArcMask)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield a ring without width."""
        if self.empty_min_arcsec >= self.empty_max_arcsec:
            limits = f"{self.empty_min_arcsec:g} is not below {self.empty_max_arcsec:g}"
            yield "empty_min_arcsec", f"{limits}, empty_max_arcsec"


class DetectorTraining(Section):
    """How one lens detector is built and trained."""

    backend: Literal["torchvision", "detectron2"] = Field(
        "torchvision",
        description=(
            "torchvision, or detectron2 in an environment of its own (envs/detectron2.yaml)"
        ),
    )
    batch_size: int = Field(8, ge=1, description="fields per step over all GPUs")
    n_levels: int = Field(
        3, ge=2, le=4, description="levels of the feature pyramid from a stride of 4 pixels on"
    )
    anchor_sides_pix: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="anchor side of each level; null measures them on the training boxes"
    )
    fpn_dim: int = Field(64, ge=8, description="channels of the feature pyramid (Mask R-CNN - 256)")
    head_dim: int = Field(256, ge=8, description="width of the box head (Mask R-CNN - 1024)")
    rois_per_field: int = Field(
        64,
        ge=4,
        description="proposals of a field that the heads are trained on (Mask R-CNN - 512)",
    )
    n_proposals: int = Field(
        100, ge=4, description="proposals of a field that are kept (Mask R-CNN - 1000 and more)"
    )
    max_detections: int = Field(20, ge=1, description="detections of a field at most")
    score_floor: float = Field(
        0.02, ge=0, le=1, description="detections below this score are not written"
    )
    brightness: float = Field(
        0.2, ge=0, le=1, description="largest relative change of a training field's brightness"
    )
    colour: float = Field(
        0.05, ge=0, le=1, description="largest relative change of one channel of it"
    )
    optim: Optim = part(Optim)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield anchors that do not fit the levels."""
        sides = self.anchor_sides_pix
        if sides is not None and len(sides) != self.n_levels:
            yield "anchor_sides_pix", f"{len(sides)} sides for {self.n_levels} levels"


class Detector(DetectorTraining):
    """Mask R-CNN on several backbones."""

    backbones: Annotated[tuple[Annotated[str, Field(pattern="^[a-z0-9_]+$")], ...], UNIQUE] = Field(
        ("lvm", "resnet50"),
        min_length=1,
        description=(
            "lvm (the run's pretrained encoder) and residual networks of torchvision, from scratch"
        ),
    )
    lvm_weights: str | None = Field(
        None, description="weights of an LVM (safetensors with its card); null takes the run's own"
    )
    train_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], UNIQUE] = Field(
        (100, 300),
        min_length=1,
        description="numbers of training fields; the largest is used for figure 6",
    )
    n_seeds: int = Field(1, ge=1, description="repetitions of every training")


class Evaluation(Section):
    """How lens detectors are scored."""

    completeness: float = Field(
        0.9, gt=0, le=1, description="completeness at which wrong detections per field are counted"
    )
    threshold: Literal["best_f1", "completeness"] = Field(
        "best_f1",
        description=(
            "score threshold, chosen on the validation fields - the best F1 (best_f1), or the "
            "highest score with this completeness"
        ),
    )
    n_bootstrap: int = Field(
        500, ge=40, description="resamples of the test fields for 95 % intervals"
    )
    n_bins: int = Field(
        4,
        ge=1,
        description="bins of Einstein radius and arc brightness with equal numbers of lenses",
    )
    max_detections: int = Field(
        100, ge=1, description="best detections of a field that count (COCO - 100)"
    )


class ShownEvaluation(Evaluation):
    """How lens detectors are scored."""

    n_examples: int = Field(8, ge=2, description="fields in figure 6")


class Lenses(Section):
    """Strong lenses in wide fields (paper IV.B, figure 6)."""

    fields: Fields = part(Fields)
    candidates: Candidates = part(Candidates)
    detector: Detector = part(Detector)
    evaluation: ShownEvaluation = part(ShownEvaluation)
    search: Search = part(Search)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield parts that do not go together."""
        source, largest = self.fields.source, max(self.detector.train_sizes)
        search, backbones = self.search, self.detector.backbones
        if source == "candidates" and not self.candidates.tables:
            yield "candidates.tables", "needed by lenses.fields.source 'candidates'"
        if largest > self.fields.n_train:
            fields = f"lenses.fields.n_train is {self.fields.n_train}"
            yield "detector.train_sizes", f"{largest} fields, but {fields}"
        if source == "none" and (search.images or search.positions):
            yield (
                "search",
                "nothing would be searched, lenses.fields.source 'none' trains no detector; "
                "search with one of another run: python scripts/detect_lenses.py --help",
            )
        if search.backbone not in backbones:
            known = f"lenses.detector.backbones {list(backbones)}"
            yield "search.backbone", f"{search.backbone!r} is none of {known}"


def detector_runs(detector: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    """Return every training of a detector that a config asks for.

    Parameters
    ----------
    detector
        Section `lenses.detector`.
    seed
        The run's.

    Returns
    -------
    list of dict
        `model` (the backbone), `n_train` (fields) and `seed` of each.
    """
    return [
        {"model": backbone, "n_train": n_train, "seed": seed + part}
        for backbone in detector["backbones"]
        for n_train in detector["train_sizes"]
        for part in range(detector["n_seeds"])
    ]
