"""Score the three multitask strategies on the test split: the numbers of Tables 1 to 4."""

import pandas as pd
import torch
from galaxy_lvm.core.logs import job_log, progress
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.multitask.heads import restored_images
from galaxy_lvm.multitask.tasks import image_galaxies, image_test_sets
from galaxy_lvm.multitask.train import MultitaskSettings, load_multitask
from galaxy_lvm.report.metrics import (
    classification_scores,
    image_metrics,
    image_scores,
    right_or_wrong,
)
from galaxy_lvm.report.results import (
    long_rows,
    per_galaxy_rows,
    write_per_galaxy,
    write_results,
)
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.loop import make_accelerator
from galaxy_lvm.training.predict import class_probabilities


def main(
    crops: str,
    splits: str,
    weights: list[str],
    metrics: str,
    per_galaxy: str,
    predictions: str,
    n_images: int,
    n_orientations: int,
    zooms: list[float],
    seed: int,
    threads: int = 1,
) -> None:
    """Write the long-format metrics and the class probabilities of every test galaxy.

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    weights
        Weights of the trained strategies.
    metrics, per_galaxy, predictions
        Long-format CSV; parquet with the scores and with the class probabilities of single
        galaxies.
    n_images
        Test galaxies that the image tasks are scored on; see `image_galaxies`.
    n_orientations
        Orientations, 1 to 8, over which class probabilities are averaged.
    zooms
        Magnifications, 1 or more, over which they are averaged as well.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    table = Splits(splits)
    known, class_names = table.labelled("test"), table.class_names
    drawn = image_galaxies(table, "test", n_images, seed)
    with CropStore(crops) as store:
        images, drawn_images = store.of(known), store.of(drawn)
    rows, galaxies, tables = [], [], []
    for path in progress(weights, desc="test split", unit="strategies"):
        model, card = load_multitask(path)
        settings = MultitaskSettings(**card["settings"])
        name, side_pix = settings.strategy, settings.classification["view_side_pix"]
        # In the precision of the training: twice as fast where that is bfloat16.
        autocast = make_accelerator(settings.multitask["optim"]["precision"]).autocast
        shares = class_probabilities(
            model, images, side_pix, n_orientations, zooms, autocast=autocast
        )
        predicted = shares.argmax(axis=1)
        scores = classification_scores(known.labels, predicted, len(class_names), seed)
        rows += long_rows("multitask", "classification", name, "", seed, scores)
        right = right_or_wrong(known.labels, predicted)
        galaxies.append(per_galaxy_rows("classification", name, "", seed, known.ids, right))
        table = pd.DataFrame(shares, columns=[f"p_{c}" for c in class_names])
        tables.append(table.assign(id=known.ids, label=known.labels, model=name))
        sets = image_test_sets(drawn_images, settings.blur, settings.mask, seed)
        for task, condition, reference, degraded in sets:
            output = restored_images(model, task, degraded, autocast=autocast)
            result = image_metrics(reference, output)
            rows += long_rows("multitask", task, name, condition, seed, image_scores(result, seed))
            galaxies.append(per_galaxy_rows(task, name, condition, seed, drawn.ids, result))
    write_results(metrics, rows)
    write_per_galaxy(per_galaxy, galaxies)
    with atomic_path(predictions) as temporary:
        pd.concat(tables, ignore_index=True).to_parquet(temporary)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            weights=list(snakemake.input.weights),  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            per_galaxy=snakemake.output.per_galaxy,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            n_images=snakemake.params.n_images,  # noqa: F821
            n_orientations=snakemake.params.n_orientations,  # noqa: F821
            zooms=snakemake.params.zooms,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
