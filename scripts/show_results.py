"""Print the summary of a finished run: python scripts/show_results.py results/demo."""

import sys

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report.summary import print_summary


def main(run_dir: str) -> None:
    """Print the summary of the run in `run_dir` and where to look for more."""
    print_summary(run_dir)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/show_results.py results/RUN")
    try:
        main(sys.argv[1])
    except DataError as error:
        sys.exit(str(error))
