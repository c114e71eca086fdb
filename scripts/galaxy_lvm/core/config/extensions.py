"""What the features are good for beside classification."""

from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Section, part


class Outliers(Section):
    """Detection of unusual galaxies."""

    kinds: Annotated[
        tuple[
            Literal[
                "satellite_trail",
                "saturated_star",
                "wrong_bands",
                "dead_band",
                "double_image",
                "chip_edge",
                "blue_arcs",
            ],
            ...,
        ],
        UNIQUE,
    ] = Field(
        (
            "satellite_trail",
            "saturated_star",
            "wrong_bands",
            "dead_band",
            "double_image",
            "chip_edge",
            "blue_arcs",
        ),
        min_length=1,
        description="oddities to put into test galaxies",
    )
    n_per_kind: int = Field(40, ge=1, description="test galaxies that get an oddity of each kind")
    list_shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], UNIQUE] = Field(
        (0.01, 0.05, 0.1),
        min_length=1,
        description="lengths of the top of the list that recall is given for",
    )
    n_neighbours: int = Field(5, ge=1, description="neighbours over which distances are averaged")
    n_trees: int = Field(200, ge=1, description="trees of the isolation forest")
    n_components: int = Field(
        64, ge=1, description="principal components for the forest and the whitened distances"
    )
    n_reference: int = Field(
        50000, ge=10, description="training galaxies that say what is usual at most"
    )
    kind_column: str = Field(
        "subtype", description="catalogue column whose rare values are tried as novelties"
    )
    rare_share: float = Field(
        0.05, gt=0, le=1, description="largest share of the galaxies at which a value is rare"
    )
    n_listed: int = Field(100, ge=1, description="length of the list of unusual galaxies")


class Similarity(Section):
    """Search for similar galaxies."""

    metric: Literal["cosine", "euclidean"] = Field(
        "cosine", description="distance of standardised features"
    )
    n_neighbours: int = Field(10, ge=1, description="similar galaxies per query")
    n_queries_per_class: int = Field(
        2, ge=1, description="queries drawn from each class where query_ids is empty"
    )
    n_test_queries: int = Field(
        200, ge=1, description="test galaxies on which the index is compared with the exact search"
    )
    exact_up_to: int = Field(
        200000,
        ge=0,
        description="galaxies up to which the search is exact; above it the index is used",
    )
    n_components: int = Field(
        64, ge=1, description="index - principal components, one byte each per galaxy"
    )
    n_probes: int = Field(16, ge=1, description="index - groups of galaxies that a search visits")
    rerank_factor: int = Field(
        30,
        ge=1,
        description=(
            "index - candidates per wanted neighbour that are ranked again by their full vectors"
        ),
    )
    n_fit: int = Field(
        100000, ge=2, description="galaxies that scaling and components are taken from at most"
    )
    block_rows: int = Field(65536, ge=1, description="vectors in memory at a time")


class FeatureMap(Section):
    """Map of the features on a plane."""

    max_galaxies: int = Field(
        2000, ge=10, description="galaxies on the map; a random sample where there are more"
    )
    perplexity: float = Field(
        30.0, ge=1, description="t-SNE - about how many neighbours stay together"
    )
    n_components: int = Field(
        50, ge=2, description="principal components that distances are taken from"
    )


class Parameter(Section):
    """A catalogue column to predict."""

    column: str = Field(min_length=1, description="name in the catalogue")
    scale: Literal["linear", "log10", "one_plus"] = Field(
        "linear",
        description=(
            "linear; log10 (residuals in dex); one_plus (residuals over 1 + value, for redshifts)"
        ),
    )
    outlier_above: float | None = Field(
        None,
        gt=0,
        description=(
            "residuals of a larger size are outliers; null counts those further than 3 sigma_NMAD "
            "from the bias"
        ),
    )


class Extensions(Section):
    """What the features are good for beside classification."""

    parameters: tuple[Parameter, ...] = Field(
        (
            Parameter(column="half_light_radius_arcsec", scale="log10"),
            Parameter(column="sersic_index", scale="log10"),
            Parameter(column="axis_ratio"),
            Parameter(column="mag_r"),
            Parameter(column="redshift", scale="one_plus", outlier_above=0.15),
        ),
        description=(
            "catalogue columns to predict from features; absent ones are skipped with a note"
        ),
    )
    parameters_max_train: int = Field(
        100000, ge=20, description="training galaxies of the regression at most"
    )
    query_ids: Annotated[tuple[str, ...], UNIQUE] = Field(
        (), description="galaxies to find similar ones of; empty draws test galaxies of each class"
    )
    search_dataset: str | None = Field(
        None, description="dataset that is searched for similar galaxies; null takes tasks_dataset"
    )
    outlier_dataset: str | None = Field(
        None,
        description=(
            "dataset whose most unusual galaxies are listed, by shard where it lies in several "
            "files, against a sample of its own; null lists those of tasks_dataset against its "
            "training galaxies"
        ),
    )
    outliers: Outliers = part(Outliers)
    similarity: Similarity = part(Similarity)
    map: FeatureMap = part(FeatureMap)
