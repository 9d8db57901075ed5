"""A fixed EMA weight against DMR's schedules, with and without FedEMA's autoscaler."""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

SPACE = load_space("safe")
SEEDS = 5
ONLY = {"method.cro": False, "method.ace": False}
FIXED = {"method.dmr": "constant", "method.beta_max": 0.5}
SCALED = {"method.autoscale": 0.7}

GRID: dict[str, dict[str, Any]] = {
    "cosine": ONLY,
    "fixed EMA": {**ONLY, **FIXED},
    "linear": {**ONLY, "method.dmr": "linear"},
    "reversed": {**ONLY, "method.dmr": "reversed"},
    "cosine, autoscaled": {**ONLY, **SCALED},
    "fixed EMA, autoscaled": {**ONLY, **SCALED, **FIXED},
    "no merge": {**ONLY, "method.beta_max": 0.0},
}

FIGURES: list[dict[str, Any]] = [
    {
        "kind": "differences",
        "to": "fixed EMA",
        "metrics": ["acc_shared_global", "acc_personal_own", "acc_personal_global"],
    },
    {"kind": "convergence"},
]


def base() -> Experiment:
    """Return 40 rounds on 100 images per class, evaluated every fifth round."""
    return override(SPACE.base, {"rounds": 40, "task.shots": 100, "task.ses": 10, "evaluation.every": 5})
