"""Decompose the matrices of a pretrained LVM's encoder: singular values, and the rank it needs."""

import numpy as np
import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.config.layers import LvmLayers
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.layers.decompose import (
    enough_rows,
    score_by_layer,
    score_by_rank,
    spectra_of,
    spectrum_rows,
)
from galaxy_lvm.layers.galaxies import GalaxyTask, LabelledCrops
from galaxy_lvm.layers.matrices import matrices_of
from galaxy_lvm.layers.tables import layers_table
from galaxy_lvm.lvm.model import LVM
from galaxy_lvm.lvm.weights import load_lvm
from galaxy_lvm.report.results import read_results, write_results
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from pandas import concat
from threadpoolctl import threadpool_limits


def main(
    crops: str,
    splits: str,
    weights: str,
    metrics: str,
    singular_values: str,
    table: str,
    settings: LvmLayers,
    view_side_pix: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Write scores by rank, singular values, and a row a matrix.

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    weights
        Of an LVM.
    metrics
        Long-format CSV to write, experiment `layers`.
    singular_values, table
        Parquet and CSV to write.
    settings
        The config's section `layers`.
    view_side_pix
        Side to which crops are resized for the encoder.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    lvm = load_lvm(weights).eval()
    torch.manual_seed(derive_seed(seed, "layers", "untrained"))
    untrained = LVM(lvm.config).eval()
    matrices = matrices_of(lvm.encoder)
    how = Features(view_side_pix=view_side_pix, n_orientations=1, batch_size=64)
    with threadpool_limits(threads):
        seen = _labelled(crops, splits, settings.n_galaxies, seed)
        task = GalaxyTask(lvm.encoder, seen["train"], seen["val"], how)
        scores = {name: task.skill_of(seen[name]) for name in ("val", "test")}
        rows = score_by_rank(lvm.encoder, matrices, scores, settings, seed)
        rows += score_by_layer(lvm.encoder, matrices, scores["val"], settings, seed)
        rows += list(enough_rows(rows, settings.enough, seed))
        networks = {"trained": lvm.encoder, "untrained": untrained.encoder}
        found = [spectra_of(module, matrices, name) for name, module in networks.items()]
    spectrum = concat(found, ignore_index=True)
    write_results(metrics, [*rows, *spectrum_rows(spectrum, seed)])
    save_table(singular_values, spectrum)
    kinds = spectrum[["layer", "kind"]].drop_duplicates()
    save_table(table, layers_table(read_results(metrics), kinds))


def _labelled(crops: str, splits: str, n_asked: int, seed: int) -> dict[str, LabelledCrops]:
    """Return all training galaxies, and some to choose by and to ask, each with a label."""
    table, found = Splits(splits), {}
    with CropStore(crops) as store:
        for split, galaxies in table.all_labelled().items():
            if split != "train":
                drawn = table.draw(split, n_asked, seed, "layers")
                galaxies = galaxies.take(np.isin(galaxies.ids, drawn.ids))
            found[split] = LabelledCrops(store.of(galaxies), galaxies.labels)
    return found


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            singular_values=snakemake.output.singular_values,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            settings=section(LvmLayers, snakemake.params.settings, "layers"),  # noqa: F821
            view_side_pix=snakemake.params.view_side_pix,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
