"""Class ratios and D_CKA of runs and sweeps: numbers by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.figures.inside import masks, rounds
from analysis.figures.outcomes import classes
from analysis.look.style import Look
from analysis.read.results import Results, open_results
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import SEEDS, data_lines, query, with_numbers
from tests.fakes.safe import CLIENTS, IMAGES, ROUNDS
from tests.fakes.tables import CLASSES

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


def test_class_ratios_of_a_run(safe_run: Results) -> None:
    exhibit = with_numbers(rounds.exhibit_ratios(safe_run))
    above = data_lines(exhibit.panels[0], 0)
    assert len(above) == len(CLASSES) and all(len(line.get_xdata()) == ROUNDS + 1 for line in above)
    last = [r for r in safe_run.sql("FROM ratios") if r["round"] == ROUNDS]
    assert sorted(line.get_ydata()[-1] for line in above) == sorted(row["cr"] for row in last)
    by_place = [r for r in safe_run.sql(rounds.query_of_ratios(safe_run)) if r["round"] == ROUNDS]
    assert [row["images"] for row in by_place] == sorted(IMAGES, reverse=True)
    (below,) = data_lines(exhibit.panels[0], 1)
    # before training all CR are equal: no correlation
    assert list(below.get_xdata()) == list(range(1, ROUNDS + 1))
    assert (
        below.get_ydata()[-1]
        == safe_run.sql("FROM rounds WHERE split = 'validation' ORDER BY round")[-1]["cr_spearman"]
    )


def test_class_ratios_of_a_sweep_go_by_rank_because_seeds_order_classes_differently(
    safe_recipe: Results,
) -> None:
    exhibit = with_numbers(rounds.exhibit_ratios(safe_recipe))
    assert [p.title for p in exhibit.panels] == ["imbalance 10: CR of safe", "imbalance 100: CR of safe"]
    rarest = []
    for seed in SEEDS:
        rows = [r for r in fake_safe.ratio_rows("x", seed) if r["round"] == ROUNDS]
        rarest.append(sorted(rows, key=lambda r: (-r["images"], r["label"]))[-1]["cr"])
    classes_of = [row["class"].split(", ") for row in safe_recipe.sql(rounds.query_of_ratios(safe_recipe))]
    assert max(map(len, classes_of)) > 1 and all(names == sorted(names) for names in classes_of)
    names = {max(fake_safe.ratio_rows("x", s), key=lambda r: r["images"])["class_name"] for s in SEEDS}
    assert len(names) > 1
    found = {
        (row["scenario"], row["label"], row["place"], row["round"]): row
        for row in safe_recipe.sql(rounds.query_of_ratios(safe_recipe))
    }
    last = found["imbalance 10", "safe", len(CLASSES), ROUNDS]
    assert last["mean"] == pytest.approx(np.mean(rarest))
    assert (last["low"], last["high"]) == (min(rarest), max(rarest))
    drawn_last = sorted(line.get_ydata()[-1] for line in data_lines(exhibit.panels[0], 0))
    assert drawn_last == pytest.approx(
        sorted(found["imbalance 10", "safe", k, ROUNDS]["mean"] for k in range(1, 17))
    )
    assert len(data_lines(exhibit.panels[0], 1)) == 2  # safe and without CRO; FedAvg has none


def test_what_has_no_class_ratios_shows_none(tmp_path: Path) -> None:
    results = open_results(fake_results.fake_run(tmp_path, rounds=4))
    for draw in (rounds.exhibit_ratios, rounds.exhibit_divergence, classes.exhibit_balance):
        assert draw(results) is None
    assert masks.exhibits_masks(results) == []


def test_divergence_of_a_run(safe_run: Results) -> None:
    exhibit = with_numbers(rounds.exhibit_divergence(safe_run))
    thin = safe_run.sql(rounds.query_of_clients(safe_run))
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
    top = rounds.draw_divergence(rows, MEANS).axes[0].get_ylim()[1]
    assert top == pytest.approx(1.05 * rounds.SMALLEST_TOP)


def test_of_many_clients_some_are_drawn() -> None:
    rows = [{"client": c, "x": n, "mean": 0.5} for c in range(500) for n in range(3)]
    axes = rounds.draw_divergence(rows, MEANS).axes[0]
    assert len(axes.lines) == rounds.MOST_CLIENTS + 1  # and the mean


def test_divergence_of_a_sweep(safe_recipe: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = with_numbers(rounds.exhibit_divergence(safe_recipe))
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
