"""Score the inputs and the classical baselines on the very test sets of the networks."""

import cv2
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.tasks import Baselines, Blur, Mask
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.multitask.baselines import (
    classification_baseline,
    reconstruction_baselines,
    restoration_baselines,
)
from galaxy_lvm.multitask.tasks import image_galaxies, noise_free_images
from galaxy_lvm.report.results import (
    long_rows,
    per_galaxy_rows,
    write_per_galaxy,
    write_results,
)
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits


def main(
    crops: str,
    splits: str,
    metrics_csv: str,
    per_galaxy: str,
    n_image_test: int,
    restoration: Blur,
    reconstruction: Mask,
    baselines: Baselines,
    seed: int,
    noise_free: str | None = None,
) -> None:
    """Tune on the validation split, score on the test split, write both kinds of table.

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    metrics_csv, per_galaxy
        Long-format CSV, and parquet with the scores of single galaxies.
    n_image_test
        Test galaxies that the image tasks are scored on; see `image_galaxies`.
    restoration, reconstruction, baselines
        Degradations, and what the baselines may choose from.
    seed
        The run's seed.
    noise_free
        Simulated galaxies without noise, written by render_noise_free; None for real ones.
    """
    cv2.setNumThreads(1)
    table = Splits(splits)
    tuned_on = image_galaxies(table, "val", baselines.n_image_val, seed)
    scored_on = image_galaxies(table, "test", n_image_test, seed)
    with CropStore(crops) as store:
        val, test = store.of(tuned_on), store.of(scored_on)
        known = table.all_labelled()
        labelled = [(store.of(g), g.labels, g.ids) for g in known.values()]
    second = known["test"].second_labels
    ids = scored_on.ids.tolist()
    clean = noise_free_images(noise_free, scored_on)
    scored = [
        classification_baseline(*labelled, len(table.class_names), baselines, seed, second),
        *restoration_baselines(val, test, ids, restoration, baselines, seed, clean),
        *reconstruction_baselines(val, test, ids, reconstruction, baselines, seed),
    ]
    rows, tables = [], []
    for s in scored:
        rows += long_rows("multitask", s.task, s.model, s.condition, seed, s.scores)
        tables.append(per_galaxy_rows(s.task, s.model, s.condition, seed, s.ids, s.galaxies))
    write_results(metrics_csv, rows)
    write_per_galaxy(per_galaxy, tables)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        given = snakemake.params  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            metrics_csv=snakemake.output.metrics,  # noqa: F821
            per_galaxy=snakemake.output.per_galaxy,  # noqa: F821
            n_image_test=given.n_image_test,
            restoration=section(Blur, given.restoration, "restoration"),
            reconstruction=section(Mask, given.reconstruction, "reconstruction"),
            baselines=section(Baselines, given.baselines, "baselines"),
            seed=given.seed,
            noise_free=snakemake.input.get("noise_free"),  # noqa: F821
        )
