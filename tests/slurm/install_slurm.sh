#!/usr/bin/env bash
# The SLURM of tests/slurm: Debian's daemons, installed where that is possible; the tests configure
# and start them. Elsewhere these tests are skipped with a reason; `make test-slurm` (SLURM_NEEDED)
# needs them. No mirror that does not answer is waited for longer than five minutes.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
found=true
for tool in slurmctld slurmd sbatch munged; do command -v "$tool" >/dev/null || found=false; done
$found && exit 0
# slurmd starts jobs as root only: for anybody else the packages would be installed in vain.
if [ "$(id -u)" != 0 ]; then
    echo "test: the SLURM tests will be SKIPPED: slurmd starts jobs as root only" >&2
    [ -z "${SLURM_NEEDED:-}" ]
    exit
fi
get() {
    timeout --kill-after=10 300 env DEBIAN_FRONTEND=noninteractive apt-get -qq \
        -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@"
}
if command -v apt-get >/dev/null; then
    echo "installing slurmctld, slurmd, slurm-client and munge (a minute)"
    if get update && get install -y --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null; then
        exit 0
    fi
fi
echo "test: the SLURM tests will be SKIPPED: slurmctld, slurmd, slurm-client and munge are not installed and could not be" >&2
[ -z "${SLURM_NEEDED:-}" ]
