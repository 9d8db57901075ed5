"""What does ACE's gate look at? Its masks beside the true foreground of the bundled scenes, an untrained gate and random masks."""

from __future__ import annotations

from typing import Any

from raysim.experiment import Experiment, override
from raysim.search.spaces import load_space

SPACE = load_space("safe")
SEEDS = 3
SCENARIOS: list[dict[str, Any]] = [{"scenario.imbalance": 1.0}]

GRID: dict[str, dict[str, Any]] = {
    "safe": {},
    "half open at the start": {"method.open_bias": 0.0},
    "half open wanted": {"method.w_mask": 1.0, "method.rho": 0.5},
    "residual gate": {"method.gating": "residual"},
    "hot (tau_g 5)": {"method.tau_g": 5.0, "method.tau_g_schedule": "constant"},
    "without ACE": {"method.ace": False},
}

FIGURES: list[dict[str, Any]] = [
    {"kind": "masks"},
    {"kind": "differences", "to": "without ACE", "metrics": ["acc_shared_global", "acc_personal_own"]},
]


def base() -> Experiment:
    """Balanced, so that every class is seen alike; larger images than the space's."""
    return override(
        SPACE.base,
        {"rounds": 20, "task.image_size": 64, "task.shots": 100, "task.ses": 10, "evaluation.every": 20},
    )
