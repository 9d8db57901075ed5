"""How many images a run uses, and which settings leave the others out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.tables import images_used
from tests.experiments import small, smallest

Run = Callable[..., Simulation]


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"task__shots": 8}, ["task.shots"]),
        ({"task__shots": 230}, []),  # every class has 230
        ({"task__shots": None}, []),
        ({"task__shots": None, "evaluation__newcomers": 0.4}, ["evaluation.newcomers"]),
        ({"scenario": "long_tail", "scenario__imbalance": 5.0}, ["task.shots", "scenario=long_tail"]),
        ({"task__shots": None, "task__ses": 3}, ["task.ses"]),  # nobody trains with the server's samples
    ],
)
def test_what_is_left_out_has_its_reason(changes: dict[str, Any], reasons: list[str]) -> None:
    federation = Federation.of(small(**changes))
    found = images_used(federation)
    assert found["images_reasons"] == reasons
    assert found["images_train"] == 24 * 230 and found["images_total"] == 24 * 360
    used = sum(len(federation.shards[client]) for client in federation.trainers)
    assert found["images_used"] == used and (used < 24 * 230) == bool(reasons)


def test_a_method_that_works_with_the_servers_samples_uses_them() -> None:
    federation = Federation.of(smallest("safe", task__shots=None, task__ses=3))
    assert images_used(federation)["images_reasons"] == []
    assert images_used(federation)["images_used"] == 4 * 230 and len(federation.samples) == 4 * 3


def test_a_run_says_it_in_its_record(simulate: Run) -> None:
    described = simulate(small(rounds=1)).store.described()
    assert (described["images_used"], described["images_reasons"]) == (24 * 8, ["task.shots"])
    described = simulate(small(method="zeroshot")).store.described()
    assert (described["images_used"], described["images_reasons"]) == (0, ["method=zeroshot"])
