"""D_CKA of runs and sweeps: numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.figures.inside import divergence
from analysis.look.style import Look
from analysis.read.results import Results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import SEEDS, data_lines, query, with_numbers
from tests.fakes.safe import CLIENTS, ROUNDS

MEANS = [
    {
        "x": n,
        "mean": 1e-4,
        "low": 1e-4,
        "high": 1e-4,
        "label": "",
        "measure": "d_cka",
        "look": Look("#000000", "o"),
    }
    for n in range(5)
]


def test_divergence_of_a_run(safe_run: Results) -> None:
    exhibit = with_numbers(divergence.exhibit_divergence(safe_run))
    thin = safe_run.sql(divergence.query_of_clients(safe_run))
    assert len({row["client"] for row in thin}) == CLIENTS and len(thin) == ROUNDS * (CLIENTS - 1)
    *clients, mean = data_lines(exhibit.panels[0], 0)
    assert len(clients) == CLIENTS and list(mean.get_xdata()) == list(range(1, ROUNDS + 1))
    mu, beta = data_lines(exhibit.panels[0], 1)
    assert beta.get_ydata()[-1] == pytest.approx(1)
    assert list(mu.get_ydata()) == [
        row["mu"] for row in safe_run.sql("FROM rounds WHERE split = 'validation' ORDER BY round")[1:]
    ]


def test_a_divergence_that_is_stuck_at_zero_looks_like_it() -> None:
    rows = [{"client": 0, "x": n, "mean": 1e-4 * n} for n in range(5)]
    top = divergence.draw_divergence(rows, MEANS).axes[0].get_ylim()[1]
    assert top == pytest.approx(1.05 * divergence.SMALLEST_TOP)


def test_of_many_clients_some_are_drawn() -> None:
    rows = [{"client": c, "x": n, "mean": 0.5} for c in range(500) for n in range(3)]
    axes = divergence.draw_divergence(rows, MEANS).axes[0]
    assert len(axes.lines) == divergence.MOST_CLIENTS + 1  # and the mean


def test_divergence_of_a_sweep(safe_recipe: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = with_numbers(divergence.exhibit_divergence(safe_recipe))
    assert [panel.title for panel in exhibit.panels] == ["imbalance 10", "imbalance 100"]
    assert len(data_lines(exhibit.panels[0], 0)) == CLIENTS + 2
    assert len(data_lines(exhibit.panels[0], 1)) == 4  # mu and beta of two
    found = {
        (row["scenario"], row["label"], row["measure"], row["round"]): row["mean"]
        for row in query(exhibit.source, safe_recipe.folder, monkeypatch)
    }
    by_hand = [
        np.mean([r["d_cka"] for r in fake_safe.client_rows("x", s, 0.1) if r["round"] == 5]) for s in SEEDS
    ]
    assert found["imbalance 100", "without CRO", "d_cka", 5] == pytest.approx(np.mean(by_hand))
    assert found["imbalance 100", "safe", "beta", 5] == pytest.approx(0.5)
