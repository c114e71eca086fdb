"""What made a run: versions, commit, machine, and what every rule took."""

import datetime
import html
import math
import os
import platform
import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from galaxy_lvm import __version__
from galaxy_lvm.core.checkout import git
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.user_tables import read_user_table
from galaxy_lvm.report.tables import page_html

# Whose versions change numbers or pictures.
PACKAGES = (
    "torch", "torchvision", "timm", "accelerate", "numpy", "scipy", "scikit-learn", "scikit-image",
    "opencv-python-headless", "galsim", "lenstronomy", "pycocotools", "faiss-cpu", "h5py",
    "astropy",
    "pandas", "matplotlib", "snakemake",
)  # fmt: skip
_UNKNOWN = "unknown"


def versions() -> dict[str, str]:
    """Return the versions of Python, the project and the packages that change numbers."""
    found = {"python": platform.python_version(), "galaxy-lvm": __version__}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit_of(source: str | os.PathLike) -> str:
    """Return the git commit of a folder and whether files differ from it, or "unknown"."""
    commit = git(source, "rev-parse", "HEAD")
    if commit is None:
        return _UNKNOWN
    edits = git(source, "status", "--porcelain", "-uno")
    return f"{commit} + edits" if edits else f"{commit}, no edits"


def machine() -> dict[str, str]:
    """Return processor, instruction set, cores, memory and accelerators of this machine."""
    import torch

    n_gpus = torch.cuda.device_count()
    gpus = [torch.cuda.get_device_name(i) for i in range(n_gpus)]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GB",
        "accelerators": ", ".join(gpus) or "none",
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or _UNKNOWN


# Columns of Snakemake's benchmark files that are read: seconds, seconds of CPU, MB.
_MEASURED = ("s", "cpu_time", "max_rss")
# What a job logs that takes up the work of one that was stopped: trainings, then parts of a whole.
_CONTINUED = re.compile(r"\bcontinuing(?: from step \d+|: \d+ of \d+ )")
_WHY_AT_LEAST = (
    "CPU is told as at least so much: Snakemake looks at a job every half second, after 15 s every "
    "30 s, and not at its end. At least also stands where a job went on from where a stopped one "
    "had ended: what that one took is in no benchmark."
)


def measured_job(benchmark: str | os.PathLike) -> tuple[float, float, float]:
    """Return what one benchmark file of Snakemake's tells of its job.

    Parameters
    ----------
    benchmark
        The file; its rows, one a repetition, are added up.

    Returns
    -------
    tuple
        Seconds by the clock, seconds of CPU, and the largest resident memory (MB); NaN where the
        job was too short to be looked at.

    Raises
    ------
    DataError
        If Snakemake did not write it.
    """
    table = read_user_table(benchmark)
    missing = set(_MEASURED) - set(table)
    if missing:
        raise DataError(f"{benchmark}: no column {sorted(missing)}; not a benchmark of Snakemake's")
    # "NA" and "-" stand where a job was too short to be looked at.
    told = table[list(_MEASURED)].apply(pd.to_numeric, errors="coerce")
    wall_s, cpu_s = told[["s", "cpu_time"]].sum(min_count=1)
    return wall_s, cpu_s, told["max_rss"].max()


def went_on(logs: Iterable[str | os.PathLike]) -> bool:
    """Return whether a job took up what a stopped one had begun, by its logs.

    Its benchmark tells of the time from there on alone.
    """
    return any(
        _CONTINUED.search(Path(path).read_text(encoding="utf-8", errors="replace"))
        for path in logs
        if Path(path).is_file()
    )


def measured_jobs(benchmarks: str | os.PathLike, logs: str | os.PathLike) -> pd.DataFrame:
    """Return a row for every job of a run that a benchmark file tells of.

    Parameters
    ----------
    benchmarks
        Folder of Snakemake's benchmark files: `RULE.tsv`, or `RULE/*.tsv` of several jobs. A
        `RULE_x.tsv` beside a `RULE/x.tsv` is not read: an earlier version named the job so.
    logs
        Folder of the run's logs, named like the benchmarks, with "/" or "_" behind the rule.

    Returns
    -------
    DataFrame
        `rule`, `wall_s` and `cpu_s` (seconds), `peak_mb` (largest resident memory, MB),
        `ended_s`, when the file was written (seconds since 1970): a job writes it at its end, and
        `continued`, whether it is of the last part of the job alone (`went_on`).

    Raises
    ------
    DataError
        If there is no file, or one that Snakemake did not write.
    """
    folder, rows = Path(benchmarks), []
    paths = {path: path.relative_to(folder).with_suffix("") for path in folder.rglob("*.tsv")}
    named_now = {"_".join(job.parts) for job in paths.values() if len(job.parts) > 1}
    for path, job in sorted(paths.items()):
        if str(job) in named_now:
            continue
        told = [Path(logs) / f"{name}.log" for name in (job, "_".join(job.parts))]
        rows.append((job.parts[0], *measured_job(path), path.stat().st_mtime, went_on(told)))
    if not rows:
        raise DataError(f"{folder}: no benchmark file; the rules of a run write them")
    columns = ["rule", "wall_s", "cpu_s", "peak_mb", "ended_s", "continued"]
    return pd.DataFrame(rows, columns=columns)


def costs(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return what every rule took, the longest first.

    Parameters
    ----------
    jobs
        Of `measured_jobs`.

    Returns
    -------
    DataFrame
        `rule`, `jobs`, `wall_s` and `cpu_s` (seconds of all jobs added up), `peak_mb` (largest
        resident memory of a job, MB) and `continued` (jobs of which the last part alone was
        measured); NaN where a job was too short to be measured.
    """
    grouped = jobs.groupby("rule").agg(
        jobs=("rule", "size"), wall_s=("wall_s", _sum), cpu_s=("cpu_s", _sum),
        peak_mb=("peak_mb", "max"), continued=("continued", "sum"),
    )  # fmt: skip
    return grouped.sort_values("wall_s", ascending=False).reset_index()


def clock(jobs: pd.DataFrame) -> dict[str, str]:
    """Return when a run's first job began and its last one ended, and the time between.

    Where a run was interrupted or continued, the time between holds the pauses.

    Parameters
    ----------
    jobs
        Of `measured_jobs`.

    Returns
    -------
    dict
        `first job began`, `last job ended` (UTC) and `by the clock` (minutes).
    """
    began, ended = (jobs["ended_s"] - jobs["wall_s"]).min(), jobs["ended_s"].max()
    utc = [datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (began, ended)]
    return {
        "first job began": f"{utc[0]:%Y-%m-%d %H:%M:%S} UTC",
        "last job ended": f"{utc[1]:%Y-%m-%d %H:%M:%S} UTC",
        "by the clock": f"{(ended - began) / 60:.0f} minutes, pauses included",
    }


def provenance_html(
    facts: Mapping[str, Mapping[str, Any]], spent: pd.DataFrame, config: str
) -> str:
    """Return a page of facts in sections, the costs of `costs`, and the config as text."""
    parts = []
    for section, values in facts.items():
        rows = "".join(
            f'<tr><td>{html.escape(name)}</td><td class="text">{html.escape(str(value))}</td></tr>'
            for name, value in values.items()
        )
        parts.append(f"<h2>{html.escape(section)}</h2><table>{rows}</table>")
    lines = "".join(
        f"<tr><td>{html.escape(row.rule)}</td><td>{row.jobs}</td>"
        f"<td>{'at least ' if row.continued else ''}{_told(row.wall_s, 1)}</td>"
        f"<td>{_told(row.cpu_s, 1)}</td><td>{_told(row.peak_mb, 0)}</td></tr>"
        for row in spent.itertuples()
    )
    total = "at least " if spent["continued"].any() else ""
    total += f"{spent['wall_s'].sum() / 60:.0f} minutes of jobs, added up (they ran beside each "
    total += f"other), at least {spent['cpu_s'].sum() / 60:.0f} of CPU"
    if spent["peak_mb"].notna().any():
        most = spent.loc[spent["peak_mb"].idxmax()]
        total += f"; most memory: {most['rule']}, {most['peak_mb'] / 1000:.1f} GB"
    return page_html(
        "Provenance",
        f"{''.join(parts)}<h2>Time and memory</h2><p>{total}.</p><p>{_WHY_AT_LEAST}</p>"
        "<table><thead><tr><th>rule</th><th>jobs</th><th>seconds</th>"
        "<th>CPU seconds, at least</th><th>peak memory [MB]</th></tr></thead>"
        f"<tbody>{lines}</tbody></table><h2>Config</h2><pre>{html.escape(config)}</pre>",
    )


def _sum(values: pd.Series) -> float:
    """Return the sum of what was measured, NaN where nothing was."""
    return values.sum(min_count=1)


def _told(value: float, digits: int) -> str:
    """Return a number, or a dash where a job was too short to be measured."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
