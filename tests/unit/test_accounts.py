"""A cluster without accounts is recognised, so that no job is waited for without end."""

import pytest
from galaxy_lvm.core.accounts import keeps_accounts


@pytest.mark.parametrize(
    ("said", "keeps"),
    [
        ("AccountingStorageType   = accounting_storage/none", False),
        ("AccountingStorageType   = (null)", False),
        ("AccountingStorageType   = accounting_storage/slurmdbd", True),
        ("another format", True),
        (None, True),  # scontrol fails
    ],
)
def test_a_cluster_says_whether_it_keeps_accounts(tmp_path, monkeypatch, said, keeps):
    script = tmp_path / "scontrol"
    other = "AccountingStorageHost = localhost"
    answer = "exit 1" if said is None else f"printf '{other}\\n{said}\\nMinJobAge = 300 sec\\n'"
    script.write_text(f'#!/bin/sh\n[ "$*" = "show config" ] && {answer}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert keeps_accounts() is keeps


def test_without_slurm_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert keeps_accounts() is True
