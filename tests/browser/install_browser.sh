#!/usr/bin/env bash
# The browser of tests/browser: Debian's chromium and its driver, installed where that is possible.
# Elsewhere these tests are skipped with a reason; CI needs them.
set -euo pipefail
command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
    echo "installing chromium and chromium-driver (a minute)"
    if $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; then
        exit 0
    fi
fi
echo "test: the browser tests will be SKIPPED: chromium and chromium-driver are not installed and could not be" >&2
[ -z "${CI:-}" ]
