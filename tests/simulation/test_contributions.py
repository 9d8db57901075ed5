"""The table `images`: what each image contributes, and that it adds up to the accuracies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysim.core.types import Score
from raysim.engines.serial import Serial
from raysim.simulation.accuracy import accuracies
from raysim.simulation.contributions import image_rows
from raysim.simulation.federation import Federation
from raysim.simulation.floors import Floors, cells_of
from raysim.simulation.images import Images
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store
from tests.experiments import small, smallest

Run = Callable[..., Simulation]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    clients=st.integers(1, 7),
    classes=st.integers(2, 5),
    domains=st.integers(1, 3),
    models=st.integers(0, 3),
)
def test_contributions_add_up_to_the_accuracies(
    seed: int, clients: int, classes: int, domains: int, models: int
) -> None:
    """For federations of any kind: classes without an image, clients without a measure, several models."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(clients + 2, 60))
    parts = rng.integers(0, 2, size)
    parts[:clients], parts[clients:] = 0, np.where(parts[clients:], 1, 0)
    parts[-1] = 1
    labels, areas = rng.integers(0, classes, size), rng.integers(0, domains, size)
    train, owner = np.flatnonzero(parts == 0), rng.integers(0, clients, (parts == 0).sum())
    owner[:clients] = np.arange(clients)
    shards = tuple(train[owner == client] for client in range(clients))
    cells = classes * domains
    counts = np.stack(
        [np.bincount((labels * domains + areas)[shard], minlength=cells) for shard in shards]
    ).astype(float)
    names = tuple("abcde"[:classes])
    images = Images(labels, areas, parts, names, tuple(map(str, range(domains))))
    federation = Federation(small(), images, shards, train[:0], counts / counts.sum(axis=1, keepdims=True))
    count, cell = int((parts == 1).sum()), cells_of(federation, "validation")

    def score(right: np.ndarray, members: tuple[int, ...]) -> Score:
        per_model = np.stack([np.bincount(cell, weights=row, minlength=cells) for row in right])
        correct = per_model if members else per_model.mean(axis=0)
        packed = np.packbits(right, axis=1)
        return Score(0, "personal" if members else "shared", members, correct, right=packed)

    shared = score(rng.random((models, count)) < 0.6, ()) if models else None
    if shared is not None:
        shared = Score(-1, "shared", (), shared.correct[None], right=shared.right)
    order = tuple(int(client) for client in rng.permutation(clients))
    own = [score(rng.random((clients, count)) < 0.7, order)] if not models or rng.random() < 0.7 else []
    floors = Floors(federation, "validation", rng.random(count) < 0.5, None)
    sample = np.sort(rng.choice(clients, int(rng.integers(1, clients + 1)), replace=False))
    personal = dict(zip(order, own[0].correct, strict=True)) if own else None
    summary, rows, _ = accuracies(federation, "validation", sample, shared, personal)
    summary |= floors.columns(sample)
    table = {row["scope"]: row for row in image_rows(federation, "validation", sample, shared, own, floors)}
    assert set(table) == {"personal", "majority", "zeroshot"} | ({"shared"} if models else set())
    assert len({row["images"] for row in table.values()}) == 1
    for scope, row in table.items():
        assert row["cell"] == cell.tolist()
        assert np.sum(row["global"]) == pytest.approx(summary[f"acc_{scope}_global"], abs=1e-12)
        if summary[f"acc_{scope}_own"] is None:
            assert row["own"] is None and all(client["reason"] for client in rows)
        else:
            assert np.sum(row["own"]) == pytest.approx(summary[f"acc_{scope}_own"], abs=1e-12)
    measured = [client["acc_personal_own"] is not None for client in rows]
    assert (summary["clients_measured"], summary["clients_evaluated"]) == (sum(measured), len(sample))
    assert all(("reason" in client) != known for client, known in zip(rows, measured, strict=True))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return ds.dataset(folder).to_table().to_pylist()


@pytest.mark.parametrize("name", ["fedrsclip", "promptfl_ft", "local", "zeroshot", "fedavg", "safe"])
def test_a_run_writes_them_at_its_end_and_on_the_test_split(name: str, simulate: Run, tmp_path: Path) -> None:
    changes = {} if name == "zeroshot" else {"rounds": 2, "evaluation__every": 1}
    simulation = simulate(smallest(name, **changes), folder=tmp_path / "run")
    opened, result = simulation.open_test(), simulation.result()
    rows = rows_of(tmp_path / "run/tables/images")
    scopes = {"personal", "majority"} | (set() if name == "local" else {"shared"})
    scopes |= set() if name in ("fedavg", "safe") else {"zeroshot"}
    assert sorted((row["split"], row["scope"]) for row in rows) == sorted(
        (split, scope) for split in ("validation", "test") for scope in scopes
    )
    assert {(row["run"], row["seed"], row["round"]) for row in rows} == {
        (simulation.experiment.id, 0, simulation.experiment.total_rounds)
    }
    for row in rows:
        known = result if row["split"] == "validation" else opened
        for place in ("own", "global"):
            assert sum(row[place]) == pytest.approx(known[f"acc_{row['scope']}_{place}"], abs=1e-6)
        assert len(row["cell"]) == len(row["own"]) == len(simulation.federation.images.indices(row["split"]))
    digests = {(row["split"], row["images"]) for row in rows}
    assert len(digests) == 2 == len({digest for _, digest in digests})


def test_runs_on_the_same_images_have_the_same_digest(simulate: Run, tmp_path: Path) -> None:
    found = []
    for number, changes in enumerate(
        ({}, {"seed": 3, "scenario__alpha": 5.0}, {"task__split_seed": 1}, {"task__classes": 4})
    ):
        simulate(small(method="zeroshot", **changes), folder=tmp_path / str(number))
        found.append({row["images"] for row in rows_of(tmp_path / str(number) / "tables/images")})
    assert found[0] == found[1] and len(set.union(*found)) == 3


class Killed(Exception):
    """The process ends here."""


def test_every_row_is_there_once_after_a_kill_and_in_a_shared_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of a sweep; the first is killed between the tables of its last round and its checkpoint."""
    tables = tmp_path / "tables"

    def start(seed: int) -> Simulation:
        experiment = small(rounds=2, seed=seed)
        return Simulation(experiment, Serial(), Store(tmp_path / str(seed), experiment, tables)).open(True)

    def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        simulation, written = start(0), Store.write_rows

        def write(store: Store, record: Any, split: str) -> None:
            written(store, record, split)
            if record.round == 2:
                kill()

        patch.setattr(Store, "write_rows", write)
        with pytest.raises(Killed):
            list(simulation.rounds())
    assert len(rows_of(tables / "images")) == 4
    with monkeypatch.context() as patch:
        patch.setattr(Simulation, "_finish", kill)
        with pytest.raises(Killed):
            list(start(0).rounds())
    for seed in (0, 1):
        simulation = start(seed)
        records = list(simulation.rounds())
        simulation.open_test()
        simulation.open_test()
        assert seed == 0 or len(records[-1].images) == 4
    rows = rows_of(tables / "images")
    assert len(rows) == 2 * 2 * 4 == len({(row["run"], row["split"], row["scope"]) for row in rows})


def test_a_round_before_the_last_keeps_none() -> None:
    from raysim.core.types import MicroCohort, ServerState
    from raysim.simulation.worker import Worker

    experiment = small(rounds=2)
    worker = Worker(Federation.of(experiment))
    state, cohort = worker.initial().state, MicroCohort(0, (0, 1), (None, None))
    for round_, split, kept in ((1, "validation", False), (2, "validation", True), (1, "test", True)):
        at = ServerState(round_, state.shared, state.extra)
        for scored in (MicroCohort(-1, (), ()), cohort):
            score = worker.evaluate(at, scored, split)  # type: ignore[arg-type]
            assert score is not None and (score.right is not None) == kept
