"""How sensitive is CRO to the size and the skew of the server's samples?

Every entry takes its samples out of the training images first. Then the clients of all entries get equally
many images, but not all the same ones.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

SPACE = load_space("safe")
SEEDS = 3
SCENARIOS: list[dict[str, Any]] = [{"scenario.imbalance": 10.0}, {"scenario.imbalance": 100.0}]

GRID: dict[str, dict[str, Any]] = {
    "10 per class": {},
    "1 per class": {"task.ses": 1},
    "2 per class": {"task.ses": 2},
    "5 per class": {"task.ses": 5},
    "20 per class": {"task.ses": 20},
    "50 per class": {"task.ses": 50},
    "10 per class, skewed 10:1": {"task.ses_imbalance": 10.0},
    "50 per class, skewed 50:1": {"task.ses": 50, "task.ses_imbalance": 50.0},
    "fedavg": {"method": "fedavg"},
}

FIGURES: list[dict[str, Any]] = [
    {"kind": "differences", "to": "10 per class", "metrics": ["acc_shared_global", "acc_shared_tail"]},
    {"kind": "groups", "to": "fedavg"},
]


def base() -> Experiment:
    """Return CRO alone, 40 rounds."""
    return override(
        SPACE.base,
        {
            **{"method.fau": False, "method.ace": False, "rounds": 40},
            **{"task.shots": 100, "task.ses": 10, "evaluation.every": 20},
        },
    )
