"""Find the centres that the similarity indices of a dataset's shards share."""

from galaxy_lvm.core.config.extensions import Similarity
from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.features.similarity import SimilaritySearch
from galaxy_lvm.features.store import FeatureStore
from threadpoolctl import threadpool_limits


def main(
    features: str, centres: str, settings: Similarity, n_shards: int, seed: int, threads: int = 1
) -> None:
    """Write an index without vectors.

    Parameters
    ----------
    features
        Vectors of all shards.
    centres
        Index (faiss) to write.
    settings
        The config's section `extensions.similarity`.
    n_shards
        Shards that the vectors belong to: the centres suit one of mean size.
    seed, threads
        The run's seed; CPU threads.
    """
    store = FeatureStore.open(features)
    with threadpool_limits(threads):
        search = SimilaritySearch(store, settings, seed)
        search.train(centres, -(-len(store) // n_shards), threads)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            centres=snakemake.output.centres,  # noqa: F821
            settings=section(Similarity, snakemake.params.settings, "extensions.similarity"),  # noqa: F821
            n_shards=snakemake.params.n_shards,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
