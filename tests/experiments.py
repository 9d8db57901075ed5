"""Small experiments on the bundled scenes."""

from __future__ import annotations

from typing import Any

from raysim.experiment import Experiment, override
from raysim.methods import METHODS

SMALL = {
    "rounds": 3,
    "scenario": "dirichlet",
    "scenario.alpha": 0.3,
    "scenario.clients": 5,
    "task.shots": 8,
    "evaluation.every": 2,
    "training.lr": 0.05,
    "training.batch": 16,
    "training.micro_cohort": 3,
    "method.shared_init": "a photo of a",
    "resources.workers": 1,
}


def small(**changes: Any) -> Experiment:
    """A federation of five clients that trains in a second; `method__lam=...` stands for `method.lam`."""
    base = {
        path: value for path, value in SMALL.items() if path != "scenario.alpha" or "scenario" not in changes
    }
    return override(
        Experiment(), {**base, **{path.replace("__", "."): value for path, value in changes.items()}}
    )


TINY = {"task.image_size": 32, "task.classes": 4, "training.batch": 4, "method.width": 8}


def smallest(method: str, **changes: Any) -> Experiment:
    """The same federation with a method that may train a network: then a tiny one, on few small images, with several steps a round."""
    tiny = (
        {path.replace(".", "__"): value for path, value in TINY.items()}
        if "network" in METHODS[method].model_fields
        else {}
    )
    return small(method=method, **{**tiny, **changes})
