"""Communication: bytes per client and round."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures.outcomes import communication, methods
from tests.fakes.recipe import Recipe, at, marks, query
from tests.fakes.trials import confirm, sweep_of


def test_bytes_per_client_and_round() -> None:
    rows = methods.table_methods(sweep_of([confirm("m (tuned)", "A", [0.5, 0.6], [1, 2])]))
    rounds = [
        {"run": "m (tuned)1", "round": r, "clients": 4, "bytes_up": 40 * (r > 0), "bytes_down": 80 * (r > 0)}
        for r in range(3)
    ]
    (row,) = communication.table_communication(rows, rounds)
    assert row["each"] == 30 and row["total"] == 20


def test_what_is_sent_stands_beside_what_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Recipe(tmp_path, {"even": {}}, [], ["fedrsclip", "fedavg, small CNN", "local"])
    made.trial("fedrsclip", "even", at(0.7), parameters=256)
    made.trial("fedavg, small CNN", "even", at(0.6), method="fedavg", parameters=100_000)
    made.trial("local", "even", at(0.65), method="local", parameters=0)
    results = made.open()
    compared = methods.table_methods(results)
    exhibit = communication.exhibit_communication(results, compared, results.rounds(), (0.5, 0.8))
    rows = {r["label"]: r for r in communication.table_communication(compared, results.rounds())}
    assert (rows["fedrsclip"]["up"], rows["fedrsclip"]["each"], rows["fedrsclip"]["parameters"]) == (
        1024,
        2048,
        256,
    )
    assert [panel.title for panel in exhibit.panels] == ["Bytes", "Parameters"]
    assert [marks(exhibit.panels[0], c) for c in ("#0072B2", "#E69F00", "#009E73")] == [1, 1, 1]
    found = {r["label"]: r for r in query(exhibit.source, tmp_path, monkeypatch)}
    assert found["fedavg, small CNN"]["total"] == 2 * 16 * 100_000 * 4 and found["local"]["each"] == 0
    texts = [t.get_text() for t in exhibit.panels[1].figure.axes[0].texts]
    assert sorted(texts) == ["fedavg, small CNN", "fedrsclip", "local"]
