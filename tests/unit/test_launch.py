"""Processes of one training find each other, and say where they cannot."""

import signal
import socket

import pytest
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.training.launch import launch_processes
from galaxy_lvm.training.nodes import launch_nodes
from torch import distributed


def note_rank(folder):
    distributed.init_process_group("gloo")
    distributed.barrier()
    (folder / str(distributed.get_rank())).write_text(str(distributed.get_world_size()))
    distributed.destroy_process_group()


def test_processes_find_each_other_where_the_name_of_the_machine_leads_nowhere(
    tmp_path, monkeypatch
):
    """As in a container: a training on two GPUs waited for half an hour."""
    monkeypatch.setattr(socket, "getfqdn", lambda *name: "this-name.leads-nowhere.invalid")
    heard = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in heard]
    launch_processes(note_rank, 2, 1, folder=tmp_path)
    assert [signal.getsignal(number) for number in heard] == before
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "2", "1": "2"}


def test_several_nodes_need_slurm(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(ConfigError, match="nodes: 2 needs SLURM"):
        launch_nodes(note_rank, 2, 4, 1, tmp_path, folder=tmp_path)
