"""Whether a SLURM cluster remembers jobs that are over, for who asks what became of them."""

import re
import subprocess

PATIENCE_S = 60
_TYPE = re.compile(r"^AccountingStorageType\s*=\s*(\S+)", re.MULTILINE)
_NONE = ("accounting_storage/none", "(null)")


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
