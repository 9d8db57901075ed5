"""Intervals, verdicts and false discovery rates, on paper."""

from __future__ import annotations

import pytest

from analysis.stats import intervals as stats


def test_t_interval_on_paper() -> None:
    interval = stats.t_interval([1.0, 2.0, 3.0], 0.9)
    assert interval is not None and interval.low is not None and interval.high is not None
    half = 2.919986 / 3**0.5  # t quantile 0.95 with 2 degrees of freedom; the standard deviation is 1
    assert interval.mean == pytest.approx(2) and interval.low == pytest.approx(2 - half, abs=1e-6)
    assert interval.high == pytest.approx(2 + half, abs=1e-6) and interval.n == 3
    # t = 2 sqrt(3) = 3.4641 with 2 degrees of freedom: p = 1 - t / sqrt(t^2 + 2)
    assert interval.p == pytest.approx(1 - 12**0.5 / 14**0.5)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.02, 0.03, 0.025], "helps"),
        ([-0.02, -0.03, -0.025], "hurts"),
        ([0.02, -0.01, 0.01], "undecided"),
        ([0.5], "undecided"),
        ([0.01, 0.01, 0.01], "undecided"),
        ([0.0, 0.0], "undecided"),
    ],
)
def test_verdict_follows_from_the_interval(values: list[float], verdict: str) -> None:
    interval = stats.t_interval(values)
    assert interval is not None and interval.verdict == verdict


def test_one_seed_has_no_interval_and_missing_values_do_not_count() -> None:
    assert stats.t_interval([0.5]) == stats.Interval(0.5, None, None, 1)
    assert stats.t_interval([0.5, float("nan"), None]) == stats.Interval(0.5, None, None, 1)  # type: ignore[list-item]
    assert stats.t_interval([float("nan")]) is None
    flat = stats.t_interval([0.5, 0.5])
    assert flat is not None and (flat.low, flat.high, flat.p) == (0.5, 0.5, None)


def test_pairs_are_made_by_seed() -> None:
    interval = stats.paired({1: 0.5, 2: 0.7, 9: 0.0}, {2: 0.6, 1: 0.3, 8: 1.0})
    assert interval is not None and interval.n == 2 and interval.mean == pytest.approx(0.15)
    assert stats.paired({1: 0.5}, {2: 0.5}) is None


def with_p(*values: float | None) -> list[stats.Interval]:
    return [stats.Interval(1.0, 0.5, 1.5, 3, p) for p in values]


def test_false_discovery_rate_on_paper() -> None:
    # thresholds 0.025, 0.05, 0.075, 0.1: the largest k with p(k) below its own is 2
    assert stats.benjamini_hochberg(with_p(0.5, 0.01, 0.08, 0.04), 0.1) == [False, True, False, True]
    assert stats.benjamini_hochberg(with_p(0.09, 0.095), 0.1) == [
        True,
        True,
    ]  # step up: the second carries the first
    assert stats.benjamini_hochberg(with_p(None, 0.06), 0.1) == [
        False,
        False,
    ]  # an interval without spread is shown, so it counts
    assert stats.benjamini_hochberg([], 0.1) == []


def test_multiplicity_counts() -> None:
    made = [stats.t_interval(v) for v in ([0.02, 0.03, 0.025], [0.02, -0.01, 0.01], [0.3])]
    m = stats.multiplicity([i for i in made if i], 0.9)
    assert (m.shown, m.decided) == (2, 1) and m.by_chance == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.01, "level"),
        (-0.0101, 0.005, "undecided"),
        (-0.005, 0.0101, "undecided"),
        (0.0, 0.01, "level"),
        (0.0001, 0.009, "helps"),
        (-0.009, -0.0001, "hurts"),
        (0.0, 0.0, "undecided"),
        (-0.03, 0.03, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_level_is_shown_to_matter_by_less_than_a_point(
    low: float | None, high: float | None, verdict: str
) -> None:
    interval = stats.Interval(0.0 if low is None or high is None else (low + high) / 2, low, high, 3)
    assert interval.verdict == verdict and interval.excludes_zero == (verdict in ("helps", "hurts"))


def test_a_level_interval_is_shown_but_excludes_nothing() -> None:
    level = stats.Interval(0.0, -0.002, 0.002, 3, 1.0)
    m = stats.multiplicity(
        [level, stats.Interval(0.02, 0.01, 0.03, 3, 0.01), stats.Interval(0.5, None, None, 1)]
    )
    assert (m.shown, m.decided, m.firm) == (2, 1, 1)
