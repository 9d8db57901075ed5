"""The experiments B0 to B4 of `benchmarks.rounds` and `benchmarks.gpu`; rounds.py describes them."""

from __future__ import annotations

from typing import Any

from raysim.core.types import Tensors

Settings = dict[str, Any]

COMMON: Settings = {"rounds": 1000, "evaluation.every": 1000, "training.batch": 26, "task.shots": 216}
PROMPTS: Settings = {**COMMON, "method": "promptfl", "scenario.clients": 100}
NETWORK: Settings = {**COMMON, "method": "fedavg", "task.image_size": 32, "training.lr": 0.02}
RESNET: Settings = {**NETWORK, "scenario.clients": 20, "task.shots": 43, "task.ses": 10}
# name -> the measured experiment, and what it stands beside: the pool (None) or another experiment
BENCHMARKS: dict[str, tuple[Settings, Settings | None]] = {
    "B0": ({**COMMON, "method": "noop", "scenario.clients": 100, "training.batch": 4096}, None),
    "B1": (
        {
            **PROMPTS,
            "task.backbone": "ViT-B-32/random",
            "task.classes": 21,
            "task.shots": 25,
            "scenario.clients": 8,
            "training.batch": 33,
        },
        None,
    ),
    "B1s": (PROMPTS, None),
    "B2": (
        {**NETWORK, "scenario.clients": 100, "method.network": "cnn", "method.norm": "group"},
        None,
    ),
    "B3": ({**PROMPTS, "method": "fedrsclip"}, PROMPTS),
    "B4": ({**RESNET, "method": "safe"}, RESNET),
}


def relative_difference(one: Tensors, other: Tensors) -> float:
    """Norm of the difference of two results, over the norm of the other one."""
    total = sum(float((one[name] - other[name]).double().square().sum()) for name in other)
    return float((total / sum(float(tensor.double().square().sum()) for tensor in other.values())) ** 0.5)
