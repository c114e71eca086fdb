"""Write the joint vector of every galaxy: the shared parts of its image and of its spectrum."""

from galaxy_lvm.align.network import load_aligned
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.joint.pairs import write_joint_features


def main(features: str, a: str, b: str, weights: str, joint: str) -> None:
    """Write a features file with its ids.

    Parameters
    ----------
    features
        Features of the images that the pairs are of.
    a, b
        Stores of pair_galaxies.
    weights
        Of align_modalities.
    joint
        `.npy` to write; the ids lie beside it.
    """
    write_joint_features(features, (a, b), load_aligned(weights), joint)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            a=snakemake.input.a,  # noqa: F821
            b=snakemake.input.b,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            joint=snakemake.output.joint,  # noqa: F821
        )
