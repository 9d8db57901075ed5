"""One shared prompt over clients whose images come from different domains: whom does it serve?"""

from __future__ import annotations

from typing import Any

from raysim.experiment import Experiment, override
from raysim.search.spaces import load_space

RECIPE = load_space("fedrsclip_rivals")
SEEDS, TUNE_SEEDS = RECIPE.seeds, RECIPE.tune_seeds
SCENARIOS: list[dict[str, Any]] = [{"scenario": "even"}, {"scenario": "domain"}]
TUNE: dict[str, list[Any]] = {"training.lr": [0.02, 0.05, 0.12, 0.3]}
GRID = {
    label: changes for label, changes in RECIPE.grid.items() if label != "fedotp"
}  # see the model card: four patches

FIGURES: list[dict[str, Any]] = [{"kind": "domains"}]


def base() -> Experiment:
    """24 clients: four for each of the six bundled domains."""
    return override(RECIPE.base, {"scenario.clients": 24, "rounds": 20, "evaluation.every": 10})
