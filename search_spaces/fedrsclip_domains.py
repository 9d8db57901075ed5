"""Which clients does one shared prompt serve, when their images come from different domains?"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

RECIPE = load_space("fedrsclip_rivals")
SEEDS, TUNE_SEEDS = RECIPE.seeds, RECIPE.tune_seeds
SCENARIOS: list[dict[str, Any]] = [{"scenario": "even"}, {"scenario": "domain"}]
TUNE: dict[str, list[Any]] = {"training.lr": [0.02, 0.05, 0.12, 0.3]}
# FedOTP is left out: the bundled backbone has four patches only (see its model card)
GRID = {label: changes for label, changes in RECIPE.grid.items() if label != "fedotp"}

FIGURES: list[dict[str, Any]] = [{"kind": "domains"}]


def base() -> Experiment:
    """Return 24 clients: four for each of the six bundled domains."""
    return override(RECIPE.base, {"scenario.clients": 24, "rounds": 20, "evaluation.every": 10})
