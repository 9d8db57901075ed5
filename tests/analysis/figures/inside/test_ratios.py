"""Class ratios of runs and sweeps: numbers by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.figures.inside import divergence, masks, ratios
from analysis.figures.outcomes import classes
from analysis.read.results import Results, open_results
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import SEEDS, data_lines, with_numbers
from tests.fakes.safe import IMAGES, ROUNDS
from tests.fakes.tables import CLASSES


def test_class_ratios_of_a_run(safe_run: Results) -> None:
    exhibit = with_numbers(ratios.exhibit_ratios(safe_run))
    above = data_lines(exhibit.panels[0], 0)
    assert len(above) == len(CLASSES) and all(len(line.get_xdata()) == ROUNDS + 1 for line in above)
    last = [r for r in safe_run.sql("FROM ratios") if r["round"] == ROUNDS]
    assert sorted(line.get_ydata()[-1] for line in above) == sorted(row["cr"] for row in last)
    by_place = [r for r in safe_run.sql(ratios.query_of_ratios(safe_run)) if r["round"] == ROUNDS]
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
    exhibit = with_numbers(ratios.exhibit_ratios(safe_recipe))
    assert [p.title for p in exhibit.panels] == ["imbalance 10: CR of safe", "imbalance 100: CR of safe"]
    rarest = []
    for seed in SEEDS:
        rows = [r for r in fake_safe.ratio_rows("x", seed) if r["round"] == ROUNDS]
        rarest.append(sorted(rows, key=lambda r: (-r["images"], r["label"]))[-1]["cr"])
    names = {max(fake_safe.ratio_rows("x", s), key=lambda r: r["images"])["class_name"] for s in SEEDS}
    assert len(names) > 1
    found = {
        (row["scenario"], row["label"], row["place"], row["round"]): row
        for row in safe_recipe.sql(ratios.query_of_ratios(safe_recipe))
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
    for draw in (ratios.exhibit_ratios, divergence.exhibit_divergence, classes.exhibit_balance):
        assert draw(results) is None
    assert masks.exhibits_masks(results) == []
