"""Declared metrics: differences by them, and figures that cannot be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis import declared as recipes
from analysis.stats.intervals import t_interval
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import NOISE, SEEDS, Row, drawn, query


def test_differences_by_declared_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["acc_shared_global", "acc_shared_class_mean", "acc_shared_tail", "acc_personal_own"]
    results = fake_safe.safe_recipe(
        tmp_path, [{"kind": "differences", "to": "safe", "metrics": wanted}]
    ).open()
    _, (exhibit,), said = drawn(results)
    assert [p.title for p in exhibit.panels] == [
        "Shared accuracy on the global split",
        "Shared accuracy in the mean over classes",
        "Shared accuracy on tail classes",
        "Personal accuracy on each client's own distribution",
    ]
    found = {
        (r["scenario"], r["label"], r["metric"]): r for r in query(exhibit.source, tmp_path, monkeypatch)
    }
    assert len(found) == 2 * 2 * 4
    tail = [
        -0.059 - NOISE[s] + (3 - 2) * NOISE[s] for s in SEEDS
    ]  # `without CRO` holds the noise three times, SAFE twice
    assert found["imbalance 10", "without CRO", "acc_shared_tail"]["mean"] == pytest.approx(np.mean(tail))
    costs = t_interval([-0.03 - NOISE[s] for s in SEEDS])
    assert costs and costs.low and costs.high
    assert said[0] == (
        "Under imbalance 10, on the global split with the shared model alone, compared with safe, leaving "
        "out CRO costs 3.0 "
        f"points (90% interval {-100 * costs.high:.1f} to {-100 * costs.low:.1f})."
    )
    assert not any("tail" in sentence for sentence in said)  # it says what the first metric says


def test_a_metric_that_no_run_has_is_left_out_of_figure_and_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = {"kind": "differences", "to": "safe", "metrics": ["acc_shared_global", "acc_personal_tail"]}
    results = fake_safe.safe_recipe(tmp_path, [figure]).open()
    _, (exhibit,), _ = drawn(results)
    assert [p.title for p in exhibit.panels] == ["Shared accuracy on the global split"]
    assert {r["metric"] for r in query(exhibit.source, tmp_path, monkeypatch)} == {"acc_shared_global"}


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (
            {"kind": "differences", "to": "a", "metrics": "acc_shared_tail"},
            r"metrics = 'acc_shared_tail' should be a list of metrics",
        ),
        (
            {"kind": "differences", "to": "a", "metrics": ["acc_tail"]},
            r"metrics: acc_tail unknown; known metrics are acc_personal_own, ",
        ),
        ({"kind": "groups"}, r"a figure of kind 'groups' lacks to; it takes to, title"),
        ({"kind": "groups", "to": "b"}, r"to = 'b' is no entry of GRID; these are a"),
        ({"kind": "masks", "to": "a"}, r"a figure of kind 'masks' has the unknown key to; it takes title"),
        (
            {"kind": "traffic", "x": "a"},
            r"a figure of kind 'traffic' has the unknown key x; it takes reference, title",
        ),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused(figure: Row, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        recipes.parse([figure], ["a"], "FIGURES")
