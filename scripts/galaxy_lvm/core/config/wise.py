"""Sources of WISE: the simulated sky, a user's tiles, and the networks that tell classes apart."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, order, part, with_default
from galaxy_lvm.core.config.survey import Splits
from galaxy_lvm.core.config.tasks import Network
from galaxy_lvm.core.config.training import NetworkTraining, Optim

# What models of the project begin with: verdicts hold them against the others.
OWN_MODELS = "python:galaxy_lvm.wise.network:"
COMPACT = f"{OWN_MODELS}compact_network"

PerBand = tuple[Annotated[float, Field(gt=0, le=30)], ...]
Share = Annotated[float, Field(ge=0, le=1)]


class WiseCutout(Section):
    """What every cutout has in common, simulated or from a tile."""

    side_pix: int = Field(32, ge=16, le=128, description="side of a cutout, 2.75 arcsec a pixel")
    depth_mag: PerBand = Field(
        (16.9, 16.0, 11.5),
        min_length=3,
        max_length=3,
        description=(
            "W1, W2, W3 [mag, Vega] of a point source at 5 sigma, which fixes the noise of a pixel "
            "(AllWISE's)"
        ),
    )


class WisePopulation(Section):
    """Physical properties that colours follow from."""

    star_teff_k: float = Field(4700.0, gt=1000, lt=30000, description="median of blackbody stars")
    star_teff_dex: float = Field(0.09, ge=0, le=0.5, description="their scatter in log10")
    galaxy_redshift: float = Field(
        0.25, gt=0, le=1, description="mean of a gamma distribution (shape 2), up to 1.2"
    )
    quasar_redshift: float = Field(
        1.4, gt=0, le=3, description="mean of a gamma distribution (shape 3), 0.1 to 3.5"
    )
    hot_dust_ratio: float = Field(
        2.5, ge=0, description="quasars - median of hot dust over the disc at 2 micron, at rest"
    )
    hot_dust_dex: float = Field(0.35, ge=0, le=1, description="its scatter in log10")
    host_share: Share = Field(
        0.2, description="quasars - mean share of starlight at 2 micron, at rest (exponential)"
    )
    reddening_mag: float = Field(
        0.1, ge=0, le=2, description="quasars - mean E(B-V) of an exponential distribution"
    )


class WiseScene(WiseCutout):
    """The simulated sky."""

    n_sources: int = Field(3000, ge=30, description="sources, a third of each class")
    w1_min_mag: float = Field(11.0, gt=0, lt=30, description="brightest W1 [Vega]; drawn evenly")
    w1_max_mag: float = Field(16.5, gt=0, lt=30, description="faintest W1 [Vega]")
    offset_max_pix: float = Field(
        0.5, ge=0, le=3, description="largest distance from the cutout's centre along an axis"
    )
    neighbours_per_arcmin2: float = Field(
        3.0, ge=0, le=50, description="mean density of other sources, between 11 and 17.5 mag in W1"
    )
    population: WisePopulation = part(WisePopulation)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield an empty range."""
        yield from order("w1_min_mag", self.w1_min_mag, "w1_max_mag", self.w1_max_mag)


class WiseFiles(Section):
    """Real tiles of unWISE, and a table of labelled positions in them."""

    tiles: str | None = Field(
        None,
        min_length=1,
        description=(
            "folder of coadds as unWISE names them (unwise-TILE-w1-img-m.fits and w2, w3; .gz too)"
        ),
    )
    table: str | None = Field(
        None, min_length=1, description="table with id, ra, dec [deg] and label of every source"
    )
    label_column: str = Field("label", min_length=1, description="its column of classes")


class WiseSplits(Splits):
    """Which sources are learned from and which are asked."""

    train: float = with_default(Splits, "train", 0.5)
    val: float = with_default(Splits, "val", 0.1)
    test: float = with_default(Splits, "test", 0.4)


class WiseOptim(Optim):
    """How a network's weights are updated."""

    steps: int = with_default(Optim, "steps", 200)
    learning_rate: float = with_default(Optim, "learning_rate", 0.002)
    # Convolutions of one channel each take three times as long in bfloat16 on a CPU.
    precision: Literal["auto", "float32", "bfloat16"] = with_default(Optim, "precision", "float32")


class WiseTraining(NetworkTraining):
    """How every network learns; rates are in learning_rates."""

    batch_size: int = with_default(NetworkTraining, "batch_size", 64)
    min_epochs: float = with_default(NetworkTraining, "min_epochs", 12.0)
    learning_rates: tuple[Annotated[float, Field(gt=0, le=1)], ...] = with_default(
        NetworkTraining, "learning_rates", (0.002,)
    )
    optim: WiseOptim = part(WiseOptim)


class WiseNetworks(Section):
    """What a network is trained and asked by."""

    training: WiseTraining = part(WiseTraining)
    view_side_pix: int = Field(
        64,
        ge=16,
        description="side that cutouts are enlarged to for networks that halve them five times",
    )
    fade_max_mag: float = Field(
        0.0,
        ge=0,
        le=5,
        description=(
            "half of the cutouts of a step are made up to so much fainter [mag], with noise added "
            "to scene.depth_mag; 0 leaves them"
        ),
    )
    n_orientations: int = Field(
        4, ge=1, le=8, description="orientations of a test source that are averaged"
    )


class WiseScores(Section):
    """What the accuracies are given by."""

    w1_edges_mag: tuple[float, ...] = Field(
        (11.0, 13.0, 14.0, 15.0, 15.75, 16.5),
        min_length=2,
        description="edges of the bins in measured W1 [Vega]; the last bin is the faint end",
    )
    n_bootstrap: int = Field(500, ge=20, description="resamples of the test sources")

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield edges that do not rise."""
        edges = self.w1_edges_mag
        if list(edges) != sorted(set(edges)):
            yield "w1_edges_mag", f"{edges} do not rise"


class Wise(Section):
    """Stars, galaxies, quasars in WISE (after Zhao et al. 2023); target wise."""

    source: Literal["simulated", "files"] = Field(
        "simulated", description="simulated sources, or cutouts of the user's tiles"
    )
    colour_scatters_mag: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], UNIQUE] = Field(
        (0.05, 0.1),
        min_length=1,
        description=(
            "assumed scatter of W1-W2 and of W1-W3 around the physical colours, a simulated sky "
            "each; it decides how well classes can be told apart"
        ),
    )
    scene: WiseScene = part(WiseScene)
    files: WiseFiles = part(WiseFiles)
    splits: WiseSplits = part(WiseSplits)
    models: tuple[Network, ...] = Field(
        (
            Network(model=COMPACT, name="compact", learning_rates=(0.006,)),
            Network(model="timm:mobilenetv3_small_100"),
        ),
        min_length=1,
        description=(
            "networks, one a line; Zhao et al. name vgg16, googlenet, timm:resnet34, "
            "timm:mobilenetv3_large_100, timm:tf_efficientnetv2_b0 and timm:repvgg_a0"
        ),
    )
    n_seeds: int = Field(1, ge=1, description="trainings of every network")
    networks: WiseNetworks = part(WiseNetworks)
    scores: WiseScores = part(WiseScores)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield files that are asked for and not named, and skies that get one name."""
        if self.source == "files":
            for key in ("tiles", "table"):
                if getattr(self.files, key) is None:
                    yield f"files.{key}", "needed by source 'files'"
        names = [round(1000 * value) for value in self.colour_scatters_mag]
        if len(set(names)) < len(names):
            yield "colour_scatters_mag", "differ by less than 0.001 mag"
