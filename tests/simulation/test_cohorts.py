"""Cohorts: the clients of a round, those that are evaluated, and how they are stacked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from raysim.core.columns import OPTIONAL_COLUMNS
from raysim.core.seeds import numpy_rng
from raysim.simulation.cohorts import draw_cohort, evaluation_sample, micro_cohorts
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from tests.experiments import small

Run = Callable[..., Simulation]


def test_micro_cohorts_keep_stacks_full() -> None:
    federation = Federation.of(small())
    groups = micro_cohorts(federation, range(5), {})
    steps = [len(federation.shard(client)) // -16 for group in groups for client in group.clients]
    assert steps == sorted(steps) and [len(group.clients) for group in groups] == [3, 2]


@pytest.mark.parametrize(
    ("clients", "size", "sizes"),
    [
        (1, 8, [1]),
        (2, 8, [1, 1]),
        (5, 8, [3, 2]),
        (8, 8, [4, 4]),
        (10, 8, [5, 5]),
        (16, 8, [8, 8]),
        (17, 8, [8, 8, 1]),
        (13, 4, [4, 4, 3, 2]),
        (12, 4, [4, 4, 2, 2]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_two_workers_have_equally_much_to_do(clients: int, size: int, sizes: list[int]) -> None:
    federation = Federation.of(small(scenario__clients=clients, training__micro_cohort=size))
    groups = micro_cohorts(federation, range(clients), {})
    assert [len(group.clients) for group in groups] == sizes
    assert sorted(client for group in groups for client in group.clients) == list(range(clients))
    assert [group.index for group in groups] == list(range(len(groups)))


def test_cohorts_of_all_are_drawn_as_ever(simulate: Run) -> None:
    """Without newcomers the draw is the one of a count of clients."""
    simulation = simulate(small(participation=0.6, rounds=1, evaluation__clients=3))
    drawn = [numpy_rng(0, "cohort", round_).choice(5, 3, replace=False) for round_ in range(5)]
    federation = simulation.federation
    assert [draw_cohort(federation, 3, round_) for round_ in range(5)] == [
        sorted(clients.tolist()) for clients in drawn
    ]
    sample = np.sort(numpy_rng(0, "evaluation").choice(5, 3, replace=False))
    assert np.array_equal(evaluation_sample(federation, federation.trainers), sample)
    assert all(simulation.result()[name] is None for name in OPTIONAL_COLUMNS) and not set(
        OPTIONAL_COLUMNS
    ) & set(simulation.store.rounds()[0])
