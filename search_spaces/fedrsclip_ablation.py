"""What do FedRSCLIP's private prompt, alignment and optimal transport give, left out or alone, at 40 clients?

The alignment pulls the private prompt towards the shared one. Without a private prompt there is no alignment.
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, load_space

RECIPE = load_space("fedrsclip_rivals")
SEEDS, TUNE_SEEDS = RECIPE.seeds, RECIPE.tune_seeds
SCENARIOS: list[dict[str, Any]] = [{"scenario": "even"}, {"scenario": "dirichlet", "scenario.alpha": 0.1}]
TUNE: dict[str, list[Any]] = {"training.lr": [0.02, 0.05, 0.12, 0.3]}

GRID: dict[str, dict[str, Any]] = {
    "fedrsclip": {},
    "without OT": {"method.w_ot": 0.0},
    "without alignment": {"method.w_dpa": 0.0},
    "without private prompt (OT alone)": {"method.h_p": 0},
    "private prompt alone": {"method.w_dpa": 0.0, "method.w_ot": 0.0},
    "none of the three": {"method.h_p": 0, "method.w_ot": 0.0},
    "none, 8 shared tokens": {"method.h_p": 0, "method.w_ot": 0.0, "method.h": 8},
}

FIGURES: list[dict[str, Any]] = [{"kind": "differences", "to": "fedrsclip", "title": "What each part gives"}]


def base() -> Experiment:
    """Return the recipe's base: 40 clients of 36 images."""
    return RECIPE.base
