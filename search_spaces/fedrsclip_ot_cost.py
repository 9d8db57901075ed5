"""What does optimal transport cost a client, in FLOPs and time, against B, C, lambda and what is coupled?

Times are ratios within one sweep, paired by seed; `--workers 1` keeps a second trial off the machine while
one is timed.
"""

from __future__ import annotations

from typing import Any

from raysim.experiment import Experiment, override
from raysim.search.spaces import load_space

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
    """Four clients with images enough for the largest batch; one evaluation, at the end. Without alignment: plain prompt tuning."""
    changes = {
        "scenario.clients": 4,
        "task.shots": None,
        "rounds": 5,
        "evaluation.every": 5,
        "method.w_dpa": 0.0,
        "training.lr": 0.05,
    }
    return override(RECIPE.base, changes)
