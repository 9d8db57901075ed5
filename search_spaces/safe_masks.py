"""What does ACE's gate attend to? Its masks compared with the true foreground of the bundled scenes.

An untrained gate and random masks are compared too.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

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
    """Return balanced classes, so that all are equally frequent, and larger images than the space's."""
    return override(
        SPACE.base,
        {"rounds": 20, "task.image_size": 64, "task.shots": 100, "task.ses": 10, "evaluation.every": 20},
    )
