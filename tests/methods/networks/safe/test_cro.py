"""CRO: class ratios from every estimator, smoothed, faded and logged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raysim import methods
from raysim.core.errors import UserError
from raysim.core.types import ServerState
from raysim.methods.networks.safe.method import CLASS_RATIOS, PROGRESS, SAFE
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import four_clients


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(Federation.of(four_clients(method__ace=False)))


@pytest.mark.parametrize("scope", ["head", "row", "all"])
@pytest.mark.parametrize("estimator", ["proportion", "composition", "ratio"])
def test_every_estimator_gives_ratios_of_mean_one(scope: str, estimator: str) -> None:
    worker = Worker(
        Federation.of(
            four_clients(
                method__scope=scope, method__estimator=estimator, method__m=0.0, method__ace=scope == "all"
            )
        )
    )
    state = worker.initial().state
    state = worker.serve(ServerState(1, state.shared, state.extra)).state
    assert (
        state.extra[CLASS_RATIOS].mean() == pytest.approx(1.0, abs=1e-5)
        and state.extra[CLASS_RATIOS].min() > 0
    )


def test_ratios_are_smoothed_and_fade(worker: Worker) -> None:
    sharp, smooth = SAFE(ace=False, width=8, m=0.0), SAFE(ace=False, width=8, m=0.75)
    state = worker.initial().state
    now = sharp.server_step(
        worker.model, ServerState(2, state.shared, state.extra), worker.batches.server_samples, 4
    )
    mixed = smooth.server_step(
        worker.model, ServerState(2, state.shared, state.extra), worker.batches.server_samples, 4
    )
    torch.testing.assert_close(
        mixed.extra[CLASS_RATIOS], 0.75 * torch.ones(4) + 0.25 * now.extra[CLASS_RATIOS]
    )
    faded = SAFE(ace=False, width=8, dmr_on_cro=True).diagnosis.class_ratios(now)
    torch.testing.assert_close(
        faded, 0.5 * now.extra[CLASS_RATIOS] + 0.5
    )  # alpha = 0.5 at half of the rounds


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({}, [1.0, 0.8536, 0.5, 0.1464, 0.0]),
        ({"dmr": "constant", "beta_max": 0.6}, [0.4] * 5),
        ({"beta_max": 0.5}, [1.0, 0.9268, 0.75, 0.5732, 0.5]),
        ({"dmr": "linear", "warmup": 0.5}, [1.0, 1.0, 1.0, 0.5, 0.0]),
        ({"dmr": "reversed"}, [0.0, 0.1464, 0.5, 0.8536, 1.0]),
        ({"dmr_on_cro": False}, [1.0] * 5),
    ],
    ids=str,
)
def test_ratios_fade_by_the_beta_of_the_merge(changes: dict[str, Any], left: list[float]) -> None:
    """CR - 1 is scaled by 1 - beta(t): shape, warm-up and the largest beta all act on it."""
    method, ratios = SAFE(**{"dmr_on_cro": True, **changes}), torch.tensor([0.4, 1.6])
    for progress, share in zip((0, 0.25, 0.5, 0.75, 1), left, strict=True):
        state = ServerState(1, {}, {CLASS_RATIOS: ratios, PROGRESS: torch.tensor(float(progress))})
        torch.testing.assert_close(method.sent_ratios(state), 1 + share * (ratios - 1), rtol=1e-3, atol=1e-4)
        if method.dmr_on_cro:
            assert share == pytest.approx(1 - method.beta(progress), abs=1e-4)


def test_a_schedule_that_switches_cro_off_for_ever_is_refused() -> None:
    with pytest.raises(UserError, match="beta_max = 1 is not allowed with dmr = 'constant' and dmr_on_cro"):
        four_clients(method__dmr="constant", method__dmr_on_cro=True)
    assert four_clients(method__dmr="constant", method__dmr_on_cro=True, method__beta_max=0.5).id
    assert four_clients(method__dmr="constant", method__dmr_on_cro=True, method__cro=False).id


def test_no_ratio_that_is_used_exceeds_its_bound() -> None:
    """One class has all the gradient: after 0 rounds of smoothing CR is at its bounds, and not beyond."""
    method = SAFE(m=0.0, cr_max=3.0)
    ratios = method.next_ratios(torch.ones(10), [torch.tensor([10.0, *[0.0] * 9])])
    assert float(ratios.max()) <= 3.0 and float(ratios.min()) >= 0.2 - 1e-6
    assert float(ratios.mean()) == pytest.approx(1.0, abs=1e-6)


def test_the_rank_of_ratios_is_logged_every_round(simulate: Any, tmp_path: Path) -> None:
    changes = {"scenario": "long_tail", "scenario__imbalance": 5.0, "scenario__clients": 4, "task__shots": 30}
    simulation = simulate(four_clients(**changes), folder=tmp_path / "run")
    rows = simulation.store.rounds()
    assert all(row["cr_spearman"] is not None and -1 <= row["cr_spearman"] <= 1 for row in rows[1:])
    assert rows[1]["cr_jump"] > 0 and rows[0]["cr_jump"] is None
    import pyarrow.parquet as pq

    ratios = pq.read_table(tmp_path / "run" / "tables" / "ratios").to_pylist()
    assert len(ratios) == 4 * 4  # classes, rounds with the first state
    totals = {row["label"]: row["images"] for row in ratios}
    held = np.bincount(
        simulation.federation.images.labels[np.concatenate(simulation.federation.shards)], minlength=4
    )
    assert [totals[label] for label in range(4)] == held.tolist()


def test_no_method_can_read_class_frequencies() -> None:
    """`InitialState` alone has training images per class, for the log; no hook gets it."""
    for path in Path(methods.__file__).parent.rglob("*.py"):
        text = path.read_text()
        assert ".totals" not in text and "InitialState" not in text and "bincount" not in text, path


def rounds(**columns: list[float]) -> list[dict[str, Any]]:
    length = len(next(iter(columns.values())))
    return [
        {"round": index, **{name: values[index] for name, values in columns.items()}}
        for index in range(length)
    ]
