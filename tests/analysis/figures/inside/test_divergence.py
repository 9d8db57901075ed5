"""D_CKA of runs and sweeps: numbers by hand and by SQL."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.figures.inside import (
    divergence,
)
from analysis.read.results import Results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import SEEDS, data_lines, query, rounds_of, with_numbers
from tests.fakes.safe import CLIENTS, ROUNDS


def test_divergence_of_a_run(safe_run: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = with_numbers(divergence.exhibit_divergence(safe_run, safe_run.rounds()))
    thin = divergence.table_divergence(safe_run)
    assert len({r["client"] for r in thin}) == CLIENTS and len(thin) == ROUNDS * (CLIENTS - 1)
    *clients, mean = data_lines(exhibit.panels[0], 0)
    assert len(clients) == CLIENTS and list(mean.get_xdata()) == list(range(1, ROUNDS + 1))
    mu, beta = data_lines(exhibit.panels[0], 1)
    assert beta.get_ydata()[-1] == pytest.approx(1) and list(mu.get_ydata()) == [
        r["mu"] for r in safe_run.rounds()[1:]
    ]
    found = query(exhibit.source, safe_run.folder, monkeypatch)
    third = [r["d_cka"] for r in thin if r["round"] == 3]
    assert [(r["least"], r["most"]) for r in found if r["round"] == 3] == [(min(third), max(third))]
    assert found[2]["d_cka"] == pytest.approx(np.mean(third))


def test_a_divergence_that_is_stuck_at_zero_looks_like_it(safe_run: Results) -> None:
    rows = [{"client": 0, "round": n, "d_cka": 1e-4 * n} for n in range(5)]
    top = divergence.draw_divergence(rows, "#000000", []).axes[0].get_ylim()[1]
    assert top == pytest.approx(1.05 * divergence.SMALLEST_TOP)


def test_of_many_clients_some_are_drawn() -> None:
    rows = [{"client": c, "round": n, "d_cka": 0.5} for c in range(500) for n in range(3)]
    axes = divergence.draw_divergence(rows, "#000000", []).axes[0]
    assert len(axes.lines) == divergence.MOST_CLIENTS


def test_divergence_of_a_sweep(safe_recipe: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = with_numbers(divergence.exhibit_divergence_of_sweep(safe_recipe, rounds_of(safe_recipe)))
    assert [p.title for p in exhibit.panels] == ["imbalance 10", "imbalance 100"]
    assert (
        len(data_lines(exhibit.panels[0], 0)) == CLIENTS + 2 and len(data_lines(exhibit.panels[0], 1)) == 4
    )  # mu and beta of two
    found = {
        (r["scenario"], r["label"], r["measure"], r["round"]): r
        for r in query(exhibit.source, safe_recipe.folder, monkeypatch)
    }
    by_hand = [
        np.mean([r["d_cka"] for r in fake_safe.client_rows("x", s, 0.1) if r["round"] == 5]) for s in SEEDS
    ]
    assert found["imbalance 100", "without CRO", "d_cka", 5]["mean"] == pytest.approx(np.mean(by_hand))
    assert found["imbalance 100", "safe", "beta", 5]["mean"] == pytest.approx(0.5)
