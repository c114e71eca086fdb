"""Divide the galaxies of a data set into training, validation and test sets."""

import logging
from collections.abc import Sequence

import cv2
import pandas as pd
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.schemes import NamedScheme
from galaxy_lvm.core.config.survey import Splits
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.survey.classes import labels_from_columns
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.duplicates import duplicate_groups
from galaxy_lvm.survey.given_splits import given_splits
from galaxy_lvm.survey.rejected import read_rejected, write_rejected
from galaxy_lvm.survey.splits import make_splits
from galaxy_lvm.survey.store import CutoutStore

log = logging.getLogger("galaxy_lvm.splits")


def main(
    cutouts: str,
    crops: str,
    earlier_rejected: Sequence[str],
    splits: str,
    rejected: str,
    settings: Splits,
    seed: int,
    require_labels: bool = True,
    classes: NamedScheme | None = None,
) -> None:
    """Write the splits and the complete list of what could not be used.

    Parameters
    ----------
    cutouts
        Store that the crops were cut from; its positions, files and rows are used where it has
        them.
    crops
        Crops of the data set.
    earlier_rejected
        Tables of the import and of the crops.
    splits, rejected
        Parquet and CSV files to write.
    settings
        The config's section `splits`.
    seed
        The run's seed.
    require_labels
        False for data sets that only serve for pretraining.
    classes
        What the classes are by columns; None takes the labels of the crops.
    """
    cv2.setNumThreads(1)
    with CropStore(crops) as cropped, CutoutStore(cutouts) as store:
        table = store.catalogue().iloc[cropped.column("cutout_index")].reset_index(drop=True)
        galaxies = pd.DataFrame({"index": range(len(table)), "id": cropped.ids})
        galaxies["label"] = (
            labels_from_columns(table, classes) if classes else cropped.column("label")
        )
        for name in ("file", "row"):
            if name in table:
                galaxies[name] = table[name]
        galaxies["given"] = given_splits(table, settings.column, cutouts, require_labels)
        sky = store.positions(cropped.column("cutout_index"))
        galaxies["group"] = duplicate_groups(cropped, *sky, settings.duplicate_arcsec)
    result, rejections = make_splits(galaxies, settings, seed, require_labels)
    if "second_label" in table:
        result["second_label"] = table["second_label"].to_numpy()[result["index"]]
    copies = len(galaxies) - galaxies["group"].nunique()
    counts = result.groupby(["label", "split"]).size().unstack(fill_value=0)
    log.info("%d copies kept with their original\n%s", copies, counts.to_string())
    save_table(splits, result)
    earlier = [line for path in earlier_rejected for line in read_rejected(path).to_dict("records")]
    write_rejected(rejected, [*earlier, *rejections])


if __name__ == "__main__":
    rules = snakemake.params.classes  # noqa: F821
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.input.cutouts,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            earlier_rejected=list(snakemake.input.rejected),  # noqa: F821
            splits=snakemake.output.splits,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            settings=section(Splits, snakemake.params.settings, "splits"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            require_labels=snakemake.params.require_labels,  # noqa: F821
            classes=section(NamedScheme, rules, "class_schemes") if rules else None,
        )
