"""One shared prompt for UC Merced clients and RSSCN7 clients: two sensors and two vocabularies.

It needs RAYSIM_DATA. In the mixture every client chooses among the classes of both vocabularies. The other
two scenarios are federations of one dataset each.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

RECIPE = load_space("fedrsclip_rivals")
SEEDS, TUNE_SEEDS = RECIPE.seeds, RECIPE.tune_seeds
SCENARIOS: list[dict[str, Any]] = [
    {"scenario": "domain", "task.dataset": "ucmerced+rsscn7"},
    {"scenario": "even", "scenario.clients": 15, "task.dataset": "ucmerced"},
    {"scenario": "even", "scenario.clients": 5, "task.dataset": "rsscn7"},
]
TUNE: dict[str, list[Any]] = {"training.lr": [0.02, 0.05, 0.12, 0.3]}
# FedOTP is left out: the bundled backbone has four patches only (see its model card)
GRID = {label: changes for label, changes in RECIPE.grid.items() if label != "fedotp"}

FIGURES: list[dict[str, Any]] = [{"kind": "domains"}]


def base() -> Experiment:
    """Return 20 clients of about 80 images: 15 of UC Merced, 5 of RSSCN7, as in the other scenarios."""
    return override(
        RECIPE.base,
        {
            "task.dataset": "ucmerced+rsscn7",
            "scenario": "domain",
            "scenario.clients": 20,
            "rounds": 20,
            "evaluation.every": 10,
        },
    )
