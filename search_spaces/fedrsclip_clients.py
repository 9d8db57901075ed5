"""How does accuracy change as the same data is spread over 5 to 40 clients, as in the paper's Fed-RSIC?

There are 48 training images per class, as in Fed-Optimal (31 classes there, 24 here). So each of 40 clients
holds one or two images of a class.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space, override

RECIPE = load_space("fedrsclip_rivals")
SEEDS, TUNE_SEEDS = RECIPE.seeds, RECIPE.tune_seeds
SCENARIOS: list[dict[str, Any]] = [
    {"scenario": "even", "scenario.clients": clients} for clients in (5, 10, 20, 40)
]
TUNE: dict[str, list[Any]] = {"training.lr": [0.02, 0.05, 0.12, 0.3]}
GRID = {label: RECIPE.grid[label] for label in ("fedrsclip", "promptfl", "fedpgp", "local", "zeroshot")}

FIGURES: list[dict[str, Any]] = [{"kind": "against", "x": "scenario.clients", "name": "clients"}]


def base() -> Experiment:
    """Return the recipe's base with 20 rounds."""
    return override(RECIPE.base, {"task.shots": 48, "rounds": 20, "evaluation.every": 10})
