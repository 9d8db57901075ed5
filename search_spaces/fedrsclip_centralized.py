"""Does one client with all data learn prompts as well as centralized CoOp? A sanity check of FedRSCLIP.

The paper refers to a table of single-client training whose values are not public.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

RECIPE = load_space("fedrsclip_rivals")
SEEDS, TUNE_SEEDS = RECIPE.seeds, RECIPE.tune_seeds
SCENARIOS: list[dict[str, Any]] = [{"scenario": "even"}]
# a round has many steps, so learning rates are smaller
TUNE: dict[str, list[Any]] = {"training.lr": [0.001, 0.003, 0.01, 0.03, 0.1]}

GRID: dict[str, dict[str, Any]] = {
    "fedrsclip, one client": {},
    "without alignment and OT": {"method.w_dpa": 0.0, "method.w_ot": 0.0},
    "one prompt, no alignment, no OT": {"method.w_dpa": 0.0, "method.w_ot": 0.0, "method.h_p": 0},
    "centralized CoOp": {"method": "centralized"},
    "zeroshot": {"method": "zeroshot"},
}

FIGURES: list[dict[str, Any]] = [
    {"kind": "differences", "to": "centralized CoOp", "title": "One client against centralized CoOp"}
]


def base() -> Experiment:
    """Return one client, with fewer rounds because each has 45 steps."""
    return override(RECIPE.base, {"scenario.clients": 1, "rounds": 10, "evaluation.every": 5})
