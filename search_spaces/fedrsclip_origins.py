"""UC Merced clients beside RSSCN7 clients: one shared prompt over two sensors and two vocabularies (needs RAYSIM_DATA).

Every client chooses among the union of both vocabularies; beside the mixture stand the two federations of one
origin each.
"""

from __future__ import annotations

from typing import Any

from raysim.experiment import Experiment, override
from raysim.search.spaces import load_space

RECIPE = load_space("fedrsclip_rivals")
SEEDS, TUNE_SEEDS = RECIPE.seeds, RECIPE.tune_seeds
SCENARIOS: list[dict[str, Any]] = [
    {"scenario": "domain", "task.dataset": "ucmerced+rsscn7"},
    {"scenario": "even", "scenario.clients": 15, "task.dataset": "ucmerced"},
    {"scenario": "even", "scenario.clients": 5, "task.dataset": "rsscn7"},
]
TUNE: dict[str, list[Any]] = {"training.lr": [0.02, 0.05, 0.12, 0.3]}
GRID = {
    label: changes for label, changes in RECIPE.grid.items() if label != "fedotp"
}  # see the model card: four patches

FIGURES: list[dict[str, Any]] = [{"kind": "domains"}]


def base() -> Experiment:
    """20 clients of about 80 images: 15 from UC Merced and 5 from RSSCN7, in the mixture and in the two federations beside it."""
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
