"""What a run asks of SLURM before its first job: whether it is there, and who knows of its jobs."""

import re
import shutil
import subprocess

from galaxy_lvm.core.errors import ConfigError

PATIENCE_S = 60
_TYPE = re.compile(r"^AccountingStorageType\s*=\s*(\S+)", re.MULTILINE)
_NONE = ("accounting_storage/none", "(null)")


def status_command(wanted: str | None) -> str | None:
    """Return the command that says what became of a job: `squeue` where `sacct` would know of none.

    Parameters
    ----------
    wanted
        What Snakemake would ask: `sacct`, `squeue` or None.

    Raises
    ------
    ConfigError
        If jobs cannot be handed in from this machine.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "no SLURM on this machine: `sbatch` is not found. Start this where you hand in jobs, "
            "mostly a login node (perhaps after `module load slurm`), or without SLURM: "
            "snakemake --cores 2 --configfile FILE"
        )
    return "squeue" if wanted == "sacct" and not keeps_accounts() else wanted


def keeps_accounts() -> bool:
    """Return whether `sacct` can say what became of a job; True where the cluster does not tell."""
    command = ["scontrol", "show", "config"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=PATIENCE_S
        )
    except (OSError, subprocess.SubprocessError):
        return True
    found = _TYPE.search(done.stdout)
    return found is None or found[1] not in _NONE
