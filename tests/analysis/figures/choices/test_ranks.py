"""Agreement of scenarios on the ranks of choices."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from analysis.figures.choices import (
    ranks,
)
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake

EVEN, SKEWED = fake.SCENARIOS


def test_ranks_agree_with_scipy_and_carry_an_interval(full_sweep: Path) -> None:
    rows, pairs = ranks.table_ranks(open_results(full_sweep))
    size = {(r["scenario"], r["symbol"]): r["size"] for r in rows}
    assert [r["symbol"] for r in rows if r["scenario"] == EVEN] == ["lam", "h", "fusion"]
    symbols = ("lam", "h", "fusion")
    (pair,) = pairs
    assert pair["tau"] == pytest.approx(
        kendalltau(*([size[s, n] for n in symbols] for s in (EVEN, SKEWED))).statistic
    )
    assert pair["low"] is not None and pair["low"] <= pair["tau"] <= pair["high"] <= 1
    chance = np.random.default_rng(0)
    for a, b in itertools.pairwise(chance.integers(0, 4, size=(20, 6)).astype(float)):
        assert ranks.kendall(a, b) == pytest.approx(np.nan_to_num(kendalltau(a, b).statistic))


def test_rankings_of_noise_are_undecided(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.03)
    for scenario in fake.SCENARIOS:
        sheet.contrasts(scenario, 0.6, 0.0)
    _, (pair,) = ranks.table_ranks(open_results(fake.write(tmp_path, sheet)))
    assert ranks.verdict(pair) == "undecided" and "1 is undecided" in ranks.sentences([pair])[0]
