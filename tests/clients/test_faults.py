"""Faults: rounds on paper, robust aggregates against references, and runs that resume, stay private and never sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pytest
import torch
from scipy.stats import trim_mean

from raysim.clients.faults import (
    Faults,
    Turn,
    arriving,
    client_seconds,
    corrupt_clients,
    corrupted,
    drawn,
    drops_out,
    hold,
    turn,
)
from raysim.core.errors import Diverged, UserError
from raysim.core.types import MicroCohort, Payload, ServerState, Update
from raysim.engines.serial import Serial
from raysim.experiment import Resources
from raysim.methods import METHODS
from raysim.methods.aggregation import ServerOptimiser, combined
from raysim.methods.base import weighted_sum
from raysim.methods.prompts.base import SHARED
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import Store
from raysim.storage.vault import digest_of
from tests.experiments import small, smallest

Run = Callable[..., Simulation]
NAN = float("nan")


def sent(clients: list[int], images: list[int], values: list[list[float]]) -> Update:
    """A micro-cohort's update of one tensor."""
    rows = torch.tensor(values)
    examples, count = np.array(images), len(clients)
    each = tuple({"p": row} for row in rows)
    sums = weighted_sum({"p": rows}, examples)
    return Update(0, tuple(clients), examples, sums, ({},) * count, each, ({},) * count, {}, 0, 0, 0, 0, 0.0)


def aggregate(updates: list[Update], start: list[float], **config: Any) -> tuple[list[float], int]:
    """What a FedAvg-like method makes of updates, and how many were left out."""
    state = ServerState(0, {"p": torch.tensor(start)})
    server, rejected = ServerOptimiser(**config), 0
    if server.robust:
        updates, rejected = combined(server, state.shared, updates)
    return METHODS["promptfl"]().aggregate(state, updates).shared["p"].tolist(), rejected


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return list(ds.dataset(folder / "tables/rounds").to_table().sort_by("round").to_pylist())


# Rounds on paper: arrivals after 1, 3, 5 and 9 seconds.

ARRIVALS = {0: 3.0, 1: 5.0, 2: 9.0, 3: 1.0}


@pytest.mark.parametrize(
    ("wanted", "deadline", "expected"),
    [
        (4, None, Turn((0, 1, 2, 3), {}, (), 9.0)),
        (3, None, Turn((0, 1, 3), {2: 4.0}, (), 5.0)),  # one too many was drawn
        (4, 5.0, Turn((0, 1, 3), {2: 4.0}, (), 5.0)),  # at the deadline is in time
        (4, 4.0, Turn((0, 3), {1: 1.0, 2: 5.0}, (), 4.0)),
        (2, 4.0, Turn((0, 3), {1: 2.0, 2: 6.0}, (), 3.0)),  # enough before the deadline
        (4, 0.5, Turn((), {0: 2.5, 1: 4.5, 2: 8.5, 3: 0.5}, (), 0.5)),
    ],
)
def test_a_round_goes_on_when_it_has_enough_or_at_the_deadline(
    wanted: int, deadline: float | None, expected: Turn
) -> None:
    assert turn(Faults(deadline=deadline), 0, 0, ARRIVALS, wanted) == expected


def test_equal_times_are_told_apart_by_number_and_nobody_is_a_round_too() -> None:
    assert turn(Faults(), 0, 0, {2: 1.0, 1: 1.0}, 1) == Turn((1,), {2: 0.0}, (), 1.0)
    assert turn(Faults(dropout=1.0), 0, 0, ARRIVALS, 4) == Turn((), {}, (0, 1, 2, 3), 0.0)
    assert turn(Faults(dropout=1.0, deadline=7.0), 0, 0, ARRIVALS, 4).seconds == 7.0


def test_over_selection_rounds_up_and_ends_at_all_clients() -> None:
    faults = Faults(over_selection=1.3)
    assert [drawn(faults, wanted, 100) for wanted in (1, 2, 10, 99)] == [2, 3, 13, 100]
    assert drawn(Faults(over_selection=1.1), 30, 100) == 33 and drawn(Faults(), 7, 100) == 7


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
        now = turn(faults, 5, round_, ARRIVALS, 3)
        assert now == turn(faults, 5, round_, dict(reversed(ARRIVALS.items())), 3)
        some = turn(faults, 5, round_, {client: ARRIVALS[client] for client in (1, 3)}, 2)
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
    assert corrupted(Faults(corruption="sign_flip"), received, up)["p"].tolist() == [-1.0, 3.0]
    assert corrupted(Faults(corruption="scaled", scale=10), received, up)["p"].tolist() == [21.0, -8.0]
    assert corrupted(Faults(corruption="nan"), received, up)["p"].isnan().all()
    assert up["p"].tolist() == [3.0, 1.0]


# Aggregation.


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"aggregation": "mean"}, [3.25, 1.0]),
        ({"aggregation": "median"}, [2.5, 2.0]),  # the middle of two, one vote each
        ({"aggregation": "trimmed", "trim": 0.4}, [2.5, 2.0]),  # floor(0.4 * 2) = 0 are cut
        (
            {"aggregation": "clip", "clip": 1.0},
            [3.25, 0.875],
        ),  # of norms 4 and 3 the median is 3.5: (0, 4) becomes (0, 3.5)
    ],
)
def test_two_clients_on_paper(config: dict[str, Any], expected: list[float]) -> None:
    """The server has (1, 0); client 0 with 1 image sends (1, 4), client 1 with 3 images (4, 0)."""
    found, rejected = aggregate([sent([0, 1], [1, 3], [[1.0, 4.0], [4.0, 0.0]])], [1.0, 0.0], **config)
    assert found == pytest.approx(expected, rel=1e-6) and rejected == 0


@pytest.mark.parametrize("count", [4, 5, 9])
def test_robust_aggregates_are_their_references(count: int) -> None:
    """numpy and scipy; cut into micro-cohorts in any way; each client has its own number of images."""
    rng = np.random.default_rng(count)
    values, images, start = (
        rng.normal(size=(count, 6)).astype(np.float32),
        rng.integers(1, 50, count),
        np.ones(6, np.float32),
    )
    change = values - start
    norms = np.linalg.norm(change, axis=1)
    cut = start + change * np.minimum(1, 0.8 * np.median(norms) / norms)[:, None]
    expected = {
        "median": np.median(values, axis=0),
        "trimmed": trim_mean(values, 0.25, axis=0),
        "clip": np.average(cut, axis=0, weights=images),
    }
    for size in (1, 2, count):
        parts = [slice(first, first + size) for first in range(0, count, size)]
        updates = [
            sent(list(range(count))[part], images[part].tolist(), values[part].tolist()) for part in parts
        ]
        for rule, wanted in expected.items():
            found, _ = aggregate(updates, start.tolist(), aggregation=rule, trim=0.25, clip=0.8)
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", ["median", "trimmed", "clip"])
def test_what_is_not_finite_is_left_out_and_counted(rule: str) -> None:
    good = [[1.0, 5.0], [2.0, 4.0], [3.0, 3.0]]
    bad = sent([3, 4], [100, 100], [[NAN, 0.0], [float("inf"), 1.0]])
    clean, none = aggregate([sent([0, 1, 2], [1, 2, 3], good)], [0.0, 0.0], aggregation=rule)
    mixed, two = aggregate([bad, sent([0, 1, 2], [1, 2, 3], good)], [0.0, 0.0], aggregation=rule)
    assert clean == mixed and (none, two) == (0, 2) and np.isfinite(clean).all()
    assert aggregate([bad], [7.0, 8.0], aggregation=rule) == ([7.0, 8.0], 2)


def test_a_far_client_moves_the_mean_but_not_the_rest() -> None:
    updates = [sent([0, 1, 2, 3, 4], [1] * 5, [[0.9], [1.0], [1.1], [1.2], [-1e6]])]
    assert aggregate(updates, [0.0], aggregation="mean")[0][0] < -1e5
    assert aggregate(updates, [0.0], aggregation="median")[0] == [1.0]
    assert aggregate(updates, [0.0], aggregation="trimmed", trim=0.2)[0] == pytest.approx([1.0], rel=1e-6)
    assert aggregate(updates, [0.0], aggregation="clip")[0] == pytest.approx(
        [(0.9 + 1 + 1.1 + 1.1 - 1.1) / 5], rel=1e-6
    )


def test_architectures_are_clipped_among_themselves() -> None:
    one, other = sent([0], [1], [[3.0]]), sent([1], [1], [[400.0]])
    other = Update(**{**vars(other), "each": ({"q": other.each[0]["p"]},), "sums": {"q": other.sums["p"]}})
    state = ServerState(0, {"p": torch.zeros(1), "q": torch.zeros(1), "r": torch.ones(1)})
    updates, _ = combined(ServerOptimiser(aggregation="clip"), state.shared, [one, other])
    after = METHODS["promptfl"]().aggregate(state, updates)
    assert {name: tensor.item() for name, tensor in after.shared.items()} == {"p": 3.0, "q": 400.0, "r": 1.0}


def test_a_late_update_comes_with_the_weight_of_its_age() -> None:
    held = hold(sent([4, 6], [10, 20], [[1.0], [2.0]]), {4: 7.0, 6: 1.0}, 2)
    [first], held = arriving(held, 3, 5.0)
    assert first.clients == (6,) and first.images == pytest.approx(20 / 2**0.5)
    assert first.sums["p"].item() == pytest.approx(2 * 20 / 2**0.5)
    assert arriving(held, 4, 1.0)[0] == []
    [second], held = arriving(held, 4, 2.0)
    assert second.clients == (4,) and second.images == pytest.approx(10 / 3**0.5) and held == {}
    found, _ = aggregate([sent([0], [10], [[4.0]]), second], [0.0])
    assert found[0] == pytest.approx((4 * 10 + 10 / 3**0.5) / (10 + 10 / 3**0.5))


# Runs.


def test_without_faults_nothing_is_added(simulate: Run, tmp_path: Path) -> None:
    plain = simulate(small(method="promptfl", rounds=1), folder=tmp_path / "run")
    assert (
        not plain.experiment.clocked
        and plain.first.payloads == {}
        and "virtual_seconds" not in plain.result()
    )
    assert (
        not {"virtual_seconds", "arrived", "dropped", "late", "corrupt", "rejected"}
        & rows_of(tmp_path / "run")[1].keys()
    )
    timed = simulate(small(method="promptfl", rounds=1, faults__step_seconds=2.0))
    assert timed.result()["state_sha256"] == plain.result()["state_sha256"]


def test_virtual_time_is_counted_and_not_slept(simulate: Run, tmp_path: Path) -> None:
    started = time.perf_counter()
    run = simulate(
        small(method="promptfl", faults__step_seconds=1e5, training__epochs=2), folder=tmp_path / "run"
    )
    assert time.perf_counter() - started < 60
    payload = Payload(4 * 64 * 4, 4 * 64 * 4, 4 * 64 * 4)
    assert run.first.payloads == {"": payload}
    steps = [2 * -(-len(run.federation.shard(client)) // 16) for client in range(5)]
    slowest = max(
        client_seconds(run.experiment.faults, 0, client, count, payload) for client, count in enumerate(steps)
    )
    rows = rows_of(tmp_path / "run")
    assert [row["virtual_seconds"] for row in rows] == [None] + [slowest] * 3 and slowest > 1e5
    assert (
        run.result()["virtual_seconds"] == pytest.approx(3 * slowest)
        and [row["arrived"] for row in rows[1:]] == [5] * 3
    )


def test_the_first_to_arrive_count(simulate: Run, tmp_path: Path) -> None:
    run = simulate(small(participation=0.4, faults__over_selection=1.5, rounds=4), folder=tmp_path / "run")
    rows = rows_of(tmp_path / "run")[1:]
    assert [(row["clients"], row["arrived"], row["late"]) for row in rows] == [(3, 2, 1)] * 4
    assert len(run._cohort(0)) == 3 and run._cohort(0) == sorted(set(run._cohort(0)))


@pytest.mark.parametrize("server", [{}, {"server__optimiser": "momentum"}, {"server__aggregation": "median"}])
def test_a_round_in_which_nothing_arrives_leaves_the_shared_state(
    server: dict[str, Any], simulate: Run, tmp_path: Path
) -> None:
    """All are late: they keep what they trained, as in a run without faults; the server has nothing."""
    clean = simulate(small(rounds=1))
    late = simulate(small(rounds=1, faults__deadline=0.01, **server), folder=tmp_path / "run")
    assert torch.equal(late.state.shared[SHARED], clean.first.state.shared[SHARED]) and late.state.round == 1
    assert {client: digest_of(one) for client, one in late.privates.items()} == {
        client: digest_of(one) for client, one in clean.privates.items()
    }
    row = rows_of(tmp_path / "run")[1]
    assert (row["arrived"], row["late"], row["virtual_seconds"], row["bytes_up"]) == (
        0,
        5,
        0.01,
        clean.totals["bytes_up"],
    )


def test_momentum_makes_nothing_of_nothing(tmp_path: Path) -> None:
    experiment = small(
        method="promptfl", rounds=8, faults__dropout=0.8, server__optimiser="momentum", evaluation__every=8
    )
    run = Simulation(experiment, Serial(), Store(tmp_path / "run", experiment))
    before, moved = digest_of(run.state.shared), []
    for record in run.rounds():
        after = digest_of(run.state.shared)
        if record.round:
            moved.append(record.row["arrived"] > 0)
            assert (after != before) == moved[-1]
        before = after
    assert False in moved[moved.index(True) :]  # a round without arrivals, after the momentum of one with


def test_who_drops_out_keeps_the_private_state_of_before(simulate: Run, tmp_path: Path) -> None:
    experiment = small(rounds=4, faults__dropout=0.5)
    run = Simulation(experiment, Serial(), Store(tmp_path / "run", experiment))
    before: dict[int, str] = {}
    counted = [0, 0]
    for record in run.rounds():
        now = {client: digest_of(private) for client, private in run.privates.items()}
        if record.round:
            died = {
                client
                for client in range(5)
                if drops_out(experiment.faults, experiment.seed, record.round - 1, client)
            }
            assert all(now.get(client) == before.get(client) for client in died)
            assert all(now[client] != before.get(client) for client in set(range(5)) - died)
            assert record.row["dropped"] == len(died) and record.row["clients"] == record.row[
                "arrived"
            ] == 5 - len(died)
            assert record.row["bytes_down"] == 5 * 1024 and record.row["bytes_up"] == (5 - len(died)) * 1024
            counted[0] += len(died)
        before = now
    assert 0 < counted[0] < 20
    nobody = simulate(small(rounds=1, faults__dropout=1.0))
    assert nobody.privates == {} and torch.equal(
        nobody.state.shared[SHARED], nobody.first.state.shared[SHARED]
    )


def test_corrupt_clients_corrupt_only_what_they_send(simulate: Run, tmp_path: Path) -> None:
    clean = simulate(small(rounds=1))
    first, mean = clean.first.state.shared[SHARED], clean.state.shared[SHARED]
    flipped = simulate(small(rounds=1, faults__corrupt=0.99), folder=tmp_path / "run")
    torch.testing.assert_close(flipped.state.shared[SHARED], 2 * first - mean, rtol=1e-5, atol=1e-6)
    assert all(
        digest_of(one) == digest_of(flipped.privates[client]) for client, one in clean.privates.items()
    )
    assert (
        flipped.store.described()["corrupt_clients"] == [0, 1, 2, 3, 4]
        and rows_of(tmp_path / "run")[1]["corrupt"] == 5
    )


def test_one_nan_of_five_ends_the_mean_and_not_the_median(simulate: Run, tmp_path: Path) -> None:
    bad = {"faults__corrupt": 0.2, "faults__corruption": "nan"}
    with pytest.raises(
        Diverged,
        match=r"round 1: the clients' mean became infinite or NaN; 1 of the 5 updates in it were corrupt",
    ):
        simulate(small(**bad))
    for rule in ("median", "trimmed", "clip"):
        run = simulate(small(**bad, server__aggregation=rule, rounds=1), folder=tmp_path / rule)
        assert run.state.shared[SHARED].isfinite().all()
        assert not torch.equal(run.state.shared[SHARED], run.first.state.shared[SHARED])
        assert [
            (row["rejected"], row["corrupt"], row["arrived"]) for row in rows_of(tmp_path / rule)[1:]
        ] == [(1, 1, 5)]


def test_a_loss_that_explodes_under_corruption_says_so(simulate: Run) -> None:
    with pytest.raises(
        Diverged, match=r"faults.corruption = 'scaled' at 2 clients may be why, or lower training.lr"
    ):
        simulate(smallest("fedavg", faults__corrupt=0.4, faults__corruption="scaled", faults__scale=-1e6))


LATE = {
    "method": "promptfl",
    "rounds": 6,
    "faults__deadline": 1.5,
    "faults__stale": "keep",
    "faults__dropout": 0.2,
    "participation": 0.8,
}


def test_kept_updates_survive_a_resume(simulate: Run, tmp_path: Path) -> None:
    experiment = small(**LATE)
    whole = simulate(experiment, folder=tmp_path / "whole")
    broken = Simulation(experiment, Serial(), Store(tmp_path / "broken", experiment))
    for record in broken.rounds():
        if record.round >= 2 and broken.held:
            break
    assert broken.held and record.round < 6
    resumed = simulate(experiment, folder=tmp_path / "broken", resume=True)
    for name in ("state_sha256", "virtual_seconds", "bytes_down", "acc_shared_global"):
        assert resumed.result()[name] == whole.result()[name]
    ours, theirs = rows_of(tmp_path / "broken"), rows_of(tmp_path / "whole")
    assert sum(row["stale"] or 0 for row in theirs) > 1
    for one, other in zip(ours, theirs, strict=True):
        assert all(one[name] == other[name] for name in one if name != "seconds")
    dropped = simulate(small(**{**LATE, "faults__stale": "drop"}))
    assert dropped.result()["state_sha256"] != whole.result()["state_sha256"] and not dropped.held


@pytest.mark.timeout(240)
def test_ray_and_serial_fail_alike(ray_session: None, simulate: Run) -> None:
    from raysim.engines.ray_pool import RayPool

    experiment = small(
        **{**LATE, "rounds": 3}, faults__corrupt=0.2, server__aggregation="trimmed", server__trim=0.3
    )
    expected, pool = simulate(experiment), RayPool(Resources(workers=2))
    try:
        found = simulate(experiment, pool)
    finally:
        pool.close()
    assert found.result()["state_sha256"] == expected.result()["state_sha256"]
    assert found.totals["virtual_seconds"] == expected.totals["virtual_seconds"] > 0
    assert sum(row["stale"] or 0 for row in expected.store.rounds()) > 0


# The contract: every method keeps it.


@pytest.mark.parametrize("name", [name for name, cls in METHODS.items() if cls.trains and not cls.pooled])
def test_contract_what_a_client_sends_is_known_before(name: str, tmp_path: Path) -> None:
    worker = Worker(Federation.of(smallest(name, faults__dropout=0.5)))
    first = worker.initial()
    update = worker.train(first.state, MicroCohort(0, (2,), (None,), str(tmp_path), each=True))
    payload = first.payloads[worker.method.architecture(2)]
    assert payload == Payload(update.bytes_down, update.bytes_up, update.bytes_weights_down)
    assert any(update.aside) == worker.method.sends_aside and bool(update.sums) == worker.method.shares
    assert update.each[0].keys() == update.sums.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"method": "centralized", "server__aggregation": "median"},
            "server.aggregation = 'median' .* trains in one place; .* 'mean'",
        ),
        (
            {"method": "zeroshot", "server__aggregation": "clip"},
            "server.aggregation = 'clip' .* averages nothing; .* 'mean'",
        ),
        ({"method": "local", "server__aggregation": "trimmed"}, "'local' averages nothing"),
        (
            {"method": "fedcac", "server__aggregation": "median"},
            "'fedcac' combines clients' networks by a rule of its own",
        ),
        (
            {"method": "scaffold", "faults__stale": "keep"},
            "faults.stale = 'keep' is not allowed: 'scaffold' .* 'drop'",
        ),
        ({"method": "safe", "faults__stale": "keep"}, "faults.stale = 'keep' is not allowed: 'safe'"),
        ({"server__trim": 0.5}, "server.trim = 0.5 is not allowed"),
        ({"faults__stale": "later"}, "faults.stale = 'later' is not allowed: it should be 'drop' or 'keep'"),
        ({"faults__deadline": 0}, "faults.deadline = 0 is not allowed"),
        ({"faults__over_selection": 0.5}, "faults.over_selection = 0.5 is not allowed"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        small(**changes)


def test_bounds_without_clients_know_no_faults(simulate: Run) -> None:
    """Centralized and zero-shot stand beside methods under faults, unchanged; SAFE without its gate may keep what is late."""
    faults = {"faults__dropout": 1.0, "faults__corrupt": 0.5, "faults__deadline": 0.1}
    for name in ("centralized", "zeroshot"):
        changes = {} if name == "centralized" else {"rounds": 0}
        assert (
            simulate(small(method=name, **{"rounds": 1, **changes}, **faults)).result()["state_sha256"]
            == simulate(small(method=name, **{"rounds": 1, **changes})).result()["state_sha256"]
        )
    assert small(method="safe", method__ace=False, faults__stale="keep").faults.stale == "keep"
