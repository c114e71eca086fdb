"""What git says of a checkout."""

import os
import subprocess


def git(folder: str | os.PathLike, *arguments: str) -> str | None:
    """Return what a git command prints in a folder; None outside a checkout or without git."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
