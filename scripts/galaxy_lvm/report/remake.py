"""How a table or figure is made again, and what that costs by the benchmarks of its run."""

import html
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from galaxy_lvm.report.provenance import measured_job

_DAY, _HOUR, _MINUTE = 86400, 3600, 60


@dataclass(frozen=True)
class Cost:
    """What jobs took: how many, how many of them were measured, seconds by the clock and of CPU."""

    jobs: int
    measured: int
    wall_s: float
    cpu_s: float


def cost_of(benchmarks: Iterable[str | os.PathLike | None]) -> Cost:
    """Return what the jobs of benchmark files took together, one after the other.

    Parameters
    ----------
    benchmarks
        File of every job; None for a job that keeps none. A file that is missing, or a job that
        was too short to be looked at, counts as a job that was not measured.

    Raises
    ------
    DataError
        If a file is not a benchmark of Snakemake's.
    """
    jobs, walls, cpus = 0, [], []
    for path in benchmarks:
        jobs += 1
        if path is not None and Path(path).exists():
            wall_s, cpu_s, _ = measured_job(path)
            if wall_s == wall_s:  # not NaN
                walls.append(wall_s)
                cpus.append(cpu_s if cpu_s == cpu_s else 0.0)
    return Cost(jobs, len(walls), sum(walls), sum(cpus))


def time_text(seconds: float) -> str:
    """Return a time as people say it: "0.4 s", "12 s", "3.6 min", "5.2 h", "2.5 days"."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    units = ((_MINUTE, "min", _HOUR), (_HOUR, "h", _DAY), (_DAY, "days", float("inf")))
    size, name = next((size, name) for size, name, below in units if seconds < below)
    return f"{seconds / size:.1f} {name}"


def cost_text(cost: Cost, with_cpu: bool = True) -> str:
    """Return a cost as text; "at least" where a job was not measured, "not measured" for none."""
    if not cost.measured:
        return "not measured"
    told = time_text(cost.wall_s)
    if with_cpu:
        told += f" ({time_text(cost.cpu_s)} of CPU)"
    return told if cost.measured == cost.jobs else f"at least {told}"


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
            f"{cost_text(whole)} one after the other. "
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
            time_text(whole.cpu_s) if whole.measured else "-",
        ]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
