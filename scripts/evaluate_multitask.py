"""Score one multitask training on the test split: its part of Tables 1 to 4."""

import torch
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.multitask.evaluate import TestSplit, evaluate_multitask
from galaxy_lvm.report.results import write_per_galaxy, write_results


def main(
    crops: str,
    splits: str,
    weights: str,
    metrics: str,
    per_galaxy: str,
    predictions: str,
    n_images: int,
    n_orientations: int,
    zooms: list[float],
    seed: int,
    threads: int = 1,
    noise_free: str | None = None,
) -> None:
    """Write the long-format metrics and the class probabilities of every test galaxy.

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    weights
        Weights of the training.
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
    noise_free
        Simulated galaxies without noise, written by render_noise_free; None for real ones.
    """
    torch.set_num_threads(threads)
    test = TestSplit.read(crops, splits, n_images, seed, noise_free)
    scores = evaluate_multitask(weights, test, n_orientations, zooms, seed)
    write_results(metrics, scores.rows)
    write_per_galaxy(per_galaxy, scores.galaxies)
    save_table(predictions, scores.probabilities)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            per_galaxy=snakemake.output.per_galaxy,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            n_images=snakemake.params.n_images,  # noqa: F821
            n_orientations=snakemake.params.n_orientations,  # noqa: F821
            zooms=snakemake.params.zooms,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
            noise_free=snakemake.input.get("noise_free"),  # noqa: F821
        )
