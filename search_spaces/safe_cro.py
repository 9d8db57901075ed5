"""Does CRO help rare classes? FedAvg with and without it at imbalance 10:1, 50:1 and 100:1.

The report shows the accuracy of head, medium and tail classes.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

SPACE = load_space("safe")
SEEDS = 5
ALONE = {"method.fau": False, "method.ace": False}
SCENARIOS: list[dict[str, Any]] = [{"scenario.imbalance": imbalance} for imbalance in (10.0, 50.0, 100.0)]

GRID: dict[str, dict[str, Any]] = {
    "CRO alone": ALONE,
    "fedavg": {"method": "fedavg"},
    "CRO alone, p=2": {**ALONE, "method.p": 2.0},
    "CRO alone, composition": {**ALONE, "method.estimator": "composition"},
    "ratio_loss": {"method": "ratio_loss"},
}

FIGURES: list[dict[str, Any]] = [
    {"kind": "groups", "to": "fedavg"},
    {
        "kind": "differences",
        "to": "fedavg",
        "metrics": ["acc_shared_global", "acc_shared_tail", "acc_personal_own"],
    },
]


def base() -> Experiment:
    """Return ten classes of the bundled scenes, with enough images for a tail of one image at 100:1.

    40 rounds, because after the anchor's 10 no method is above the floors.
    """
    return override(SPACE.base, {"rounds": 40, "task.shots": 100, "task.ses": 10, "evaluation.every": 20})
