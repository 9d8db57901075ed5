"""SAFE, SAFE without each of its mechanisms, and its rivals on UC Merced with a long tail of 10:1.

A small ResNet is trained from scratch at 64 px, by 10 clients with Dirichlet 0.5 and five samples per class
on the server. All entries have the space's learning rate; none is tuned.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

SPACE = load_space("safe")
SEEDS = 5
FIXED_EMA = {"method.dmr": "constant", "method.beta_max": 0.5}  # the mean of the cosine

GRID: dict[str, dict[str, Any]] = {
    "safe": {},
    "without CRO": {"method.cro": False},
    "without FAU": {"method.fau": False},
    "without DMR (fixed EMA)": FIXED_EMA,
    "without ACE": {"method.ace": False},
    "fedavg": {"method": "fedavg"},
    "fedprox": {"method": "fedprox", "method.mu": 0.01},
    "fedema": {"method": "fedema"},
    "ratio_loss": {"method": "ratio_loss"},
    "ratio_loss, R at most 50": {"method": "ratio_loss", "method.cap": 50.0},
}

METRICS = ["acc_shared_global", "acc_shared_class_mean", "acc_shared_tail", "acc_personal_own"]
FIGURES: list[dict[str, Any]] = [
    {
        "kind": "differences",
        "to": "safe",
        "metrics": METRICS,
        "title": "What each mechanism gives, and the rivals",
    },
    {"kind": "groups", "to": "fedavg"},
    {"kind": "masks"},
]


def base() -> Experiment:
    """Return 20 rounds of 2 local epochs."""
    imagery: dict[str, Any] = {
        "task.dataset": "ucmerced",
        "task.classes": None,
        "task.shots": None,
        "task.ses": 5,
    }
    return override(SPACE.base, {**imagery, "rounds": 20, "task.image_size": 64, "evaluation.every": 20})
