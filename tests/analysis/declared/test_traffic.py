"""Traffic of a recipe: all that is sent, also once."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.declared import traffic
from analysis.figures.outcomes import methods
from analysis.read.results import open_results
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import drawn, query, rounds_of
from tests.fakes.safe import CLIENTS, ROUNDS, SETUP, WEIGHTS


@pytest.mark.parametrize("in_trials", [True, False])
def test_all_that_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_trials: bool) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "traffic"}], setup_in_trials=in_trials).open()
    _, (exhibit, table), said = drawn(results)
    rows = {(r["scenario"], r["label"]): r for r in traffic.table_traffic(results, rounds_of(results))}
    turns = ROUNDS * (CLIENTS - 1)
    own = rows["imbalance 10", "safe"]
    assert [own[name] for name in traffic.TRAFFIC_PARTS] == [
        turns * WEIGHTS,
        turns * WEIGHTS,
        turns * 300,
        turns * 3000,
        SETUP * CLIENTS,
    ]
    total = turns * (2 * WEIGHTS + 3300) + SETUP * CLIENTS
    assert own["total"] == own["least"] == own["most"] == total and own["times"] == pytest.approx(
        total / (2 * WEIGHTS * turns)
    )
    assert (own["up"], own["down"]) == (WEIGHTS + 300, WEIGHTS + 3000)
    assert rows["imbalance 10", "fedavg"]["times"] == 1
    bars = exhibit.panels[0].figure.axes[0].containers
    assert [c.get_label() for c in bars] == [name for name, _, _ in traffic.TRAFFIC_PARTS.values()] and [
        len(c) for c in bars
    ] == [3] * 5
    assert "4.705 MB (\u00d7 1.18)" in [t.get_text() for t in exhibit.panels[0].figure.axes[0].texts]
    assert "all seeds send the same" in exhibit.caption
    found = {(r["scenario"], r["label"]): r for r in query(table.source, tmp_path, monkeypatch)}
    for place, row in rows.items():
        assert {
            k: found[place][k] for k in (*traffic.TRAFFIC_PARTS, "total", "up", "down", "times")
        } == pytest.approx({k: row[k] for k in (*traffic.TRAFFIC_PARTS, "total", "up", "down", "times")})
    assert said[0] == (
        "Under imbalance 10, safe sends 4.705 MB in a whole run, 1.18 times its weights alone (3.5% for "
        "other tensors and "
        "11.5% once at the start); as much as without CRO and 1.18 times as much as fedavg."
    )


def test_traffic_beside_one_entry(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "traffic", "reference": "fedavg"}]).open()
    _, (_, table), said = drawn(results)
    assert table.columns[-1] == "times fedavg" and [row[-1] for row in table.rows[:3]] == [
        "1.176",
        "1.176",
        "1",
    ]
    assert said[0].endswith("once at the start); 1.18 times as much as fedavg.")


def test_runs_that_do_not_tell_weights_apart_are_left_out(tmp_path: Path) -> None:
    results = open_results(
        fake_results.fake_sweep(tmp_path, recipe=True, rounds=2, figures=[{"kind": "traffic"}])
    )
    _, (missing,), said = drawn(results)
    assert missing.missing and said == []


def test_what_is_sent_once_counts_in_the_bytes_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analysis.figures.outcomes import communication

    results = fake_safe.safe_recipe(tmp_path, []).open()
    compared = methods.table_methods(results)
    exhibit = communication.exhibit_communication(results, compared, rounds_of(results), (0.5, 0.8))
    rows = {
        (r["scenario"], r["label"]): r["total"]
        for r in communication.table_communication(compared, rounds_of(results))
    }
    assert rows["imbalance 10", "safe"] - rows["imbalance 10", "fedavg"] == SETUP * CLIENTS
    assert {
        (r["scenario"], r["label"]): r["total"] for r in query(exhibit.source, tmp_path, monkeypatch)
    } == rows
