"""How a table or figure is made again, and what that costs by the benchmarks of its run."""

import html
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.report.provenance import measured_job, went_on

_DAY, _HOUR, _MINUTE = 86400, 3600, 60

Job = tuple[str | os.PathLike | None, Iterable[str | os.PathLike]]
"""Benchmark file of a job, None where it keeps none, and its logs."""


@dataclass(frozen=True)
class Cost:
    """What jobs took: how many, how many of them were measured whole, seconds added up.

    Seconds of CPU are NaN where no job's were measured, and else at least so many.
    """

    jobs: int
    measured: int
    wall_s: float
    cpu_s: float


def plan_of(workflow: Any) -> tuple[list, Callable[[Any], set]]:
    """Return the jobs of Snakemake's plan, and what tells a job and all jobs before it.

    No documented interface of Snakemake tells this: the attributes that it takes are those of 9.27.

    Parameters
    ----------
    workflow
        Of the Snakefile, once its plan is made.

    Raises
    ------
    ConfigError
        If this Snakemake keeps its plan elsewhere.
    """
    try:
        plan = workflow.dag
        jobs, walk, dependencies = list(plan.jobs), plan.bfs, plan.dependencies
    except AttributeError as error:
        raise ConfigError(
            f"Snakemake {version('snakemake')} does not keep its plan where 9.27 does ({error}): "
            "the report's captions tell costs by it, make it with the version of envs/cpu.txt"
        ) from None
    return jobs, lambda job: {job, *walk(dependencies, job)}


def cost_of(jobs: Iterable[Job]) -> Cost:
    """Return what jobs took by the clock and of CPU, added up.

    Parameters
    ----------
    jobs
        Benchmark and logs of every job. A benchmark that is missing, a job that was too short to
        be looked at, and one that went on where a stopped one ended are not measured whole; what
        the last one took from there on is added.

    Raises
    ------
    DataError
        If a file is not a benchmark of Snakemake's.
    """
    n_jobs, n_whole, walls, cpus = 0, 0, [], []
    for path, logs in jobs:
        n_jobs += 1
        if path is None or not Path(path).exists():
            continue
        wall_s, cpu_s, _ = measured_job(path)
        if not math.isnan(wall_s):
            walls.append(wall_s)
            n_whole += not went_on(logs)
        if not math.isnan(cpu_s):
            cpus.append(cpu_s)
    wall_s, cpu_s = (sum(told) if told else math.nan for told in (walls, cpus))
    return Cost(n_jobs, n_whole, wall_s, cpu_s)


def time_text(seconds: float) -> str:
    """Return a time as people say it: "0.4 s", "12 s", "3.6 min", "5.2 h", "2.5 days"."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    # Rounded first: 59.96 minutes are an hour.
    for size, name, below in ((_MINUTE, "min", _HOUR), (_HOUR, "h", _DAY)):
        told = round(seconds / size, 1)
        if told * size < below:
            return f"{told:.1f} {name}"
    return f"{seconds / _DAY:.1f} days"


def cost_text(cost: Cost, with_cpu: bool = True) -> str:
    """Return a cost as text; "at least" where a job was not measured whole."""
    if math.isnan(cost.wall_s):
        return "not measured"
    told = time_text(cost.wall_s) if cost.measured == cost.jobs else _at_least(cost.wall_s)
    return f"{told} ({cpu_text(cost)} of CPU)" if with_cpu else told


def cpu_text(cost: Cost) -> str:
    """Return the CPU of a cost as text: always "at least", for Snakemake misses a job's end."""
    return "unknown time" if math.isnan(cost.cpu_s) else _at_least(cost.cpu_s)


def _at_least(seconds: float) -> str:
    return f"at least {time_text(seconds)}"


def made_again_text(config_file: str, rule: str, output: str, alone: Cost, whole: Cost) -> str:
    """Return the end of a caption: the command that makes an output again, and its price.

    Parameters
    ----------
    config_file
        What the run was started with, or its complete config.
    rule, output
        The rule, and the file that it makes.
    alone, whole
        Cost of the rule's job, and of that job and all before it.

    Returns
    -------
    str
        reStructuredText, a paragraph.
    """
    command = f"snakemake --cores 2 --configfile {config_file} --forcerun {rule} -- {output}"
    text = f"*Made again by* ``{command}``, from what its inputs are now: {cost_text(alone)}. "
    if whole.jobs > 1:
        text += (
            f"*From nothing*, with ``--forceall`` for ``--forcerun {rule}``: {whole.jobs} jobs, "
            f"{cost_text(whole)}, added up: jobs ran beside each other. "
        )
    return text + "Measured in this run, starts of Snakemake apart."


def costs_html(rows: Iterable[tuple[Sequence[str], str, Cost, Cost]]) -> str:
    """Return what every table and figure costs as a table, without a line break.

    Parameters
    ----------
    rows
        What a job makes (names, a line each), its rule, and its cost alone and with all before it.
    """
    heads = ("table or figure", "rule", "alone", "jobs", "from nothing", "of CPU")
    lines = []
    for names, rule, alone, whole in rows:
        cells = [
            "<br>".join(html.escape(name) for name in names),
            html.escape(rule),
            cost_text(alone, with_cpu=False),
            str(whole.jobs),
            cost_text(whole, with_cpu=False),
            cpu_text(whole),
        ]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
