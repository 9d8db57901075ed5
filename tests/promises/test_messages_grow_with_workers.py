"""Messages per round grow with workers, not with clients.

The pool of the Ray engine runs here on actors that are no processes: their calls are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from raysim.core.types import MicroCohort
from raysim.engines import calls, places, ray_pool
from raysim.engines.ray_pool import RayPool
from raysim.engines.serial import Serial
from raysim.experiment import Experiment, Resources
from raysim.experiment.records import identity
from raysim.simulation.rounds import Simulation
from tests.experiments import small

Run = Callable[..., Simulation]
ROUNDS = 2


class CountedCall:
    """A method of an actor, as `actor.method.remote(...)` calls it."""

    def __init__(self, name: str, call: Callable[..., Any], messages: Counter[str]) -> None:
        self.name, self.call, self.messages = name, call, messages

    def options(self, **options: Any) -> CountedCall:
        return self

    def remote(self, experiment: str, *arguments: Any) -> Any:
        self.messages[self.name] += 1
        answer = self.call(experiment, *arguments)
        return list(answer) if self.name == "train" else answer


class CountedActor:
    """A client actor in this process."""

    def __init__(self, messages: Counter[str]) -> None:
        engine = Serial()
        self.initial = CountedCall("initial", engine.initial, messages)
        self.train = CountedCall("train", engine.train, messages)
        self.stream = CountedCall("stream", lambda *arguments: iter(engine.train(*arguments)), messages)
        self.evaluate = CountedCall("evaluate", engine.evaluate, messages)
        self.run = CountedCall("run", engine.run, messages)


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Calls of actors by method, and objects that were put for all of them."""
    counts: Counter[str] = Counter()
    monkeypatch.setattr(places, "nodes", lambda: 1)

    def put(value: Any) -> Any:
        counts["put"] += 1
        return value

    for module in (ray_pool, calls):
        monkeypatch.setattr(module, "ray", SimpleNamespace(put=put, get=lambda value: value))
    yield counts


def counted_pool(workers: int, messages: Counter[str]) -> RayPool:
    pool = RayPool(Resources(workers=workers))
    pool.actors = [CountedActor(messages) for _ in range(workers)]
    return pool


def federation_of(clients: int, **changes: Any) -> Experiment:
    """Clients that all train in every round, evaluated after every round."""
    images = {"task__classes": 4, "task__shots": 20}
    return small(
        **images, scenario="even", scenario__clients=clients, rounds=ROUNDS, evaluation__every=1, **changes
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_a_round_is_one_message_to_each_worker(workers: int, messages: Counter[str], simulate: Run) -> None:
    for clients in (10, 60):
        messages.clear()
        simulation = simulate(federation_of(clients), counted_pool(workers, messages))
        assert len(simulation.privates) == clients, "all of them trained"
        assert messages == {
            "initial": workers,
            "train": ROUNDS * workers,
            "evaluate": (ROUNDS + 1) * workers,
            "put": ROUNDS + (ROUNDS + 1),  # the shared state, once for all workers
            "run": 2,  # zero-shot at the first evaluation, the diagnosis at the end
        }


def test_large_updates_come_in_one_stream_of_each_worker(
    messages: Counter[str], simulate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_pool, "STREAMED_BYTES", 0)
    for clients in (10, 60):
        messages.clear()
        simulate(federation_of(clients), counted_pool(3, messages))
        assert messages["stream"] == ROUNDS * 3 and not messages["train"]


def test_an_answer_has_one_sum_for_a_micro_cohort_and_none_for_a_client() -> None:
    engine, name = Serial(), identity(federation_of(10))
    state = engine.initial(name).state
    few, many = (
        next(iter(engine.train(name, state, [MicroCohort(0, clients, (None,) * len(clients))])))
        for clients in ((0,), (0, 1, 2, 3, 4, 5, 6, 7))
    )
    assert {key: tensor.shape for key, tensor in few.sums.items()} == {
        key: tensor.shape for key, tensor in many.sums.items()
    }
    assert not any(few.client_tensors) and not any(many.client_tensors)


def test_the_number_of_messages_changes_no_bit(messages: Counter[str], simulate: Run) -> None:
    experiment = federation_of(10)
    expected = simulate(experiment).result()["state_sha256"]
    for workers in (1, 2, 3, 4):
        found = simulate(experiment, counted_pool(workers, messages)).result()["state_sha256"]
        assert found == expected
