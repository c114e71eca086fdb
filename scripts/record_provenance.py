"""Record what made a run: versions, commit, config, machine, time and memory of every rule."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.report.provenance import (
    clock,
    commit_of,
    costs,
    machine,
    measured_jobs,
    provenance_html,
    versions,
)


def main(
    run: str,
    logs: str,
    source: str,
    config: Mapping[str, Any],
    data: str,
    config_yaml: str,
    page: str,
) -> None:
    """Write the record as JSON and as a page, and the complete config.

    Parameters
    ----------
    run
        Folder of the run, with its `benchmarks`.
    logs
        Folder of the run's logs.
    source
        A folder of the project, for its commit.
    config
        The complete config.
    data, config_yaml, page
        JSON, YAML and HTML to write.
    """
    jobs = measured_jobs(Path(run) / "benchmarks", logs)
    spent = costs(jobs)
    text = yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=True, allow_unicode=True)
    facts = {
        "Run": {
            "name": config["run"],
            "seed": config["seed"],
            "commit": commit_of(source),
            "config (SHA-256)": hashlib.sha256(text.encode()).hexdigest(),
            **clock(jobs),
        },
        "Machine that made this page": machine(),
        "Versions": versions(),
    }
    known = spent.astype(object).where(spent.notna(), None)  # JSON has no NaN
    record = {**facts, "costs": known.to_dict("records")}
    for path, content in (
        (data, json.dumps(record, indent=1) + "\n"),
        (config_yaml, text),
        (page, provenance_html(facts, spent, text)),
    ):
        with atomic_path(path) as temporary:
            Path(temporary).write_text(content, encoding="utf-8")
    log.info("%d rules, %.0f seconds of jobs", len(spent), spent["wall_s"].sum())


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            run=str(Path(snakemake.output.data).parents[1]),  # noqa: F821
            logs=str(Path(snakemake.log[0]).parent),  # noqa: F821
            source=snakemake.scriptdir,  # noqa: F821
            config=snakemake.params.config,  # noqa: F821
            data=snakemake.output.data,  # noqa: F821
            config_yaml=snakemake.output.config,  # noqa: F821
            page=snakemake.output.page,  # noqa: F821
        )
