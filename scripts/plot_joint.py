"""Draw and table what images and spectra say of galaxies, alone and together, and judge it."""

import numpy as np
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.joint.claims import claims_table
from galaxy_lvm.joint.figures import Example, draw_joint, examples_of
from galaxy_lvm.joint.tables import joint_html, joint_table
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save
from galaxy_lvm.spectra.store import SpectrumStore
from galaxy_lvm.survey.crop_store import CropStore


def main(
    metrics: str,
    predictions: str,
    search: str,
    ranks: str,
    spectra: str,
    crops: str,
    figure: str,
    table: str,
    claims: str,
    seed: int,
) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it) and verdicts.

    Parameters
    ----------
    metrics, predictions
        Of estimate_galaxies.
    search, ranks
        Scores and ranks of search_across.
    spectra, crops
        Store of spectra (side b of the pairs) and crops, for examples.
    figure, table, claims
        Files to write, ending in .pdf, .csv and .csv.
    seed
        The run's seed, of the bootstrap.
    """
    found = load_table(predictions)
    rows = joint_table(read_results(metrics), found, seed)
    verdicts = claims_table(found)
    save_table(claims, verdicts)
    write_table(table, rows, joint_html(rows, read_results(search), verdicts))
    save(draw_joint(rows, load_table(ranks), _examples(spectra, crops)), figure)


def _examples(spectra: str, crops: str) -> list[Example]:
    with SpectrumStore(spectra) as store, CropStore(crops) as images:
        known, flux = store.catalogue(), store.flux()
        shown = examples_of(known)
        row_of = {name: row for row, name in enumerate(images.ids)}
        pictures = images.take(np.array([row_of[known["id"][row]] for row in shown]))
        return [
            Example(picture, store.wavelength, flux[row], known["label"][row].replace("_", "-"),
                    known["redshift"][row])
            for picture, row in zip(pictures, shown, strict=True)
        ]  # fmt: skip


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            predictions=snakemake.input.predictions,  # noqa: F821
            search=snakemake.input.search,  # noqa: F821
            ranks=snakemake.input.ranks,  # noqa: F821
            spectra=snakemake.input.spectra,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            claims=snakemake.output.claims,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
