#!/usr/bin/env bash
# Make a small environment with Detectron2's Python files, for the tests; nothing is compiled.
# Usage: make_environment.sh PYTHON FOLDER, with the Python of the environment that has envs/dev.txt;
# its packages (torch, pytest, ...) are seen from FOLDER, which holds only what they lack.
set -euo pipefail
python=$1 folder=$2
envs="$(dirname "$0")/../../envs"
pip=("$python" -m pip --disable-pip-version-check --quiet)

rm -rf "$folder"
"$python" -m venv --without-pip "$folder"
packages() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
"${pip[@]}" --python "$folder/bin/python" install --no-deps -r "$envs/detectron2-test.txt"
# The wheel says CPython 3.10 for its one compiled file, which no other Python loads. Without it
# Detectron2 goes on: rotated boxes and deformable convolutions then raise, Mask R-CNN uses neither.
"${pip[@]}" install --no-deps --only-binary=:all: --implementation cp --python-version 3.10 \
    --target "$(packages "$folder/bin/python")" -r "$envs/detectron2-wheel.txt"
packages "$python" >"$(packages "$folder/bin/python")/main.pth"
