"""The catalogue that a trained model makes of a dataset."""

from typing import Literal

from pydantic import Field

from galaxy_lvm.core.config.base import Section


class CatalogueModel(Section):
    """What the columns of a catalogue follow from."""

    strategy: Literal["pre_train", "multi_uniform", "multi_active", "from_scratch"] = Field(
        "multi_active", description="training whose first repetition gives the class probabilities"
    )
    n_orientations: int = Field(
        2,
        ge=1,
        le=8,
        description="orientations over which they are averaged, at each of multitask.zooms",
    )
    unlike_share: float = Field(
        0.01,
        gt=0,
        lt=1,
        description=(
            "share of the validation galaxies that lies beyond the distance from the training "
            "galaxies at which a galaxy is flagged as unlike them"
        ),
    )
    n_neighbours: int = Field(5, ge=1, description="training galaxies nearest to it, for distances")
    n_components: int = Field(64, ge=1, description="principal components for distances")
    n_reference: int = Field(
        50000, ge=10, description="training galaxies that distances are measured to at most"
    )
    chunk_galaxies: int = Field(
        4096, ge=1, description="galaxies in memory at a time; what a kill may lose"
    )


class Catalogue(CatalogueModel):
    """Class probabilities, features, parameters of every galaxy of a dataset, labelled or not."""

    dataset: str | None = Field(None, description="whose galaxies; null takes tasks_dataset")
    n_shown: int = Field(
        8, ge=1, le=40, description="galaxies of each class, and the least certain, in the gallery"
    )
