"""Accuracy against a number that differs between scenarios: lines, and sentences from verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.declared import against
from tests.fakes.recipe import Recipe, at, drawn, marks


def clients_recipe(folder: Path) -> Recipe:
    """Two families of scenarios.

    The subject falls by 1 point from 5 to 10 clients and by 3 to 20 clients; its rival stays.
    """
    places = {
        f"{name}, {n} clients": {"scenario": {"name": name, "clients": n}, "task": {"dataset": "scenes"}}
        for name in ("even", "disjoint")
        for n in (5, 10, 20)
    }
    figure = {"kind": "against", "x": "scenario.clients", "name": "clients"}
    made = Recipe(folder, places, [figure], ["fedrsclip", "promptfl", "zeroshot"])
    for scenario, settings in places.items():
        steps = {5: 0, 10: 1, 20: 3}[settings["scenario"]["clients"]]
        floor = 0.4 + 0.01 * steps
        made.trial("fedrsclip (tuned)", scenario, at(0.78 - 0.01 * steps, 2.0 + 0.1 * steps), floor=floor)
        made.trial("promptfl (tuned)", scenario, at(0.7642), method="promptfl")
        made.trial("zeroshot (untuned)", scenario, at(0.6, 0.0), method="zeroshot", parameters=0)
    return made


def test_accuracy_against_a_number(tmp_path: Path) -> None:
    results = clients_recipe(tmp_path).open()
    (exhibit,), sentences = drawn(results)
    rows = against.table_against(results, "scenario.clients")
    assert {row["family"] for row in rows} == {"even", "disjoint"} and len(rows) == 2 * 3 * 4 * 2
    own = {
        row["x"]: round(row["mean"], 9)
        for row in rows
        if (row["family"], row["label"], row["metric"]) == ("even", "fedrsclip (tuned)", "acc_personal_own")
    }
    assert own == {5.0: 0.78, 10.0: 0.77, 20.0: 0.75}
    assert len(exhibit.panels) == 4 and [marks(panel, "#0072B2") for panel in exhibit.panels] == [3] * 4
    axes = exhibit.panels[0].figure.axes[0]
    assert axes.get_xscale() == "log"
    (floor,) = [line for line in axes.lines if line.get_label() == "most frequent class"]
    assert list(floor.get_ydata()) == pytest.approx([0.40, 0.41, 0.43])
    assert "Thin grey lines: what no method should fall below" in exhibit.caption
    assert len(sentences) == 2 and sentences[0].startswith(
        "even: fedrsclip (tuned) at 20 clients is behind fedrsclip (tuned) at 5 clients (\u22123.0 points ["
    )
    assert "intervals over seeds, adjusted for" in sentences[0]


def test_a_line_is_not_said_to_be_tuned_where_nothing_was(tmp_path: Path) -> None:
    places = {f"even, {n} clients": {"scenario": {"name": "even", "clients": n}} for n in (10, 20)}
    made = Recipe(tmp_path, places, [{"kind": "against", "x": "scenario.clients"}], ["m"])
    made.trial("m", "even, 10 clients", at(0.7, 0.0))
    made.trial("m", "even, 20 clients", at(0.68, 1.0))
    (exhibit,), sentences = drawn(made.open())
    assert sentences[0].startswith("even: m at 20 clients is behind m at 10 clients (\u22122.0 points [")
    assert exhibit.panels[0].figure.axes[0].get_xscale() == "linear"
    assert "may differ along a line" not in exhibit.caption
