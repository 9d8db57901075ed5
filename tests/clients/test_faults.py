"""Faults on paper: clients that arrive, are late, drop out or are corrupt, and the weight of late updates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raysim.clients.faults import (
    Faults,
    RoundOutcome,
    client_seconds,
    corrupt_clients,
    corrupt_update,
    decide_round,
    draw_count,
    drops_out,
    pack_late_update,
    unpack_arrived,
)
from raysim.core.types import Payload
from tests.fakes.updates import aggregate, sent

# Rounds on paper: arrivals after 1, 3, 5 and 9 seconds.

ARRIVALS = {0: 3.0, 1: 5.0, 2: 9.0, 3: 1.0}


@pytest.mark.parametrize(
    ("wanted", "deadline", "expected"),
    [
        (4, None, RoundOutcome((0, 1, 2, 3), {}, (), 9.0)),
        (3, None, RoundOutcome((0, 1, 3), {2: 4.0}, (), 5.0)),  # one too many was drawn
        (4, 5.0, RoundOutcome((0, 1, 3), {2: 4.0}, (), 5.0)),  # at the deadline is in time
        (4, 4.0, RoundOutcome((0, 3), {1: 1.0, 2: 5.0}, (), 4.0)),
        (2, 4.0, RoundOutcome((0, 3), {1: 2.0, 2: 6.0}, (), 3.0)),  # enough before the deadline
        (4, 0.5, RoundOutcome((), {0: 2.5, 1: 4.5, 2: 8.5, 3: 0.5}, (), 0.5)),
    ],
)
def test_a_round_goes_on_when_it_has_enough_or_at_the_deadline(
    wanted: int, deadline: float | None, expected: RoundOutcome
) -> None:
    assert decide_round(Faults(deadline=deadline), 0, 0, ARRIVALS, wanted) == expected


def test_equal_times_are_told_apart_by_number_and_nobody_is_a_round_too() -> None:
    assert decide_round(Faults(), 0, 0, {2: 1.0, 1: 1.0}, 1) == RoundOutcome((1,), {2: 0.0}, (), 1.0)
    assert decide_round(Faults(dropout=1.0), 0, 0, ARRIVALS, 4) == RoundOutcome((), {}, (0, 1, 2, 3), 0.0)
    assert decide_round(Faults(dropout=1.0, deadline=7.0), 0, 0, ARRIVALS, 4).seconds == 7.0


def test_over_selection_rounds_up_and_ends_at_all_clients() -> None:
    faults = Faults(over_selection=1.3)
    assert [draw_count(faults, wanted, 100) for wanted in (1, 2, 10, 99)] == [2, 3, 13, 100]
    assert draw_count(Faults(over_selection=1.1), 30, 100) == 33 and draw_count(Faults(), 7, 100) == 7


def test_seconds_are_bytes_and_steps_at_the_clients_own_pace() -> None:
    payload = Payload(down=3000, up=1000, weights=1000)
    even = Faults(step_seconds=0.5, bytes_per_second=2000, speed_sigma=0, link_sigma=0)
    assert client_seconds(even, 1, 7, 6, payload) == 2.0 + 3.0
    steps = np.log(
        [
            client_seconds(Faults(step_seconds=1, speed_sigma=0.8), 1, client, 1, Payload(0, 0, 0))
            for client in range(2000)
        ]
    )
    links = np.log(
        [client_seconds(Faults(link_sigma=0.3), 1, client, 0, Payload(10**6, 0, 0)) for client in range(2000)]
    )
    assert np.median(steps) == pytest.approx(0, abs=0.06) and steps.std() == pytest.approx(0.8, rel=0.05)
    assert np.median(links) == pytest.approx(0, abs=0.03) and links.std() == pytest.approx(0.3, rel=0.05)
    assert abs(np.corrcoef(steps, links)[0, 1]) < 0.07


def test_draws_depend_on_no_order_and_on_no_other_client() -> None:
    faults = Faults(dropout=0.4, deadline=4.0)
    for round_ in range(20):
        now = decide_round(faults, 5, round_, ARRIVALS, 3)
        assert now == decide_round(faults, 5, round_, dict(reversed(ARRIVALS.items())), 3)
        some = decide_round(faults, 5, round_, {client: ARRIVALS[client] for client in (1, 3)}, 2)
        assert set(some.dropped) == set(now.dropped) & {1, 3}
    died = np.array([[drops_out(faults, 5, round_, client) for client in range(50)] for round_ in range(50)])
    assert (
        died.mean() == pytest.approx(0.4, abs=0.03) and died.mean(0).min() > 0.1 and died.mean(1).min() > 0.1
    )


def corrupt(share: float, trainers: list[int], seed: int = 3, **more: Any) -> frozenset[int]:
    return corrupt_clients(Faults(corrupt=share, **more), seed, np.array(trainers))


def test_corrupt_clients_are_a_share_of_those_that_train_and_always_the_same() -> None:
    assert [len(corrupt(share, list(range(n)))) for share, n in [(0, 5), (0.2, 5), (0.3, 10), (0.05, 5)]] == [
        0,
        1,
        3,
        1,
    ]
    twenty = list(range(20))
    assert corrupt(0.1, twenty) <= corrupt(0.4, twenty, corruption="nan") <= set(twenty)
    assert len({corrupt(0.1, twenty, seed) for seed in range(5)}) > 1
    assert corrupt(0.5, [2, 3, 7, 9]) < {2, 3, 7, 9}


def test_corruption_on_paper() -> None:
    received, up = {"p": torch.tensor([1.0, 2.0]), "other": torch.zeros(1)}, {"p": torch.tensor([3.0, 1.0])}
    assert corrupt_update(Faults(corruption="sign_flip"), received, up)["p"].tolist() == [-1.0, 3.0]
    assert corrupt_update(Faults(corruption="scaled", scale=10), received, up)["p"].tolist() == [21.0, -8.0]
    assert corrupt_update(Faults(corruption="nan"), received, up)["p"].isnan().all()
    assert up["p"].tolist() == [3.0, 1.0]


def test_a_late_update_comes_with_the_weight_of_its_age() -> None:
    held = pack_late_update(sent([4, 6], [10, 20], [[1.0], [2.0]]), {4: 7.0, 6: 1.0}, 2)
    [first], held = unpack_arrived(held, 3, 5.0)
    assert first.clients == (6,) and first.images == pytest.approx(20 / 2**0.5)
    assert first.sums["p"].item() == pytest.approx(2 * 20 / 2**0.5)
    assert unpack_arrived(held, 4, 1.0)[0] == []
    [second], held = unpack_arrived(held, 4, 2.0)
    assert second.clients == (4,) and second.images == pytest.approx(10 / 3**0.5) and held == {}
    found, _ = aggregate([sent([0], [10], [[4.0]]), second], [0.0])
    assert found[0] == pytest.approx((4 * 10 + 10 / 3**0.5) / (10 + 10 / 3**0.5))
