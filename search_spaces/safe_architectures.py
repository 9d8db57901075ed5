"""FAU across architectures: ResNet and MobileNet clients in one federation, compared by CKA.

Only tensors that agree in name and shape are averaged. With a projection, all clients share head and gate.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

SPACE = load_space("safe")
SEEDS = 5
SHARED = {"method.projection": 64}

GRID: dict[str, dict[str, Any]] = {
    "safe": {},
    "safe, common head": SHARED,
    "safe, common head, features of all": {**SHARED, "method.reference": "all"},
    "safe, features of all": {"method.reference": "all"},
    "fedavg": {"method": "fedavg"},
    "fedavg, common head": {"method": "fedavg", **SHARED},
    "fedavg, ResNet only": {"method": "fedavg", "method.network": "small_resnet"},
}

FIGURES: list[dict[str, Any]] = [
    {
        "kind": "differences",
        "to": "fedavg",
        "metrics": ["acc_shared_global", "acc_personal_own", "acc_personal_global"],
    }
]


def base() -> Experiment:
    """Return clients that are ResNets and MobileNets in turn, with 40 rounds on 100 images per class."""
    mixed = {"method.network": "small_resnet+small_mobilenet", "method.autoscale": 0.7}
    size = {"rounds": 40, "task.shots": 100, "task.ses": 10, "evaluation.every": 20}
    return override(SPACE.base, {**mixed, **size})
