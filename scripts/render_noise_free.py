"""Render the simulated test galaxies of the image tasks without noise, in their crops' boxes."""

import h5py
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.multitask.tasks import image_galaxies
from galaxy_lvm.simulation.noise_free import noise_free_crops
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.hdf5 import new_hdf5
from galaxy_lvm.survey.splits_table import Splits


def main(
    crops: str, splits: str, noise_free: str, settings: Mock, n_images: int, seed: int
) -> None:
    """Write `images` and `id` of the test galaxies that the image tasks are scored on.

    Parameters
    ----------
    crops, splits
        The simulated dataset.
    noise_free
        HDF5 file to write; `CropStore` reads it.
    settings
        The config's section `mock`.
    n_images
        Test galaxies that the image tasks are scored on; see `image_galaxies`.
    seed
        The run's seed.
    """
    drawn = image_galaxies(Splits(splits), "test", n_images, seed)
    with CropStore(crops) as store:
        boxes, side_pix = store.boxes[drawn.index], store.side_pix
    ids = drawn.ids.tolist()
    with new_hdf5(noise_free) as new:
        new.file["images"] = noise_free_crops(ids, boxes, settings, seed, side_pix)
        new.file.create_dataset("id", data=ids, dtype=h5py.string_dtype("utf-8"))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            noise_free=snakemake.output.noise_free,  # noqa: F821
            settings=section(Mock, snakemake.params.settings, "mock"),  # noqa: F821
            n_images=snakemake.params.n_images,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
