"""SAFE on semantic segmentation: Dubai's tiles as clients, mIoU of SAFE, SAFE without ACE and FedAvg.

For other images, set task.path to a folder of images and masks, or give task.dataset=loveda task.path=null
for LoveDA in its own layout.
"""

from __future__ import annotations

import os
from typing import Any

from raysim import Experiment, data_roots, load_space, override

SPACE = load_space("safe")
SEEDS = 3

GRID: dict[str, dict[str, Any]] = {
    "safe": {},
    "without ACE": {"method.ace": False},
    "without CRO": {"method.cro": False},
    "fedavg": {"method": "fedavg"},
}

FIGURES: list[dict[str, Any]] = [
    {"kind": "differences", "to": "fedavg", "metrics": ["acc_shared_global", "acc_personal_own"]},
    {"kind": "masks"},
]


def base() -> Experiment:
    """Return squares of 128 px, scaled to 64 px, a small ResNet with feature pyramid, a tile per client."""
    folders = [root / "dubai" for root in data_roots() if (root / "dubai").is_dir()]
    return override(
        SPACE.base,
        {
            "task.dataset": "image_masks",
            "task.path": str(folders[0]) if folders else os.path.join("$RAYSIM_DATA", "dubai"),
            "task.classes": None,
            "task.shots": None,
            "task.views": 1,
            "task.image_size": 64,
            "task.crop": 128,
            "task.ses": 5,
            "scenario": "domain",
            "scenario.clients": 8,
            "training.batch": 8,
            "rounds": 20,
            "evaluation.every": 20,
        },
    )
