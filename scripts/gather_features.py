"""Put the features of a dataset's shards into one file, in the order of its crops."""

from collections.abc import Sequence

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.features.gather import gather_features


def main(crops: str, shards: Sequence[str], features: str) -> None:
    """Write the features (`.npy`) of a dataset and their ids (`.parquet`).

    Parameters
    ----------
    crops
        Index of the dataset's crops.
    shards
        Features of every shard, in the order of the index.
    features
        `.npy` to write; the ids lie beside it.

    Raises
    ------
    DataError
        If shards are missing, damaged or of other crops; all of them are named.
    """
    gather_features(features, shards, crops)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            shards=list(snakemake.input.features),  # noqa: F821
            features=snakemake.output.features,  # noqa: F821
        )
