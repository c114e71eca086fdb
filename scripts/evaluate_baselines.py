"""Score the inputs and the classical baselines on the very test sets of the networks."""

import cv2
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.multitask.baselines import (
    classification_baseline,
    reconstruction_baselines,
    restoration_baselines,
)
from galaxy_lvm.multitask.classical import BaselineSettings
from galaxy_lvm.multitask.degrade import BlurRecipe, MaskRecipe
from galaxy_lvm.multitask.tasks import load_split
from galaxy_lvm.report.results import (
    long_rows,
    per_galaxy_rows,
    write_per_galaxy,
    write_results,
)


def main(
    crops: str,
    splits: str,
    metrics_csv: str,
    per_galaxy: str,
    n_image_test: int = 100,
    restoration: dict | None = None,
    reconstruction: dict | None = None,
    baselines: dict | None = None,
    seed: int = 1,
) -> None:
    """Tune on the validation split, score on the test split, write both kinds of table.

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    metrics_csv, per_galaxy
        Long-format CSV, and parquet with the scores of single galaxies.
    n_image_test
        Test galaxies that the image tasks are scored on: the first of the split.
    restoration, reconstruction, baselines
        The config's sections: fields of BlurRecipe, MaskRecipe and BaselineSettings.
    seed
        The run's seed.
    """
    cv2.setNumThreads(1)
    blur, mask = BlurRecipe(**restoration or {}), MaskRecipe(**reconstruction or {})
    settings = BaselineSettings(**baselines or {})
    data = {split: load_split(crops, splits, split) for split in ("train", "val", "test")}
    val, test = data["val"][0][: settings.n_image_val], data["test"][0][:n_image_test]
    ids, class_names = data["test"][2][:n_image_test], data["test"][3]
    labelled = [data[split][:3] for split in ("train", "val", "test")]
    scored = [
        classification_baseline(*labelled, len(class_names), settings, seed),
        *restoration_baselines(val, test, ids, blur, settings, seed),
        *reconstruction_baselines(val, test, ids, mask, settings, seed),
    ]
    rows, tables = [], []
    for s in scored:
        rows += long_rows("multitask", s.task, s.model, s.condition, seed, s.scores)
        tables.append(per_galaxy_rows(s.task, s.model, s.condition, seed, s.ids, s.galaxies))
    write_results(metrics_csv, rows)
    write_per_galaxy(per_galaxy, tables)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            metrics_csv=snakemake.output.metrics,  # noqa: F821
            per_galaxy=snakemake.output.per_galaxy,  # noqa: F821
            n_image_test=snakemake.params.n_image_test,  # noqa: F821
            restoration=snakemake.params.restoration,  # noqa: F821
            reconstruction=snakemake.params.reconstruction,  # noqa: F821
            baselines=snakemake.params.baselines,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
