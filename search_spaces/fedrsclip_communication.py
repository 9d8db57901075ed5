"""Accuracy against bytes sent: prompts of a few hundred numbers, and FedAvg of CLIP's whole image tower.

With a ViT-B backbone the default prompt has 4 x 512 = 2,048 numbers, as the paper says. The image tower of
ViT-B/16 has 86,192,640.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

RECIPE = load_space("fedrsclip_rivals")
SEEDS = 3
SCENARIOS: list[dict[str, Any]] = [{"scenario": "even"}]
# a whole network needs smaller steps than a prompt
TUNE: dict[str, list[Any]] = {"training.lr": [0.0003, 0.002, 0.01, 0.05, 0.3]}

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
    """Return ten clients and ten rounds, because some entries train whole networks."""
    return override(
        RECIPE.base, {"scenario.clients": 10, "rounds": 10, "evaluation.every": 5, "task.shots": 48}
    )
