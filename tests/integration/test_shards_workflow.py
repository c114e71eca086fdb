"""The rules of a dataset in several files, through Snakemake: a damaged one stops only itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.rejected import read_rejected
from galaxy_lvm.survey.store import CutoutWriter
from small_images import galaxy

ROOT = Path(__file__).parents[2]
TARGET = "results/shards/data/galaxies/crops.h5"


def snakemake(folder):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
               "--cores", "1", "--directory", str(folder), "--configfile",
               str(folder / "own.yaml"), "--", TARGET]  # fmt: skip
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"})  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.workflow
def test_a_damaged_file_of_a_dataset_stops_only_itself(tmp_path):
    (tmp_path / "files").mkdir()
    for number in range(2):
        path = tmp_path / "files" / f"part_{number}.h5"
        with CutoutWriter(path, True, 96, 96) as writer:
            ids = [f"g{number}_{i}" for i in range(3)]
            writer.append([galaxy(10 * number + i) for i in range(3)], {"id": ids})
    os.truncate(path, 1500)
    galaxies = {"source": "ssl_legacysurvey", "path": "files/*.h5", "on_damaged_shard": "leave_out"}
    config = {"base": None, "run": "shards", "datasets": {"galaxies": galaxies}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    status, text = snakemake(tmp_path)
    assert status == 0, text
    for rule, count in {"list_shards": 1, "crop_shard": 2, "gather_crops": 1}.items():
        assert any(line.split() == [rule, str(count)] for line in text.splitlines())
    with CropStore(tmp_path / TARGET) as crops:
        assert crops.ids.tolist() == ["g0_0", "g0_1", "g0_2"]
    lost = tmp_path / TARGET.replace("crops.h5", "rejected_crop.csv")
    (line,) = read_rejected(lost).to_dict("records")
    assert line["file"] == "files/part_1.h5" and "shard 001 is left out" in line["reason"]
    log = tmp_path / "logs/shards/list_shards/galaxies.log"
    assert "left out: 1 of 2 shards: files/part_1.h5" in log.read_text()
