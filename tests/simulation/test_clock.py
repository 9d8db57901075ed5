"""Runs with faults: they count virtual time, resume, keep private states, and fail alike on both engines."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
import torch

from raysim.clients.faults import (
    client_seconds,
    drops_out,
)
from raysim.core.errors import Diverged, UserError
from raysim.core.types import MicroCohort, Payload
from raysim.engines.serial import Serial
from raysim.methods import METHODS
from raysim.methods.prompts.base import SHARED
from raysim.simulation.cohorts import draw_cohort
from raysim.simulation.engine import Engine
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import Store
from raysim.storage.vault import digest_of
from tests.experiments import small, smallest

Run = Callable[..., Simulation]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return list(ds.dataset(folder / "tables/rounds").to_table().sort_by("round").to_pylist())


def test_without_faults_nothing_is_added(simulate: Run, tmp_path: Path) -> None:
    plain = simulate(small(method="promptfl", rounds=1), folder=tmp_path / "run")
    assert (
        not plain.experiment.clocked
        and plain.initial.payloads == {}
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
    assert run.initial.payloads == {"promptfl": payload}
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
    cohort = draw_cohort(run.federation, run.clock.draw_count(), 0)
    assert len(cohort) == 3 and cohort == sorted(set(cohort))


@pytest.mark.parametrize("server", [{}, {"server__optimiser": "momentum"}, {"server__aggregation": "median"}])
def test_a_round_in_which_nothing_arrives_leaves_the_shared_state(
    server: dict[str, Any], simulate: Run, tmp_path: Path
) -> None:
    """All are late: they keep what they trained, as in a run without faults; the server has nothing."""
    clean = simulate(small(rounds=1))
    late = simulate(small(rounds=1, faults__deadline=0.01, **server), folder=tmp_path / "run")
    assert (
        torch.equal(late.state.shared[SHARED], clean.initial.state.shared[SHARED]) and late.state.round == 1
    )
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
    run = Simulation(experiment, Serial(), Store(tmp_path / "run", experiment)).open()
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
    run = Simulation(experiment, Serial(), Store(tmp_path / "run", experiment)).open()
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
        nobody.state.shared[SHARED], nobody.initial.state.shared[SHARED]
    )


def test_corrupt_clients_corrupt_only_what_they_send(simulate: Run, tmp_path: Path) -> None:
    clean = simulate(small(rounds=1))
    first, mean = clean.initial.state.shared[SHARED], clean.state.shared[SHARED]
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
        assert not torch.equal(run.state.shared[SHARED], run.initial.state.shared[SHARED])
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
    broken = Simulation(experiment, Serial(), Store(tmp_path / "broken", experiment)).open()
    for record in broken.rounds():
        if record.round >= 2 and broken.late:
            break
    assert broken.late and record.round < 6
    resumed = simulate(experiment, folder=tmp_path / "broken", resume=True)
    for name in ("state_sha256", "virtual_seconds", "bytes_down", "acc_shared_global"):
        assert resumed.result()[name] == whole.result()[name]
    ours, theirs = rows_of(tmp_path / "broken"), rows_of(tmp_path / "whole")
    assert sum(row["stale"] or 0 for row in theirs) > 1
    for one, other in zip(ours, theirs, strict=True):
        assert all(one[name] == other[name] for name in one if name != "seconds")
    dropped = simulate(small(**{**LATE, "faults__stale": "drop"}))
    assert dropped.result()["state_sha256"] != whole.result()["state_sha256"] and not dropped.late


@pytest.mark.timeout(240)
def test_ray_and_serial_fail_alike(pool_of: Callable[[int], Engine], simulate: Run) -> None:
    experiment = small(
        **{**LATE, "rounds": 3}, faults__corrupt=0.2, server__aggregation="trimmed", server__trim=0.3
    )
    expected, found = simulate(experiment), simulate(experiment, pool_of(2))
    assert found.result()["state_sha256"] == expected.result()["state_sha256"]
    assert found.totals["virtual_seconds"] == expected.totals["virtual_seconds"] > 0
    assert sum(row["stale"] or 0 for row in expected.store.rounds()) > 0


# The contract: every method keeps it.


@pytest.mark.parametrize(
    "name", [name for name, cls in METHODS.items() if cls().traits.trains and not cls().traits.pooled]
)
def test_contract_what_a_client_sends_is_known_before(name: str, tmp_path: Path) -> None:
    worker = Worker(Federation.of(smallest(name, faults__dropout=0.5)))
    first = worker.initial()
    update = worker.train(
        first.state, MicroCohort(0, (2,), (None,), str(tmp_path), needs_client_tensors=True)
    )
    payload = first.payloads[worker.method.architecture(2)]
    assert payload == Payload(update.bytes_down, update.bytes_up, update.bytes_weights_down)
    assert (
        any(update.aside) == worker.method.traits.sends_aside
        and bool(update.sums) == worker.method.traits.averages
    )
    assert update.client_tensors[0].keys() == update.sums.keys()


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
    """Faults do not change centralized and zero-shot; SAFE without its gate may keep late updates."""
    faults = {"faults__dropout": 1.0, "faults__corrupt": 0.5, "faults__deadline": 0.1}
    for name in ("centralized", "zeroshot"):
        changes = {} if name == "centralized" else {"rounds": 0}
        assert (
            simulate(small(method=name, **{"rounds": 1, **changes}, **faults)).result()["state_sha256"]
            == simulate(small(method=name, **{"rounds": 1, **changes})).result()["state_sha256"]
        )
    assert small(method="safe", method__ace=False, faults__stale="keep").faults.stale == "keep"
