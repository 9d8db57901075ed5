"""Student's t intervals on paper."""

from __future__ import annotations

import pytest

from analysis.stats import intervals as stats


def test_t_interval_on_paper() -> None:
    interval = stats.t_interval([1.0, 2.0, 3.0], 0.9)
    assert interval is not None and interval.low is not None and interval.high is not None
    half = 2.919986 / 3**0.5  # t quantile 0.95 with 2 degrees of freedom; the standard deviation is 1
    assert interval.mean == pytest.approx(2) and interval.low == pytest.approx(2 - half, abs=1e-6)
    assert interval.high == pytest.approx(2 + half, abs=1e-6) and interval.n == 3


def test_one_seed_has_no_interval_and_missing_values_do_not_count() -> None:
    assert stats.t_interval([0.5]) == stats.Interval(0.5, None, None, 1)
    assert stats.t_interval([0.5, float("nan"), None]) == stats.Interval(0.5, None, None, 1)  # type: ignore[list-item]
    assert stats.t_interval([float("nan")]) is None
    flat = stats.t_interval([0.5, 0.5])
    assert flat is not None and (flat.low, flat.high) == (0.5, 0.5)


def test_pairs_are_made_by_seed() -> None:
    interval = stats.paired({1: 0.5, 2: 0.7, 9: 0.0}, {2: 0.6, 1: 0.3, 8: 1.0})
    assert interval is not None and interval.n == 2 and interval.mean == pytest.approx(0.15)
    assert stats.paired({1: 0.5}, {2: 0.5}) is None
