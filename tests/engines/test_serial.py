"""The serial engine: in this process, lazily, and on any function of a worker."""

from __future__ import annotations

import os

from raysim.core.types import MicroCohort, ServerState
from raysim.engines.serial import Serial
from raysim.experiment.records import identity
from raysim.simulation.worker import Worker
from tests.experiments import small


def test_updates_are_computed_when_they_are_asked_for() -> None:
    engine, name = Serial(), identity(small())
    cohorts = [MicroCohort(index, (index,), (None,)) for index in range(2)]
    updates = iter(engine.train(name, engine.initial(name).state, cohorts))
    assert next(updates).clients == (0,) and next(updates).clients == (1,)


def process_and_round(worker: Worker, state: ServerState) -> tuple[int, str, int]:
    """A function of a worker and a state."""
    return os.getpid(), worker.experiment.id, state.round


def test_a_function_is_called_here() -> None:
    found = Serial().run(identity(small()), process_and_round, ServerState(3, {}))
    assert found == (os.getpid(), small().id, 3)
