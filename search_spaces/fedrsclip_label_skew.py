"""Do shared prompts still converge when clients hold few classes, or one class each that no other holds?"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

RECIPE = load_space("fedrsclip_rivals")
SEEDS, TUNE_SEEDS = RECIPE.seeds, RECIPE.tune_seeds
SCENARIOS: list[dict[str, Any]] = [
    {"scenario": "even"},
    {"scenario": "classes_per_client", "scenario.classes": 8},
    {"scenario": "classes_per_client", "scenario.classes": 3},
    {"scenario": "disjoint"},
]
TUNE: dict[str, list[Any]] = {"training.lr": [0.02, 0.05, 0.12, 0.3]}
GRID = {label: RECIPE.grid[label] for label in ("fedrsclip", "promptfl", "fedpgp", "local", "zeroshot")}

FIGURES: list[dict[str, Any]] = [{"kind": "convergence"}]


def base() -> Experiment:
    """Return as many clients as the bundled scenes have classes, so that disjoint is one class each.

    With fewer classes, give fewer clients.
    """
    return override(RECIPE.base, {"scenario.clients": 24, "rounds": 20, "evaluation.every": 4})
