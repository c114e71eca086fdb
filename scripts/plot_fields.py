"""Draw a contact sheet of lens fields with their boxes and masks."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.lenses.field_figure import lens_field_sheet
from galaxy_lvm.report.style import SHEET_DPI, save
from galaxy_lvm.survey.fields import FieldStore


def main(fields: str, figure_pdf: str, seed: int = 1, n_lenses: int = 15, n_empty: int = 6) -> None:
    """Draw test fields from the clearest lens to the faintest, then fields without one.

    Parameters
    ----------
    fields
        Field store (HDF5, its parquet beside it).
    figure_pdf
        Figure to write; a PNG lies beside it.
    seed
        The run's seed; it chooses the fields without a lens.
    n_lenses, n_empty
        Lenses and empty fields to show at most.

    Raises
    ------
    DataError
        If no test field has a lens.
    """
    store = FieldStore(fields)
    save(
        lens_field_sheet(store, "test", n_lenses, n_empty, derive_seed(seed, "sheet")),
        figure_pdf,
        png_dpi=SHEET_DPI,
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            fields=snakemake.input.fields,  # noqa: F821
            figure_pdf=snakemake.output.figure,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
