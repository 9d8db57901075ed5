"""ACE: its temperature, its embeddings and its masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raysim.core.types import MicroCohort
from raysim.methods.networks.safe.ace import CONTEXTS
from raysim.methods.networks.safe.method import SAFE
from raysim.simulation.cohorts import draw_cohort
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import four_clients


def test_the_temperature_is_annealed() -> None:
    assert [SAFE().temperature(t) for t in (0.0, 0.5, 1.0)] == [1.0, 0.75, 0.5]
    assert SAFE(tau_g_schedule="constant").temperature(1.0) == 1.0


def test_a_client_moves_its_own_embedding_only(simulate: Any) -> None:
    experiment = four_clients(participation=0.5, rounds=1, evaluation__every=1)
    before = Worker(Federation.of(experiment)).initial().state.extra[CONTEXTS]
    simulation = simulate(experiment)
    after, cohort = simulation.state.extra[CONTEXTS], draw_cohort(simulation.federation, 2, 0)
    assert len(cohort) == 2
    for client in range(4):
        assert torch.equal(before[client], after[client]) == (client not in cohort)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_the_gates_rate_scales_its_whole_step(optimiser: str) -> None:
    """One step of decay alone, and one with gradients: the gate's weights move by a tenth."""
    moved = {}
    for rate in (1.0, 0.1):
        worker = Worker(
            Federation.of(
                four_clients(
                    method__gate_rate=rate,
                    training__optimiser=optimiser,
                    training__weight_decay=0.5,
                    training__batch=64,
                )
            )
        )
        state, cohort = worker.initial().state, MicroCohort(0, (0,), (None,))
        start = worker.training.start(state, cohort).rows[0]
        [row] = worker.training.fit(state, cohort, 1, "batches").rows
        moved[rate] = {name: row[name] - start[name] for name in row if name.endswith("weight")}
    gate = [name for name in moved[1.0] if "/gate." in name]
    assert len(gate) >= 5
    for name, whole in moved[1.0].items():
        torch.testing.assert_close(
            moved[0.1][name], whole * (0.1 if name in gate else 1.0), rtol=1e-4, atol=1e-7
        )


def test_a_gate_that_is_stuck_is_seen_through_its_noise(simulate: Any) -> None:
    rows = simulate(four_clients(method__open_bias=3.0, method__gate_rate=0.001, rounds=4)).store.rounds()
    assert rows[-1]["mask_full"] > 0.9 and rows[-1]["mask_ratio"] < 1  # noise closes some positions
    failures = SAFE().diagnosis.failures(rows)
    assert "mask_full" in [failure.name for failure in failures]
    shut = simulate(four_clients(method__open_bias=-3.0, method__gate_rate=0.001, rounds=4)).store.rounds()
    assert shut[-1]["mask_empty"] > 0.9 and shut[-1]["mask_ratio"] > 0


def test_the_gallery_measures_overlap(simulate: Any, tmp_path: Path) -> None:
    from safetensors import safe_open

    simulation = simulate(four_clients(rounds=1, evaluation__every=1), folder=tmp_path / "run")
    with safe_open(tmp_path / "run" / "gallery.safetensors", framework="np") as file:
        shapes = {name: file.get_tensor(name).shape for name in file.keys()}  # noqa: SIM118 - not a mapping
    assert (
        shapes["image"] == (12, 32, 32, 3)
        and shapes["hard"] == (12, 4, 4)
        and shapes["foreground"] == (12, 32, 32)
    )
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "run" / "tables" / "masks").to_pylist()
    assert len(rows) == len(simulation.federation.images.indices("validation"))
    assert all(0 <= row[name] <= 1 for row in rows for name in ("open", "iou", "iou_untrained", "iou_random"))


def test_overlaps_on_paper() -> None:
    from raysim.simulation.gallery import enlarged, overlap

    one, other = np.array([[1, 1], [0, 0]], bool), np.array([[1, 0], [1, 0]], bool)
    assert overlap(one, other) == pytest.approx(1 / 3)
    assert overlap(one & False, one & False) == 1.0
    assert enlarged(one, 4).tolist() == [[True] * 4, [True] * 4, [False] * 4, [False] * 4]


def rounds(**columns: list[float]) -> list[dict[str, Any]]:
    length = len(next(iter(columns.values())))
    return [
        {"round": index, **{name: values[index] for name, values in columns.items()}}
        for index in range(length)
    ]
