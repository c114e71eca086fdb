"""Cut wide fields around published lens candidates, and fields without one, from the survey."""

import numpy as np
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.lenses import Candidates, FieldPlan
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.lenses.candidates import local_table, plan_fields, read_candidates
from galaxy_lvm.lenses.field_import import Quotas, import_fields
from galaxy_lvm.survey.fields import write_fields
from galaxy_lvm.survey.legacysurvey import CutoutService
from galaxy_lvm.survey.rejected import write_rejected


def main(
    fields: str,
    rejected: str,
    cache_dir: str,
    field_plan: FieldPlan,
    candidate_settings: dict,
    service_settings: Service,
    seed: int,
) -> None:
    """Write the field store and the list of rows and fields that could not be used.

    Parameters
    ----------
    fields
        HDF5 file to write; the lenses go to the parquet beside it.
    rejected
        CSV file to write.
    cache_dir
        Folder that keeps what was fetched, so that a job started again goes on where it was.
    field_plan, candidate_settings, service_settings
        The config's sections `lenses.fields`, `lenses.candidates` and `legacysurvey`.
    seed
        The run's seed; it places lenses in their fields and divides them into splits.

    Raises
    ------
    DataError
        If a table cannot be read, the service does not answer, or a split remains without lenses.
    """
    settings = section(Candidates, candidate_settings, "lenses.candidates")
    side_pix, empty_share = field_plan.side_pix, field_plan.empty_share
    quotas = Quotas(field_plan.counts, empty_share)
    with CutoutService(service_settings, cache_dir) as service:
        paths = [local_table(address, cache_dir, service) for address in settings.tables]
        candidates, rejections = read_candidates(paths, settings)
        plan = plan_fields(candidates, settings, side_pix, seed)
        result = import_fields(plan, candidates, service, side_pix, quotas, settings.mask)
    columns = {name: [row[name] for row in result.columns] for name in result.columns[0]}
    attributes = {"source": "candidates", "layer": service.settings.layer, "seed": seed}
    # Astronomers' order: the first row is the south.
    attributes |= {"first_row": "south", "empty_share": empty_share}
    write_fields(fields, np.stack(result.images), columns, result.lenses, attributes)
    write_rejected(rejected, rejections + result.rejections)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            fields=snakemake.output.fields,  # noqa: F821
            rejected=snakemake.output.rejected,  # noqa: F821
            cache_dir=snakemake.params.cache_dir,  # noqa: F821
            field_plan=section(FieldPlan, snakemake.params.fields, "lenses.fields"),  # noqa: F821
            candidate_settings=snakemake.params.candidates,  # noqa: F821
            service_settings=section(Service, snakemake.params.service, "legacysurvey"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
