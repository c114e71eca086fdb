"""Pair the features of each galaxy's image with its spectrum."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.joint.pairs import write_galaxy_pairs


def main(features: str, spectra: str, a: str, b: str, feature_noise: float) -> None:
    """Write two stores with the same galaxies in the same order.

    Parameters
    ----------
    features, spectra
        Feature vectors of the images (their ids beside them); store of spectra.
    a, b
        HDF5 stores to write.
    feature_noise
        Noise that the alignment adds to features, in units of their standard deviations.
    """
    write_galaxy_pairs(features, spectra, (a, b), feature_noise)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            spectra=snakemake.input.spectra,  # noqa: F821
            a=snakemake.output.a,  # noqa: F821
            b=snakemake.output.b,  # noqa: F821
            feature_noise=snakemake.params.feature_noise,  # noqa: F821
        )
