"""Two choices moved together."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy.stats import ttest_1samp

from analysis.figures.choices import (
    interactions,
)
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake
from tests.fakes.pages import accuracies

EVEN, SKEWED = fake.SCENARIOS


def test_interactions_are_what_is_left_after_both_alone(full_sweep: Path) -> None:
    rows = {(r["name"], r["scenario"]): r for r in interactions.table_interactions(open_results(full_sweep))}
    both, a, b, zero = (
        np.array(accuracies(full_sweep, scenario=EVEN, label=name, kind=kind))
        for name, kind in (
            ("lam=0.5, h=16", "interaction"),
            ("method.lam=0.5", "contrast"),
            ("method.h=16", "contrast"),
            ("anchor", "contrast"),
        )
    )
    low, high = ttest_1samp(both - a - b + zero, 0).confidence_interval(0.9)
    row = rows["lam=0.5, h=16", EVEN]
    assert (row["low"], row["high"], row["verdict"]) == (pytest.approx(low), pytest.approx(high), "helps")
    assert rows["h=16, fusion=mix", EVEN]["verdict"] in ("level", "undecided")
    query = duckdb.sql(interactions.QUERY.replace("tables/", f"{full_sweep}/tables/")).df()
    assert sorted(query["mean"]) == pytest.approx(sorted(r["mean"] for r in rows.values()))
