"""Snakemake's linter, without its wish that helpers of a chapter lie elsewhere than its rules.

A rule file is read as a chapter: what only its rules need stands at its top (docs/architecture.md).
Called by `make lint`; prints what is left and fails if there is anything.
"""

import re
import subprocess
import sys
from collections.abc import Iterator

ON_PURPOSE = ("Mixed rules and functions in same snakefile.",)


def lints() -> Iterator[str]:
    """Yield what the linter finds: the place and the title of every finding."""
    command = [sys.executable, "-m", "snakemake", "--lint", "text"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    place, titles = "", 0
    for line in (result.stdout + result.stderr).splitlines():
        if match := re.match(r"Lints for (.*):$", line):
            place = match[1]
        elif match := re.match(r"    \* (.*):$", line):
            titles += 1
            if match[1] not in ON_PURPOSE:
                yield f"{place}: {match[1]}"
    if result.returncode and not titles:
        yield f"snakemake --lint failed: {result.stderr.strip()}"


if __name__ == "__main__":
    left = list(lints())
    print("\n".join(left) or "snakemake --lint: nothing to mend")
    sys.exit(bool(left))
