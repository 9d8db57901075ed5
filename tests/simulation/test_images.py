"""What a process keeps from one experiment to the next changes no number, and what it costs is measured rightly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.overhead import beyond
from raysim.experiment.records import identity
from raysim.simulation import federation, worker
from raysim.simulation.federation import Federation
from raysim.simulation.worker import worker_of
from tests.experiments import small, smallest


def test_images_are_dealt_once_for_all_that_only_trains_differently() -> None:
    first, other = small(method__lam=0.1), small(method__lam=0.2, training__lr=0.3, rounds=2)
    one, two = Federation.of(first), Federation.of(other)
    assert one.shards is two.shards and (one.experiment, two.experiment) == (first, other)
    assert Federation.of(small(seed=1)).shards is not one.shards
    federation._DEALT.clear()
    assert all(np.array_equal(a, b) for a, b in zip(one.shards, Federation.of(other).shards, strict=True))


def test_server_samples_of_a_method_are_not_taken_from_another() -> None:
    without, with_samples = Federation.of(smallest("fedavg")), Federation.of(smallest("safe"))
    assert len(with_samples.samples) > len(without.samples) == 0


def test_no_more_federations_are_kept_than_stated() -> None:
    for seed in range(federation.DEALT_MOST + 3):
        Federation.of(small(seed=seed))
    assert len(federation._DEALT) <= federation.DEALT_MOST


def test_prompt_methods_share_one_text_tower() -> None:
    one, two = (worker_of(identity(small(method__lam=lam))) for lam in (0.11, 0.12))
    assert one is not two and one.model.tower is two.model.tower


@pytest.mark.parametrize("name", ["fedrsclip", "safe"])
def test_flops_counted_for_one_seed_are_those_of_another(name: str, simulate: Any) -> None:
    worker._FLOPS.clear()
    counted = simulate(smallest(name, rounds=1, seed=1)).totals["flops"]
    simulate(smallest(name, rounds=1, seed=0))
    assert simulate(smallest(name, rounds=1, seed=1)).totals["flops"] == counted


def test_what_a_trial_costs_beyond_its_rounds() -> None:
    two_slots = [(0.0, 10.0, 9.0), (0.5, 11.0, 9.0), (10.1, 12.0, 1.5), (11.2, 14.0, 2.0)]
    assert beyond(two_slots, 2) == pytest.approx([0.5, 1.0])
