"""Draw figures 7, 8 and 10, the searches and the sweep over alpha; write their tables."""

import pandas as pd
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.hitl.claims import claims_table
from galaxy_lvm.hitl.diagram import ModuleParts, draw_module
from galaxy_lvm.hitl.figures import draw_alpha, draw_comparison, draw_searches, draw_targets
from galaxy_lvm.hitl.ranker import Ranker, Whitening
from galaxy_lvm.hitl.settings import settings_from
from galaxy_lvm.hitl.simulate import Sizes
from galaxy_lvm.hitl.tables import (
    comparison_html,
    comparison_table,
    discovery_table,
)
from galaxy_lvm.report.results import paper_values, read_results, write_table
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.crop_store import CropStore


def main(
    metrics: list[str],
    recommended: str,
    target_table: str,
    crops: str,
    features: str,
    paper_csv: str,
    settings: dict,
    figures: dict[str, str],
    tables: dict[str, str],
) -> None:
    """Draw five figures (PDF and PNG) and write three tables (CSV, and HTML of the first).

    Parameters
    ----------
    metrics
        Long-format CSVs with the experiments hitl, alpha and discovery.
    recommended
        Figure 7's galaxies (parquet).
    target_table
        Targets in their order (CSV).
    crops, features
        Images and features of the pool.
    paper_csv
        The paper's printed values.
    settings
        The config's section `hitl`.
    figures
        Files ending in .pdf to write: fig07, fig08, fig10, discovery, alpha.
    tables
        CSVs to write: comparison (an HTML page lies beside it), claims, discovery.
    """
    results, shown = read_results(metrics), pd.read_parquet(recommended)
    target = results.loc[results["experiment"] == "hitl", "task"].iloc[0]
    targets = pd.read_csv(target_table)["target"].tolist()
    with CropStore(crops) as store:
        images = store.by_id(shown["id"].unique())
    save(draw_targets(shown, images, targets), figures["fig07"])
    store = FeatureStore.open(features)
    whitening = Whitening.of(store.values, settings["ranker"]["n_components"])
    ranker = Ranker(whitening, settings_from(settings).ranker)
    save(draw_module(ModuleParts.of(len(store), ranker), settings), figures["fig08"])
    comparison = comparison_table(results, paper_values(paper_csv, "fig10"))
    save(draw_comparison(comparison, target), figures["fig10"])
    save(draw_searches(results, targets), figures["discovery"])
    save(draw_alpha(results), figures["alpha"])
    claims = claims_table(results, Sizes.of(settings["comparison"]))
    discovery = discovery_table(results, paper_values(paper_csv, "sec5c"))
    write_table(tables["comparison"], comparison, comparison_html(comparison, claims, target))
    for name, table in (("claims", claims), ("discovery", discovery)):
        with atomic_path(tables[name]) as path:
            table.to_csv(path, index=False)
    for row in claims.itertuples():
        log.info("%s: %s, %s", row.claim, row.verdict, row.detail)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        sources, made = snakemake.input, snakemake.output  # noqa: F821
        main(
            metrics=[sources.hitl, sources.resnet18, sources.discovery],
            recommended=sources.recommended,
            target_table=sources.targets,
            crops=sources.crops,
            features=sources.features,
            paper_csv=sources.paper,
            settings=snakemake.params.settings,  # noqa: F821
            figures={n: made[n] for n in ("fig07", "fig08", "fig10", "discovery", "alpha")},
            tables={
                "comparison": made.table,
                "claims": made.claims,
                "discovery": made.discovery_table,
            },
        )
