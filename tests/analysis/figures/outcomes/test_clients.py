"""Accuracies of clients: those that only trained do not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures.outcomes.clients import exhibits_clients, table_clients
from analysis.read.metric import Metric
from analysis.read.results import open_results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import query
from tests.fakes.safe import CLIENTS, ROUNDS
from tests.fakes.tables import write


def test_clients_that_only_trained_count_in_no_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_safe.safe_run(tmp_path)
    write(
        folder / "tables" / "clients" / "later.parquet",
        [
            {
                "run": "0123456789ab",
                "round": ROUNDS,
                "split": "validation",
                "client": 99,
                "examples": 5,
                "loss": 0.1,
                "d_cka": 0.5,
            }
        ],
    )
    results = open_results(folder)
    rows = table_clients(results)
    assert [r["client"] for r in rows] == list(range(CLIENTS)) and all(
        r["acc_personal_own"] is not None for r in rows
    )
    for exhibit in exhibits_clients(rows, Metric()):
        assert [r["client"] for r in query(exhibit.source, folder, monkeypatch)] == list(range(CLIENTS))
