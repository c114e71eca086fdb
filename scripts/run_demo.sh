#!/usr/bin/env bash
# Run the default config, write the report, print the results. Called by `make demo`.
set -euo pipefail
run=results/demo
if snakemake --cores "$CORES" --dry-run --quiet all 2>/dev/null | grep -q "Nothing to be done" &&
    [ -f "$run/report.html" ]; then
    echo "the demo is complete; nothing to do"
else
    echo "running the demo on $CORES cores; logs are in logs/demo"
    snakemake --cores "$CORES" --rerun-incomplete
    snakemake --cores 1 --report "$run/report.html"
fi
"$PYTHON" scripts/show_results.py "$run"
