"""Traffic of a recipe: all that is sent, also once."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.declared import traffic
from analysis.figures.outcomes import communication
from analysis.read.results import open_results
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import drawn
from tests.fakes.safe import CLIENTS, ROUNDS, SETUP, WEIGHTS


@pytest.mark.parametrize("in_trials", [True, False])
def test_all_that_is_sent(tmp_path: Path, in_trials: bool) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "traffic"}], setup_in_trials=in_trials).open()
    (exhibit, _), said = drawn(results)
    rows = {(row["scenario"], row["label"]): row for row in results.sql(traffic.QUERY)}
    turns, own = ROUNDS * (CLIENTS - 1), rows["imbalance 10", "safe"]
    parts = [turns * WEIGHTS, turns * WEIGHTS, turns * 300, turns * 3000, SETUP * CLIENTS]
    assert [own[name] for name in traffic.TRAFFIC_PARTS] == parts
    assert own["total"] == own["least"] == own["most"] == sum(parts)
    assert own["times"] == pytest.approx(sum(parts) / (2 * WEIGHTS * turns))
    assert (own["up"], own["down"]) == (WEIGHTS + 300, WEIGHTS + 3000)
    assert rows["imbalance 10", "fedavg"]["times"] == 1
    bars = exhibit.panels[0].figure.axes[0].containers
    assert [bar.get_label() for bar in bars] == [name for name, _, _ in traffic.TRAFFIC_PARTS.values()]
    assert "4.705 MB" in [text.get_text() for text in exhibit.panels[0].figure.axes[0].texts]
    assert "all seeds send the same" in exhibit.caption
    assert said[0] == (
        "Under imbalance 10, safe sends 4.705 MB in a whole run, 1.18 times its weights alone (3.5% for "
        "other tensors and 11.5% once at the start); as much as without CRO and 1.18 times as much as fedavg."
    )
    sent = {
        (row["scenario"], row["label"]): row["total"] for row in communication.table_communication(results)
    }
    if in_trials:
        assert sent["imbalance 10", "safe"] - sent["imbalance 10", "fedavg"] == SETUP * CLIENTS


def test_traffic_beside_one_entry(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "traffic", "reference": "fedavg"}]).open()
    (_, table), said = drawn(results)
    assert table.columns[-1] == "times fedavg"
    assert [row[-1] for row in table.rows[:3]] == ["1.176", "1.176", "1"]
    assert said[0].endswith("once at the start); 1.18 times as much as fedavg.")


def test_runs_that_do_not_tell_weights_apart_are_left_out(tmp_path: Path) -> None:
    made = fake_results.fake_sweep(tmp_path, recipe=True, rounds=2, figures=[{"kind": "traffic"}])
    (missing,), said = drawn(open_results(made))
    assert missing.missing and said == []
