#!/usr/bin/env bash
# Run a size (demo, study) to its end, write the report, print the results. Called by `make demo` and `make study`.
set -euo pipefail
size=$1
run=results/$size
marker=.snakemake/$size.pid
snakemake=(snakemake --configfile "config/$size.yaml")
# A plan takes Snakemake seconds, which a first run has no use for.
if [ -f "$run/report.html" ] &&
    "${snakemake[@]}" --cores "$CORES" --dry-run --quiet all 2>/dev/null | grep -q "Nothing to be done"; then
    echo "the $size is complete; nothing to do"
else
    if [ -f "$marker" ]; then
        if kill -0 "$(cat "$marker")" 2>/dev/null; then
            echo "make $size is running in this folder already (process $(cat "$marker"))" >&2
            exit 1
        fi
        # It stays behind only where a run was killed or failed: the folder's lock is nobody's.
        echo "the last $size did not finish; going on where it was"
        "${snakemake[@]}" --unlock --quiet all
    fi
    mkdir -p .snakemake && echo $$ >"$marker"
    echo "running the $size on $CORES cores; logs are in logs/$size, figures come as they are ready in $run/figures"
    "${snakemake[@]}" --cores "$CORES" --rerun-incomplete
    "${snakemake[@]}" --cores 1 --report "$run/report.html" --report-stylesheet report/report.css
    rm -f "$marker"
fi
"$PYTHON" scripts/show_results.py "$run"
