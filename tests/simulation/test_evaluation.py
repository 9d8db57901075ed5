"""Evaluation of a run's state: which clients are measured, newcomers apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pytest

from raysim.core.columns import FLOOR_COLUMNS, OPTIONAL_COLUMNS
from raysim.core.types import POOLED
from raysim.engines.serial import Serial
from raysim.simulation import rounds
from raysim.simulation.rounds import Simulation
from tests.experiments import small, smallest

Run = Callable[..., Simulation]


def test_a_sample_of_many_clients_is_evaluated(simulate: Run, tmp_path: Path) -> None:
    simulate(small(scenario__clients=30, evaluation__clients=4, rounds=1), folder=tmp_path / "run")
    clients = ds.dataset(tmp_path / "run/tables/clients").to_table().to_pylist()
    assert {
        row["round"]: sum(
            other["acc_personal_own"] is not None and other["round"] == row["round"] for other in clients
        )
        for row in clients
    } == {0: 4, 1: 4}


class Watching(Serial):
    """Remembers who was trained, and who was evaluated with what of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: set[int] = set()
        self.fresh: list[int] = []

    def train(self, experiment: str, state: Any, cohorts: Any) -> Any:
        self.trained |= {client for cohort in cohorts for client in cohort.clients}
        return super().train(experiment, state, cohorts)

    def evaluate(self, experiment: str, state: Any, cohorts: Any, split: Any) -> Any:
        self.fresh = [
            c
            for cohort in cohorts
            for c, private in zip(cohort.clients, cohort.private, strict=True)
            if private is None
        ]
        return super().evaluate(experiment, state, cohorts, split)


@pytest.mark.parametrize(
    "name", ["fedrsclip", "promptfl_ft", "local", "centralized", "fedavg", "safe", "fedcac"]
)
def test_newcomers_are_measured_and_never_train(name: str, simulate: Run, tmp_path: Path) -> None:
    engine = Watching()
    simulation = simulate(
        smallest(name, rounds=2, evaluation__newcomers=0.4), engine=engine, folder=tmp_path / "run"
    )
    newcomers = set(simulation.federation.newcomers.tolist())
    assert engine.trained == ({POOLED} if name == "centralized" else {0, 1, 2, 3, 4} - newcomers)
    assert not newcomers & set(simulation.privates)
    if simulation.privates:  # else nobody keeps anything between rounds
        assert set(engine.fresh) == newcomers
    rounds = ds.dataset(tmp_path / "run/tables/rounds").to_table().sort_by("round").to_pylist()
    shared, mine = ([row[f"acc_{scope}_newcomers"] for row in rounds] for scope in ("shared", "personal"))
    assert [value is None for value in mine] == [False, True, False]
    assert [value is None for value in shared] == ([True] * 3 if name == "local" else [False, True, False])
    floors = [row["acc_majority_newcomers"] for row in rounds]
    expected = simulation.federation.frequencies[sorted(newcomers)]
    expected = expected.reshape(len(newcomers), len(simulation.federation.images.class_names), -1).sum(axis=2)
    assert floors == [pytest.approx(expected.max(axis=1).mean()), None, floors[0]]
    if name in ("centralized", "fedavg"):  # nobody has anything of its own
        assert shared == mine
    if name == "promptfl_ft":  # newcomers tune before use, like the others
        assert shared[-1] != mine[-1]
    clients = ds.dataset(tmp_path / "run/tables/clients").to_table().to_pylist()
    assert {row["client"] for row in clients} == {0, 1, 2, 3, 4} - newcomers
    last = [row for row in clients if row["round"] == 2]
    assert rounds[-1]["worst_client_accuracy"] == min(row["acc_personal_own"] for row in last)
    assert json.loads((tmp_path / "run/run.json").read_text())["result"]["acc_personal_newcomers"] == mine[-1]


@pytest.mark.parametrize("name", ["fedrsclip", "fedavg"])
def test_newcomers_change_nothing_but_their_absence(
    name: str, simulate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same cohorts without newcomers give the same bits, and the same accuracies of those who train."""
    apart = simulate(smallest(name, rounds=2, evaluation__newcomers=0.4))
    trainers = apart.federation.trainers.tolist()
    monkeypatch.setattr(rounds, "draw_cohort", lambda federation, size, round_: trainers)
    plain = simulate(smallest(name, rounds=2))
    assert apart.result()["state_sha256"] == plain.result()["state_sha256"]
    measured = [{row["client"]: row for row in run._evaluate().clients} for run in (apart, plain)]
    for client in apart.federation.trainers.tolist():
        assert measured[0][client] == measured[1][client]
    news = [measured[1][client]["acc_personal_own"] for client in apart.federation.newcomers.tolist()]
    assert apart.result()["acc_personal_newcomers"] == pytest.approx(np.mean(news))


def test_a_trial_has_them_as_lists(tmp_path: Path) -> None:
    from raysim.search.running.trial import SeedGroup
    from raysim.storage.trials import TRIAL_COLUMNS

    asked = {"rounds": 1, "task__novel": 8, "evaluation__newcomers": 0.4, "scenario__label_noise": 0.2}
    group = SeedGroup([small(seed=seed, **asked) for seed in range(2)], tmp_path, Serial(), {}, test=True)  # type: ignore[arg-type]
    state, _ = group.advance()
    row = group.measure_columns(state)
    group.close()
    for name in (*OPTIONAL_COLUMNS, *FLOOR_COLUMNS):
        for column in (name, f"test_{name}"):
            assert (
                column in TRIAL_COLUMNS
                and len(row[column]) == 2
                and all(0 < value <= 1 for value in row[column])
            )
    assert row["clients_measured"] == row["test_clients_evaluated"] == [3, 3]
