#!/usr/bin/env bash
# Run the default config, write the report, print the results. Called by `make demo`.
set -euo pipefail
run=results/demo
marker=.snakemake/demo.pid
if snakemake --cores "$CORES" --dry-run --quiet all 2>/dev/null | grep -q "Nothing to be done" &&
    [ -f "$run/report.html" ]; then
    echo "the demo is complete; nothing to do"
else
    if [ -f "$marker" ]; then
        if kill -0 "$(cat "$marker")" 2>/dev/null; then
            echo "make demo is running in this folder already (process $(cat "$marker"))" >&2
            exit 1
        fi
        # It stays behind only where a demo was killed or failed: the folder's lock is nobody's.
        echo "the last demo did not finish; going on where it was"
        snakemake --unlock --quiet all
    fi
    mkdir -p .snakemake && echo $$ >"$marker"
    echo "running the demo on $CORES cores; logs are in logs/demo"
    snakemake --cores "$CORES" --rerun-incomplete
    snakemake --cores 1 --report "$run/report.html"
    rm -f "$marker"
fi
"$PYTHON" scripts/show_results.py "$run"
