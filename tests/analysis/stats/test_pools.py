"""Noise that grows with the effect: seen where it is there, and not seen in one difference that collapsed."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.stats.comparisons import Comparison, Judgement, Pool, Sample, judge
from analysis.stats.pools import LEAST_FOR_TREND, STEEPEST, Trend, expected


def differences(effects: np.ndarray, share: float, seeds: int, seed: int = 0) -> list[np.ndarray]:
    """Of levels to an anchor: a noise of 0.12 points, and a share of the effect."""
    rng = np.random.default_rng(seed)
    return [e + np.hypot(0.0012, share * e) * rng.normal(size=seeds) for e in effects]


EFFECTS = np.geomspace(0.0005, 0.1, 20)


def test_noise_in_proportion_is_seen_and_its_size_is_right() -> None:
    """With 50 seeds the variances are nearly known: the trend gives them back, over a factor of 300."""
    trend = Trend.of(differences(EFFECTS, 0.3, 50))
    assert trend is not None and 1 < trend.slope <= STEEPEST
    for effect in (0.001, 0.02, 0.1):
        found = trend.prior(np.full(50, effect))
        assert found.variance == pytest.approx(0.0012**2 + (0.3 * effect) ** 2, rel=0.6)


def test_equal_noise_has_no_trend() -> None:
    """A trend that is not there is seen in one of twenty studies at most."""
    found = [Trend.of(differences(EFFECTS, 0.0, 3, seed)) for seed in range(100)]
    assert sum(trend is not None for trend in found) <= 5


def test_a_collapse_is_no_trend() -> None:
    """It is the largest difference and the noisiest; without it, nothing grows."""
    collapsed = np.array([0.0, 0.01, -0.4])
    found = [Trend.of([*differences(EFFECTS / 10, 0.0, 3, seed), collapsed]) for seed in range(100)]
    assert sum(trend is not None for trend in found) <= 10
    assert Trend.of(differences(EFFECTS, 0.3, 3)[-LEAST_FOR_TREND + 1 :]) is None  # too few to look for one


def test_a_size_that_its_seeds_do_not_tell_is_worth_less() -> None:
    trend = Trend(level=-2.0, slope=2.0, offset=0.002, spread=0.0)
    two, five = (trend.prior(np.full(n, 0.05)) for n in (2, 5))
    assert two.df < five.df < 50


def judged(values: np.ndarray) -> list[Judgement]:
    samples = [
        Sample(values=dict(enumerate(row)), outcomes=dict.fromkeys(range(len(row)), "complete"))
        for row in values
    ]
    family = [Comparison(a=a, b=samples[0], pool="s", seeds_planned=2) for a in samples[1:]]
    return judge(family, {"s": Pool.of(samples)})


def test_levels_that_change_nothing_are_quiet_and_those_that_change_much_are_not() -> None:
    """Sizes and standard deviations of a real study of two seeds, in points. One prior for all was worth half
    a degree of freedom: each kept its own variance, of one degree, and none was called level."""
    own = [
        (11.06, 2.12), (7.22, 2.35), (4.43, 1.42), (4.15, 4.43), (3.15, 2.65), (2.05, 0.64), (1.91, 1.14),
        (0.80, 0.09), (0.56, 0.23), (0.52, 0.01), (0.45, 0.26), (0.41, 0.07), (0.35, 0.20), (0.24, 0.30),
        (0.13, 0.06), (0.13, 0.03), (0.04, 0.55), (0.02, 0.04), (0.01, 0.65), (0.00, 0.02),
    ]  # fmt: skip
    signs = np.resize([1, -1, -1, 1, 1], len(own))
    steps = np.array(
        [[-m + s * d / 2**0.5, -m - s * d / 2**0.5] for (m, d), s in zip(own, signs, strict=True)]
    )
    found = judged(0.7 + np.concatenate([np.zeros((1, 2)), steps / 100]))
    largest, smallest = found[0], found[-1]
    assert largest.se is not None and 0.012 < largest.se < 0.04
    assert smallest.se is not None and smallest.se < 0.002
    assert all(j.df is not None and j.df > 3 for j in found)
    assert [j.verdict for j in found].count("level") >= 4


def test_a_rule_without_training_takes_no_part() -> None:
    rule = Sample(values=dict.fromkeys(range(3), 0.5), outcomes=dict.fromkeys(range(3), "complete"))
    samples = [
        Sample(values=dict(enumerate(0.5 + row)), outcomes=dict.fromkeys(range(3), "complete"))
        for row in differences(EFFECTS, 0.3, 3)
    ]
    family = [Comparison(a=a, b=rule, pool="s", seeds_planned=3) for a in samples]
    assert expected(family, {"s": Pool.of(samples)}) == [None] * len(family)
