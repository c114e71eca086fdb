"""A training is scored where its accelerator is: a job that asks for a GPU works on it."""

from types import SimpleNamespace

import numpy as np
import torch
from galaxy_lvm.core.config import check_config
from galaxy_lvm.core.config.handed import part_of
from galaxy_lvm.core.config.tasks import MultitaskRun, TaskSections
from galaxy_lvm.multitask import evaluate
from galaxy_lvm.survey.splits_table import Galaxies
from torch import nn


def test_network_and_images_go_to_the_accelerator(monkeypatch):
    config = check_config({"run": "x", "datasets": {"galaxies": {"source": "mock"}}})
    sections = part_of(TaskSections, config)
    run = MultitaskRun.model_validate({"strategy": "multi_active", "seed": 1, **sections})
    device = torch.device("meta")
    seen = []

    def asked(model, *args, device, autocast):
        seen.append((next(model.parameters()).device, device, autocast))
        return np.eye(2) if len(seen) == 1 else np.zeros((2, 8, 8, 3), np.float32)

    card = {"settings": run.model_dump(mode="json")}
    accelerator = SimpleNamespace(device=device, autocast="its own")
    monkeypatch.setattr(evaluate, "load_multitask", lambda path: (nn.Linear(1, 1), card))
    monkeypatch.setattr(evaluate, "make_accelerator", lambda precision: accelerator)
    monkeypatch.setattr(evaluate, "class_probabilities", asked)
    monkeypatch.setattr(evaluate, "restored_images", asked)
    known = Galaxies(np.arange(2), np.array(["a", "b"]), np.arange(2))
    images = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    reference = images / np.float32(255)
    one_set = [("reconstruction", "", reference, images)]
    monkeypatch.setattr(evaluate, "image_test_sets", lambda *args: one_set)
    test = evaluate.TestSplit(known, images, known, images, ("e", "s"))
    evaluate.evaluate_multitask("weights", test, 1, [1.0], 1)
    assert seen == [(device, device, "its own")] * 2
