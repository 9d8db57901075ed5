"""TITLE: what is searched, under which data splits, and beside which rivals.

raysim check FILE                        is every declaration possible?
raysim sweep FILE --dry-run              what would run
raysim sweep FILE --minutes 10           run it, and write a report
"""

from __future__ import annotations

from typing import Any

from raysim import Experiment, override

SEEDS = 3  # per trial
MINUTES = 8  # time of a run without options

# The axis of the study: every configuration runs under each of these. It is never searched.
SCENARIOS: list[dict[str, Any]] = [{"scenario": "even"}, {"scenario": "dirichlet", "scenario.alpha": 0.1}]

# One choice at a time, around the base: the page says for each whether it changes the outcome.
CONTRASTS: dict[str, list[Any]] = {"method.lam": [0.01, 1.0], "method.h": [1, 16]}

# What the method is compared with, on the same seeds.
RIVALS: dict[str, dict[str, Any]] = {"promptfl": {"method": "promptfl"}}


def base() -> Experiment:
    """Return the configuration around which all is varied; here of a size for a laptop."""
    return override(
        Experiment(),
        {
            "method": "fedrsclip",
            "rounds": 10,
            "scenario.clients": 10,
            "task.shots": 16,
            "evaluation.every": 5,
        },
    )


def space(trial: Any) -> dict[str, Any]:
    """Return the settings of one search trial; `trial` is Optuna's."""
    return {
        "method.lam": trial.suggest_float("method.lam", 0.001, 1.0, log=True),
        "method.h": trial.suggest_categorical("method.h", [1, 2, 4, 8, 16]),
        "training.lr": trial.suggest_float("training.lr", 0.01, 0.5, log=True),
    }
