"""One size per choice without noise, and the agreement of two rankings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import kendalltau

from analysis.stats.ranks import _kendall, agreement, effect_size


def test_a_size_does_not_grow_with_noise_or_levels() -> None:
    assert effect_size([(0.03, 0.0), (0.04, 0.0)]) == pytest.approx(np.sqrt(0.00125))
    rng = np.random.default_rng(0)
    for levels in (1, 6):
        drawn = rng.normal(0, 0.01, (4000, levels))
        mean = np.mean([np.mean([e**2 - 0.01**2 for e in effects]) for effects in drawn])
        assert mean == pytest.approx(0, abs=1e-5)
    assert effect_size([(0.005, 0.01)]) == 0


def test_tau_is_scipys() -> None:
    chance = np.random.default_rng(0)
    for a, b in itertools.pairwise(chance.integers(0, 4, size=(20, 6)).astype(float)):
        assert _kendall(a[None], b[None])[0] == pytest.approx(np.nan_to_num(kendalltau(a, b).statistic))


def test_three_seeds_give_an_interval_and_no_verdict() -> None:
    effects = [[(0.01 * i, 0.001)] for i in range(1, 7)]
    three, five = agreement(effects, effects, 3), agreement(effects, effects, 5)
    assert (three.tau, three.verdict) == (1, "undecided") and three.low is not None and three.low > 0
    assert five.verdict == "alike" and agreement(effects, effects[::-1], 5).verdict == "opposite"
    few = agreement(effects[:2], effects[:2], 5)
    assert few.low is None and few.verdict == "undecided"


def test_noise_says_nothing() -> None:
    rng = np.random.default_rng(0)
    noise = [[(float(e), 0.01) for e in rng.normal(0, 0.01, n)] for n in (1, 2, 3, 4, 6)]
    found = agreement(noise, noise[::-1], 5)
    assert (
        found.verdict == "undecided"
        and found.low is not None
        and found.low < -0.5
        and (found.high or 0) > 0.5
    )
