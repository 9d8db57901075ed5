"""Accuracy against what is sent: prompts of some hundred numbers beside FedAvg of CLIP's whole image tower.

With a ViT-B backbone the default prompt is 4 x 512 = 2,048 numbers, as the paper says, and the tower of
ViT-B/16 86,192,640.
"""

from __future__ import annotations

from typing import Any

from raysim.experiment import Experiment, override
from raysim.search.spaces import load_space

RECIPE = load_space("fedrsclip_rivals")
SEEDS = 3
SCENARIOS: list[dict[str, Any]] = [{"scenario": "even"}]
TUNE: dict[str, list[Any]] = {
    "training.lr": [0.0003, 0.002, 0.01, 0.05, 0.3]
}  # a whole network wants smaller steps than a prompt

GRID: dict[str, dict[str, Any]] = {
    "fedrsclip": {},
    "fedrsclip, h=1": {"method.h": 1},
    "fedrsclip, h=16": {"method.h": 16},
    "promptfl": {"method": "promptfl"},
    "promptfl, h=16": {"method": "promptfl", "method.h": 16},
    "fedotp": {"method": "fedotp"},
    "fedpgp": {"method": "fedpgp"},
    "fedavg, image tower": {"method": "fedavg", "method.network": "image_tower"},
    "fedavg, small CNN": {
        "method": "fedavg",
        "method.network": "cnn",
        "method.width": 32,
        "method.norm": "group",
    },
    "local": {"method": "local"},
    "zeroshot": {"method": "zeroshot"},
}


def base() -> Experiment:
    """Ten clients and ten rounds, for the sake of the networks that are trained whole."""
    return override(
        RECIPE.base, {"scenario.clients": 10, "rounds": 10, "evaluation.every": 5, "task.shots": 48}
    )
