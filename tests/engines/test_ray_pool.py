"""The pool of client actors: what it reserves, starts and calls. `tests/promises` has its answers."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from ray.util.placement_group import remove_placement_group

from raysim.core.errors import UserError
from raysim.core.types import ServerState
from raysim.engines.bundles import reserve
from raysim.engines.ray_pool import RayPool
from raysim.experiment import Resources
from raysim.experiment.records import identity
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from tests.experiments import small

Run = Callable[..., Simulation]


def test_more_workers_than_the_machine_can_give_are_refused(ray_session: None) -> None:

    with pytest.raises(UserError, match=r"lower resources\.workers"):
        reserve(Resources(workers=1000))


def test_a_pool_that_is_not_started_holds_nothing() -> None:
    import ray

    started = ray.is_initialized()
    pool = RayPool(Resources(workers=1000))  # more than any machine here can give
    assert pool.actors == [] and pool.reserved is None and ray.is_initialized() == started
    pool.close()


def niceness(worker: Worker, state: ServerState) -> int:
    """How much a worker's process yields to others."""
    return os.nice(0)


def test_workers_do_not_yield_to_other_programs(ray_session: None) -> None:
    """Ray's own value is 15: beside two busy programs a round took 5 s in place of 0.13 s."""
    pool = RayPool(Resources(workers=1)).start()
    try:
        assert pool.run(identity(small()), niceness, ServerState(0, {})) == os.nice(0)
    finally:
        pool.close()


def process(worker: Worker, state: ServerState) -> tuple[int, int]:
    """A function of a worker and a state."""
    return os.getpid(), state.round


def test_a_function_is_called_at_a_worker(ray_session: None) -> None:
    pool = RayPool(Resources(workers=1)).start()
    try:
        there, round_ = pool.run(identity(small()), process, ServerState(3, {}))
    finally:
        pool.close()
    assert there != os.getpid() and round_ == 3 and pool.actors == []


def test_what_fails_while_actors_load_fails_again_when_they_are_asked(ray_session: None) -> None:
    pool = RayPool(Resources(workers=1)).start()
    try:
        pool.load("{}")
        with pytest.raises(Exception, match="code"):
            pool.initial("{}")
        experiment = small(scenario__clients=2)
        pool.load(identity(experiment))
        assert pool.initial(identity(experiment)).state.shared
    finally:
        pool.close()


def test_two_pools_may_reserve_at_once(ray_session: None) -> None:
    """Ray takes a name of a placement group once."""
    groups = [reserve(Resources(workers=1)) for _ in range(2)]
    for group in groups:
        remove_placement_group(group)
    assert len({group.id for group in groups}) == 2
