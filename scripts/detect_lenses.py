"""Search images or positions for strong lenses: a table, what was rejected, and a gallery.

A rule of the workflow, and a tool of its own:

    python scripts/detect_lenses.py --weights DETECTOR.safetensors --images FOLDER --output OUT
"""

import argparse
from pathlib import Path

from galaxy_lvm.core.config import load_config, section
from galaxy_lvm.core.config.lens_search import Search
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.lenses.detect import RECIPE_VERSION, search_for_lenses


def main(
    weights: str,
    table: str,
    rejected: str,
    gallery: str,
    search: Search,
    state_root: str,
    recipe_version: int,
    metrics: str | None = None,
    service: Service | None = None,
    threads: int = 1,
) -> None:
    """Write the detections (CSV), the rejections (CSV) and a gallery (PDF and PNG).

    Parameters as `galaxy_lvm.lenses.detect.search_for_lenses`.
    """
    search_for_lenses(
        weights, table, rejected, gallery, search, state_root, recipe_version, metrics, service,
        threads,
    )  # fmt: skip


def command_line() -> None:
    """Read the options and search; settings that have no option come from the config."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", required=True, help="detector (safetensors, card beside it)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", help="folder of FITS, JPEG or PNG images")
    source.add_argument("--positions", help="table with ra and dec in degrees")
    parser.add_argument("--output", required=True, type=Path, help="folder for the results")
    parser.add_argument("--pixel-scale", type=float, help="arcsec per pixel of JPEG and PNG images")
    parser.add_argument("--score-threshold", type=float, help="smallest score, 0 to 1")
    parser.add_argument("--metrics", help="metrics/lenses.csv of a run, for the threshold")
    parser.add_argument("--configfile", nargs="+", default=[], help="settings; else the demo's")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    config = load_config(*options.configfile)
    given = {"pixel_scale_arcsec": options.pixel_scale, "score_threshold": options.score_threshold}
    settings = config["lenses"]["search"] | {k: v for k, v in given.items() if v is not None}
    settings |= {"images": options.images, "positions": options.positions}
    with job_log((out := options.output) / "detect_lenses.log"):
        main(
            options.weights, out / "lenses.csv", out / "rejected.csv", out / "gallery.pdf",
            section(Search, settings, "lenses.search"), out / "state", RECIPE_VERSION,
            metrics=options.metrics, threads=options.threads,
            service=section(Service, config["legacysurvey"], "legacysurvey"),
        )  # fmt: skip


if __name__ == "__main__" and "snakemake" not in globals():
    command_line()
elif __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            weights=snakemake.input.weights,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            gallery=snakemake.output.gallery,  # noqa: F821
            search=section(Search, snakemake.params.settings, "lenses.search"),  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            metrics=snakemake.input.metrics,  # noqa: F821
            service=section(Service, snakemake.params.service, "legacysurvey"),  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
