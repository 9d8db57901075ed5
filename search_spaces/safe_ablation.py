"""Each of SAFE's mechanisms alone and each left out, on the bundled scenes at imbalance 10:1.

DMR schedules the merge of FAU, so it cannot run alone: "FAU alone" has a fixed EMA weight, "FAU and DMR" the
cosine schedule.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

SPACE = load_space("safe")
SEEDS = 5
FIXED_EMA = {"method.dmr": "constant", "method.beta_max": 0.5}
NONE = {"method.cro": False, "method.fau": False, "method.ace": False}

GRID: dict[str, dict[str, Any]] = {
    "safe": {},
    "without CRO": {"method.cro": False},
    "without FAU": {"method.fau": False},
    "without DMR (fixed EMA)": FIXED_EMA,
    "without ACE": {"method.ace": False},
    "CRO alone": {**NONE, "method.cro": True},
    "FAU alone": {**NONE, "method.fau": True, **FIXED_EMA},
    "FAU and DMR": {**NONE, "method.fau": True},
    "ACE alone": {**NONE, "method.ace": True},
    "fedavg": {"method": "fedavg"},
}

METRICS = ["acc_shared_global", "acc_shared_tail", "acc_personal_own"]
FIGURES: list[dict[str, Any]] = [
    {"kind": "differences", "to": "safe", "metrics": METRICS, "title": "What each mechanism gives"},
    {"kind": "differences", "to": "fedavg", "metrics": METRICS, "title": "What each mechanism gives alone"},
    {"kind": "groups", "to": "fedavg"},
]


def base() -> Experiment:
    """Return 40 rounds on 100 images per class: after the anchor's 10 no method is above the floors."""
    return override(SPACE.base, {"rounds": 40, "task.shots": 100, "task.ses": 10, "evaluation.every": 20})
