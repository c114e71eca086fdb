#!/usr/bin/env bash
# bash tests/slurm/beside.sh PYTHON COMMAND...: run COMMAND, and SLURM tests at its side: the run that COMMAND's
# tests look at (SHARED_RUN, see workflow_runs.py), and short ones, which mostly wait. Ends with COMMAND's code,
# or with theirs where COMMAND passed. They get as long as COMMAND takes and GRACE_S more, at least LEAST_S: then
# they are ended, and that is told, not failed.
set -uo pipefail
python=$1
shift
log=$(mktemp)
SHARED_RUN=$(mktemp -d)
export SHARED_RUN
OMP_NUM_THREADS=1 "$python" -m pytest tests/slurm/test_shared_run.py tests/slurm/test_in_brief.py >"$log" 2>&1 </dev/null &
tests=$!
echo "$tests" >"$SHARED_RUN/made_by"
run() { kill -0 "$tests" 2>/dev/null; }
wait_up_to() { while run && [ "$SECONDS" -lt "$1" ]; do sleep 0.2; done; }
stop() { # they end their cluster and say where they stood; their daemons die with them in any case
    kill "$tests"
    wait_up_to $((SECONDS + 180))
    ! run || kill -KILL "$tests"
}
failed=false
leave() {
    ! run || stop
    rm -f "$log"
    if $failed; then echo "test: the run that was looked at stays in $SHARED_RUN" >&2; else rm -rf "$SHARED_RUN"; fi
}
trap leave EXIT
trap 'exit 130' INT TERM
"$@"
code=$?
[ "$code" -eq 0 ] || failed=true
end=$((SECONDS + ${GRACE_S:-120}))
least=${LEAST_S:-900}
wait_up_to $((end > least ? end : least))
late=false
if run; then
    late=true
    stop
fi
wait "$tests"
found=$?
echo "=== SLURM (tests/slurm: test_shared_run.py, test_in_brief.py) ==="
cat "$log"
if $late; then
    echo "test: the SLURM tests DID NOT END in $SECONDS s and were stopped; later: make test-slurm" >&2
    # What had failed by then stays a failure: pytest marks it in its line of progress.
    grep -qE '^tests/slurm/[^ ]+ [.sxX]*[FE]|^(FAILED|ERROR) ' "$log" || found=0
fi
[ "$code" -ne 0 ] || code=$found
exit "$code"
