"""What does optimal transport cost a client in FLOPs and time, by B, C, lambda and level of the coupling?

Times are ratios within one sweep, paired by seed. With `--workers 1` no second trial runs while one is timed.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

RECIPE = load_space("fedrsclip_rivals")
SEEDS = 3
SCENARIOS: list[dict[str, Any]] = [
    {"training.batch": 32, "task.classes": 24},
    {"training.batch": 8, "task.classes": 24},
    {"training.batch": 128, "task.classes": 24},
    {"training.batch": 32, "task.classes": 6},
    {"training.batch": 32, "task.classes": 12},
]

GRID: dict[str, dict[str, Any]] = {
    "no OT": {"method.w_ot": 0.0},
    **{f"batch, lambda {lam:g}": {"method.lam": lam} for lam in (0.005, 0.02, 0.1, 0.5)},
    **{
        f"patch, lambda {lam:g}": {"method.lam": lam, "method.ot_level": "patch"}
        for lam in (0.005, 0.02, 0.1, 0.5)
    },
}

FIGURES: list[dict[str, Any]] = [
    {"kind": "cost", "reference": "no OT", "x": ["method.lam", "training.batch", "task.classes"]}
]


def base() -> Experiment:
    """Return four clients with images enough for the largest batch, no alignment, one evaluation."""
    changes = {
        "scenario.clients": 4,
        "task.shots": None,
        "rounds": 5,
        "evaluation.every": 5,
        "method.w_dpa": 0.0,
        "training.lr": 0.05,
    }
    return override(RECIPE.base, changes)
