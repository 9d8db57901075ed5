"""The device of a process that trains. `Resources` decide it, not what the machine happens to have."""

from __future__ import annotations

import torch

from raysim.experiment.resources import Resources

CPU = torch.device("cpu")


def device_of(resources: Resources) -> torch.device:
    """The GPU where `resources.gpus` asks for a share of one and this process sees it, else the CPU."""
    return torch.device("cuda") if resources.gpus and torch.cuda.is_available() else CPU


def only_workers_have_gpu(resources: Resources) -> bool:
    """Whether GPUs are asked for that this process does not see; then the workers compute the features."""
    return bool(resources.gpus) and not torch.cuda.is_available()
