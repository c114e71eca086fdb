"""What a run asks of SLURM first: no job is waited for without end, and none goes nowhere."""

import pytest
from galaxy_lvm.core.cluster import keeps_accounts, status_command
from galaxy_lvm.core.errors import ConfigError

NONE = "AccountingStorageType   = accounting_storage/none"


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A machine with SLURM's clients, whose configuration a test writes; None for no answer."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def say(line):
        answer = "exit 1" if line is None else f"printf 'MinJobAge = 300 sec\\n{line}\\n'"
        scripts = {"scontrol": f'[ "$*" = "show config" ] && {answer}', "sbatch": "exit 1"}
        for name, script in scripts.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)

    return say


@pytest.mark.parametrize(
    ("said", "keeps"),
    [
        (NONE, False),
        ("AccountingStorageType   = (null)", False),
        ("AccountingStorageType   = accounting_storage/slurmdbd", True),
        ("another format", True),
        (None, True),
    ],
)
def test_a_cluster_says_whether_it_keeps_accounts(cluster, said, keeps):
    cluster(said)
    assert keeps_accounts() is keeps
    assert status_command("sacct") == ("sacct" if keeps else "squeue")
    assert status_command("squeue") == "squeue"


def test_a_machine_without_slurm_is_told_before_any_job(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"`sbatch` is not found.*login node"):
        status_command("sacct")
