"""Small experiments on the bundled scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raysim.experiment import Experiment, override
from raysim.methods import METHODS

if TYPE_CHECKING:
    from raysim.core.types import MicroCohort
    from raysim.simulation.federation import Federation

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
    """The same federation; a method that trains networks gets tiny ones, few small images, several steps."""
    tiny = (
        {path.replace(".", "__"): value for path, value in TINY.items()}
        if METHODS[method]().traits.inputs == "pixels"
        else {}
    )
    return small(method=method, **{**tiny, **changes})


def one_stack(federation: Federation) -> MicroCohort:
    """All clients as one micro-cohort, in the order in which they are stacked."""
    from raysim.core.types import MicroCohort
    from raysim.simulation.cohorts import micro_cohorts

    groups = micro_cohorts(federation, range(federation.clients), {})
    clients = tuple(client for group in groups for client in group.clients)
    return MicroCohort(0, clients, (None,) * len(clients))


FOUR_CLIENTS = {
    "task__classes": 4,
    "task__shots": 20,
    "task__image_size": 32,
    "task__ses": 3,
    "method__width": 8,
    "training__lr": 0.1,
    "scenario__clients": 4,
    "rounds": 3,
    "evaluation__every": 3,
}


def four_clients(method: str = "safe", **changes: Any) -> Experiment:
    """A federation of four clients and four classes whose network trains in a second."""
    sizes = {"method__d": 16, "method__d_e": 8} if method == "safe" else {}
    return small(method=method, **{**FOUR_CLIENTS, **sizes, **changes})


QUICK_WORDS = ["scenario.clients=3", "task.shots=4", "rounds=2", "evaluation.every=1"]  # on a command line
QUICK_UNTRAINED_WORDS = QUICK_WORDS[:2]  # of a method that does not train, which rounds would not affect
