"""Class ratios of runs and sweeps: numbers by hand and by SQL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.figures.inside import (
    divergence,
    masks,
    ratio_drawing,
    ratios,
)
from analysis.figures.outcomes import balance
from analysis.read.results import Results, open_results
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import SEEDS, data_lines, query, rounds_of, with_numbers
from tests.fakes.safe import IMAGES, ROUNDS
from tests.fakes.tables import CLASSES


def test_class_ratios_of_a_run(safe_run: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = with_numbers(ratios.exhibit_ratios(safe_run, safe_run.rounds()))
    above = data_lines(exhibit.panels[0], 0)
    assert len(above) == len(CLASSES) and all(len(line.get_xdata()) == ROUNDS + 1 for line in above)
    last = {r["label"]: r for r in ratios.table_ratios(safe_run) if r["round"] == ROUNDS}
    drawn_last = sorted(line.get_ydata()[-1] for line in above)
    assert drawn_last == sorted(r["cr"] for r in last.values())
    by_rank = sorted(last.values(), key=lambda r: r["rank"])
    assert [r["images"] for r in by_rank] == sorted(IMAGES, reverse=True) and by_rank[0]["rank"] == 1
    (below,) = data_lines(exhibit.panels[0], 1)
    assert list(below.get_xdata()) == list(
        range(1, ROUNDS + 1)
    )  # before training all CR are equal: no correlation
    assert below.get_ydata()[-1] == safe_run.rounds()[-1]["cr_spearman"]
    found = query(exhibit.source, safe_run.folder, monkeypatch)
    assert len(found) == (ROUNDS + 1) * len(CLASSES)
    assert {(r["round"], r["class"]): (r["images"], r["cr"]) for r in found} == {
        (r["round"], r["class_name"]): (r["images"], r["cr"]) for r in ratios.table_ratios(safe_run)
    }


@pytest.mark.parametrize(
    ("images", "most", "least", "shade"),
    [
        (100, 100, 1, 0.0),
        (1, 100, 1, 1.0),
        (10, 100, 1, 0.5),
        (50, 100, 0, 0.5),
        (7, 7, 7, 0.5),
    ],
)
def test_colours_go_from_frequent_to_rare(images: float, most: float, least: float, shade: float) -> None:
    assert ratio_drawing.shade_of(images, most, least) == pytest.approx(shade)


def test_class_ratios_of_a_sweep_go_by_rank_because_seeds_order_classes_differently(
    safe_recipe: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    exhibit = with_numbers(ratios.exhibit_ratios_of_sweep(safe_recipe, rounds_of(safe_recipe)))
    assert [p.title for p in exhibit.panels] == ["imbalance 10: CR of safe", "imbalance 100: CR of safe"]
    by_hand = []
    for seed in SEEDS:
        rows = [r for r in fake_safe.ratio_rows("x", seed) if r["round"] == ROUNDS]
        by_hand.append(
            sorted(rows, key=lambda r: (-r["images"], r["label"]))[-1]["cr"]
        )  # the rarest class of each seed
    assert (
        len({max(fake_safe.ratio_rows("x", s), key=lambda r: r["images"])["class_name"] for s in SEEDS}) > 1
    )
    found = {
        (r["scenario"], r["label"], r["measure"], r["round"]): r
        for r in query(exhibit.source, safe_recipe.folder, monkeypatch)
    }
    rarest = found["imbalance 10", "safe", f"rank {len(CLASSES)}", ROUNDS]
    assert rarest["mean"] == pytest.approx(np.mean(by_hand)) and (rarest["least"], rarest["most"]) == (
        min(by_hand),
        max(by_hand),
    )
    drawn_last = sorted(line.get_ydata()[-1] for line in data_lines(exhibit.panels[0], 0))
    assert drawn_last == pytest.approx(
        sorted(found["imbalance 10", "safe", f"rank {k}", ROUNDS]["mean"] for k in range(1, 17))
    )
    assert len(data_lines(exhibit.panels[0], 1)) == 2  # safe and without CRO; FedAvg has none
    assert found["imbalance 10", "without CRO", "cr_spearman", ROUNDS]["mean"] < -0.5


def test_what_has_no_class_ratios_shows_none(tmp_path: Path) -> None:
    results = open_results(fake_results.fake_run(tmp_path, rounds=4))
    for draw in (ratios.exhibit_ratios, divergence.exhibit_divergence, balance.exhibit_balance):
        assert draw(results, results.rounds()) is None
    assert masks.exhibits_masks(results, results.rounds()) == []
