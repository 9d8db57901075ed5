"""One run, one folder: what is written, and how a finished run is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import (
    RoundRecord,
)
from raysim.engines.serial import Serial
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store
from tests.experiments import small, smallest

Run = Callable[..., Simulation]


def test_the_run_is_on_disk(simulate: Run, tmp_path: Path) -> None:
    simulation = simulate(small(), folder=tmp_path / "run")
    rounds = ds.dataset(tmp_path / "run/tables/rounds").to_table().sort_by("round").to_pylist()
    assert [row["round"] for row in rounds] == [0, 1, 2, 3]
    assert [row["acc_personal_own"] is not None for row in rounds] == [True, False, True, True]
    assert sum(row["bytes_up"] for row in rounds) == simulation.totals["bytes_up"] == 3 * 5 * 4 * 64 * 4
    partition = pq.read_table(tmp_path / "run/partition.parquet").to_pylist()
    train = simulation.federation.images.indices("train")
    assert {row["image"] for row in partition} <= set(train.tolist())
    assert len(partition) == len({row["image"] for row in partition}) == 24 * 8
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert described["status"] == "done" and described["test"] is None
    assert described["result"]["state_sha256"] == simulation.result()["state_sha256"]


def test_partial_participation_keeps_private_states(simulate: Run, tmp_path: Path) -> None:
    simulation = simulate(small(participation=0.4, rounds=4), folder=tmp_path / "run")
    clients = ds.dataset(tmp_path / "run/tables/clients").to_table().to_pylist()
    took_part = {row["client"] for row in clients if row["loss"] is not None}
    assert set(simulation.privates) == took_part and 2 <= len(took_part) <= 5
    restored = Store(tmp_path / "run", simulation.experiment).restore()
    assert restored is not None
    assert all(
        torch.equal(restored[1][client][name], tensor)
        for client, private in simulation.privates.items()
        for name, tensor in private.items()
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def known(record: RoundRecord) -> list[Any]:
    """A record without what is missing in it: a table has null there, a row may have nothing."""
    rows = [record.row, *record.clients, *record.classes, *record.ratios]
    return [record.round, *({key: value for key, value in row.items() if value is not None} for row in rows)]


@pytest.mark.parametrize("method", ["fedrsclip", "safe", "zeroshot"])
def test_a_finished_run_is_read_and_nothing_is_written(method: str, tmp_path: Path) -> None:
    """Twice: the same records, the same result, the same files."""
    experiment = smallest(method, rounds=2)
    folder = tmp_path / "run"
    runs = []
    for _ in range(2):
        simulation = Simulation(experiment, Serial(), Store(folder, experiment)).open()
        runs.append(
            ([known(record) for record in simulation.rounds()], simulation.result(), contents(folder))
        )
    assert runs[0] == runs[1] and len(runs[0][0]) == experiment.total_rounds + 1
    again = list(simulation.rounds())  # and a third time, from the same object
    assert [known(record) for record in again] == runs[0][0]
    assert simulation.open_test()["acc_personal_own"] is not None  # a run that was read is as good as new


def test_constructors_touch_nothing(simulate: Run, tmp_path: Path) -> None:
    experiment, other = small(rounds=1), small(rounds=1, seed=1)
    Simulation(experiment, Serial(), Store(tmp_path / "new", experiment))
    assert not (tmp_path / "new").exists()
    simulate(experiment, folder=tmp_path / "run")
    before = contents(tmp_path / "run")
    for each in (experiment, other):
        Simulation(each, Serial(), Store(tmp_path / "run", each))
    assert contents(tmp_path / "run") == before
    with pytest.raises(UserError, match="holds run"):
        Simulation(other, Serial(), Store(tmp_path / "run", other)).open()
    assert contents(tmp_path / "run") == before
