"""Regret of a configuration that was tuned elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import ttest_rel

from analysis.figures.outcomes import transfer
from analysis.read.metric import Metric
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake
from tests.fakes.pages import accuracies

EVEN, SKEWED = fake.SCENARIOS


def test_regret_is_paired_with_the_latest_own_tuning(full_sweep: Path) -> None:
    rows = {(r["tuned_on"], r["used_on"]): r for r in transfer.table_transfer(open_results(full_sweep))}
    own, moved = (
        accuracies(full_sweep, study=f"m | {EVEN}", label="m (tuned)"),
        accuracies(full_sweep, scenario=EVEN, kind="transfer"),
    )
    low, high = ttest_rel(own, moved).confidence_interval(0.9)
    row = rows[SKEWED, EVEN]
    assert (row["low"], row["high"], row["seeds"], row["verdict"]) == (
        pytest.approx(low),
        pytest.approx(high),
        4,
        "helps",
    )
    assert rows[EVEN, SKEWED]["verdict"] != "helps"
    said = transfer.sentences(list(rows.values()), Metric())[0]
    assert f"costs accuracy in 1 ({SKEWED} to {EVEN} (" in said and "of 2 pairs" in said
