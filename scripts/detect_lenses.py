"""Search images or positions for strong lenses: a table, what was rejected, and a gallery.

A rule of the workflow, and a tool of its own:

    python scripts/detect_lenses.py --weights DETECTOR.safetensors --images FOLDER --output OUT
"""

import argparse
from pathlib import Path

import torch
from galaxy_lvm.core.config import load_config, section
from galaxy_lvm.core.config.lens_search import Search
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.lenses.detector import load_detector
from galaxy_lvm.lenses.gallery import draw_gallery
from galaxy_lvm.lenses.search import find_threshold, gallery_images, search_items, search_key
from galaxy_lvm.lenses.sources import open_source
from galaxy_lvm.lvm.weights import read_card
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.rejected import write_rejected

GALLERY_SIDE_PIX = 64
# As in rules/lenses.smk: a search that was interrupted goes on only under the same one.
RECIPE_VERSION = 2


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

    Parameters
    ----------
    weights
        A detector's weights; its card lies beside them.
    table, rejected, gallery
        Files to write; the gallery's name ends in .pdf.
    search
        The config's section `lenses.search`; `images` or `positions` has to be set.
    state_root, recipe_version
        Folder for cutouts and an interrupted search; the version of the rule that it belongs to.
    metrics
        Scores of the evaluation, for the threshold where the settings have none.
    service
        The config's section `legacysurvey`, for positions.
    threads
        CPU threads; a GPU is used where there is one.
    """
    torch.set_num_threads(threads)
    if (threshold := search.score_threshold) is None:
        threshold = find_threshold(weights, read_card(weights), metrics)
    own, cache = (table, rejected, gallery, state_root), Path(state_root) / "cutouts"
    items, load, rejections = open_source(search, cache, service, own)
    key = search_key(search, threshold, service)
    state = state_folder(state_root, recipe_version, key, [weights])
    detector = load_detector(weights).to("cuda" if torch.cuda.is_available() else "cpu")
    found, refused = search_items(detector, items, load, search, threshold, state / "found.jsonl")
    best = found.head(search.n_gallery)
    pictures = gallery_images(best, items, load, GALLERY_SIDE_PIX)
    save(draw_gallery(pictures, best, len(found)), gallery)
    write_rejected(rejected, [*rejections, *refused])
    save_table(table, found)


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
    with job_log(snakemake.log[0]):  # noqa: F821
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
