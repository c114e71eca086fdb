"""Why numbers of a run are no measurement of the paper's; read by the workflow at its start."""

from collections.abc import Mapping
from typing import Any

_PAPER_PRESET = "lvm_base"
_SIMULATED = ("mock", "populations")  # sources of datasets


def differences_of_size(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return why numbers of this run are no measurement of the paper's, by item of the paper.

    Parameters
    ----------
    config
        The run's complete config.

    Returns
    -------
    dict
        Item (`table1` ... `sec5c`) -> reasons, none where galaxies and model are of its kind.
    """
    preset = config["lvm"]["preset"]
    model = [] if preset == _PAPER_PRESET else [f"{preset} instead of {_PAPER_PRESET}"]
    sources, hitl = config["datasets"], config["hitl"]
    datasets = dict.fromkeys(("table1", "table2", "table3", "table4"), config["tasks_dataset"])
    datasets["fig10"] = hitl["comparison_dataset"] or config["tasks_dataset"]
    datasets["sec5c"] = hitl["discovery_dataset"] or config["tasks_dataset"]
    found = {
        item: (["simulated galaxies"] if sources[name]["source"] in _SIMULATED else []) + model
        for item, name in datasets.items()
    }
    simulated = config["lenses"]["fields"]["source"] == "mock"
    found["fig6"] = (["simulated fields"] if simulated else []) + model
    return found
