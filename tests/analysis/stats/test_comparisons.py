"""Verdicts on paper: pooled noise, adjusted intervals, lost seeds, rules without training, images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from analysis.stats.comparisons import (
    Comparison,
    Judgement,
    Pool,
    Sample,
    estimate,
    judge,
    strongest,
)
from analysis.stats.intervals import Error
from analysis.stats.pools import satterthwaite

LOST = math.nan


def sample(values: Sequence[float], outcomes: Sequence[str] | None = None) -> Sample:
    """A configuration on seeds 0, 1, ...; what is not finite diverged."""
    how = outcomes or ["complete" if math.isfinite(v) else "diverged" for v in values]
    return Sample(values=dict(enumerate(values)), outcomes=dict(enumerate(how)))


def study(effects: Sequence[float], seeds: int = 3, noise: float = 0.005, seed: int = 0) -> list[Sample]:
    """An anchor at 70 % and its levels."""
    rng = np.random.default_rng(seed)
    of_seed = rng.normal(0, 0.02, seeds)
    return [sample(0.7 + e + of_seed + rng.normal(0, noise, seeds)) for e in (0.0, *effects)]


def judged(samples: Sequence[Sample], b: Sample | None = None, **options: float) -> list[Judgement]:
    """Judge all but the first against the first, with the noise of all."""
    planned = max(len(s.outcomes) for s in samples)
    family = [Comparison(a=a, b=b or samples[0], pool="s", seeds_planned=planned) for a in samples[1:]]
    return judge(family, {"s": Pool.of(samples)}, **options)


def test_the_pool_is_the_two_way_table_on_paper() -> None:
    """Steps 1, 3, 2 with mean 2: residuals +-1/2, -+1/2, 0 and 0, on 2 degrees of freedom."""
    pool = Pool.of([sample(row) for row in ([1.0, 2.0], [2.0, 5.0], [3.0, 5.0])])
    assert pool is not None and pool.df == 2
    assert pool.variance == pytest.approx(4 * 0.25 / 2)
    assert pool.total == pytest.approx((0.5 + 4.5 + 2) / 3)


def test_a_lost_cell_costs_one_degree_of_freedom_and_moves_nothing_else() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6, 1)) + rng.normal(size=4) + 0.1 * rng.normal(size=(6, 4))
    table[2, 1] = LOST
    pool = Pool.of([sample(row) for row in table])
    cells = [(i, j) for i in range(6) for j in range(4) if (i, j) != (2, 1)]
    X = np.array([[*(i == r for r in range(6)), *(j == c for c in range(4))] for i, j in cells], float)
    y = np.array([table[cell] for cell in cells])
    rest = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    assert pool is not None and pool.df == 23 - np.linalg.matrix_rank(X) == 14
    assert pool.variance == pytest.approx(float(rest @ rest) / 14)


def test_a_pool_of_two_is_the_paired_t_interval() -> None:
    from scipy.stats import ttest_rel

    a, b = np.array([0.71, 0.74, 0.70]), np.array([0.70, 0.71, 0.68])
    (found,) = judged([sample(b), sample(a)])
    theirs = ttest_rel(a, b)
    assert found.p == pytest.approx(theirs.pvalue) and found.df == 2
    assert (found.low, found.high) == pytest.approx(theirs.confidence_interval(0.9))


def test_seeds_of_other_configurations_find_what_three_seeds_do_not() -> None:
    """Two points of 22 levels, paired spread one point: alone, nothing stands after adjustment."""
    samples = study([0.02] * 8 + [0.0] * 14, noise=0.007)
    together = [j.verdict for j in judged(samples)]
    alone = judge([Comparison(a=s, b=samples[0], pool="", seeds_planned=3) for s in samples[1:]], {})
    assert together[:8].count("ahead") >= 6 and "ahead" not in together[8:]
    assert [j.verdict for j in alone].count("ahead") <= 2


def test_one_that_collapses_on_a_seed_does_not_hide_the_others() -> None:
    """Its 30 points are in the mean of that seed, so they were noise of all: nothing was found beside it."""
    effects = [0.03] * 4 + [0.0] * 10
    quiet = judged(study(effects))
    samples = study(effects)
    values = list(samples[-1].values.values())
    samples[-1] = sample([values[0], values[1] - 0.3, values[2]])
    found = judged(samples)
    assert [j.verdict for j in found[:4]] == ["ahead"] * 4
    assert found[0].se == pytest.approx(quiet[0].se, rel=0.3)
    assert found[-1].verdict == "undecided" and found[-1].se is not None and found[-1].se > 0.08


def test_a_row_is_selected_exactly_when_its_adjusted_interval_excludes_zero() -> None:
    for seed in range(20):
        found = judged(study(np.random.default_rng(seed).normal(0, 0.01, 20).tolist(), seed=seed))
        p = np.sort([j.p for j in found if j.p is not None])
        most = max((k for k in range(1, 21) if p[k - 1] <= 0.1 * k / 20), default=0)
        out = [
            j
            for j in found
            if j.adjusted_low is not None and not j.adjusted_low <= 0 <= (j.adjusted_high or 0)
        ]
        assert len(out) == most and {j.family_size for j in found} == {20}
        assert {j.verdict for j in out} <= {"ahead", "behind", "negligible"}


def test_words_follow_from_the_adjusted_interval() -> None:
    found = judged(study([0.05, -0.05, 0.004, 0.0, -0.006], seeds=12, noise=0.001))
    assert [j.verdict for j in found] == ["ahead", "behind", "negligible", "level", "negligible"]
    wide = judged(study([0.006, 0.004], noise=0.01))
    assert {j.verdict for j in wide} == {"undecided"}
    needed = wide[0].seeds_needed
    assert needed is not None and needed > 3 and wide[0].reason == f"needs about {needed} seeds"


def test_more_seeds_than_it_asks_for_mostly_decide() -> None:
    """The number of seeds is meant for the estimate at hand: with it, 8 of 10 redraws are decided."""
    first = judged(study([0.012, 0.0, 0.0, 0.0], noise=0.01, seed=3))[0]
    assert first.verdict == "undecided" and first.seeds_needed is not None and first.estimate is not None
    again = [
        judged(study([first.estimate, 0.0, 0.0, 0.0], first.seeds_needed, 0.01, seed))[0].verdict
        != "undecided"
        for seed in range(60)
    ]
    assert np.mean(again) >= 0.6


def test_identical_runs_have_no_effect() -> None:
    samples = study([0.0, 0.02])
    (same,) = judge([Comparison(a=samples[0], b=samples[0], pool="", seeds_planned=3)], {})
    assert (same.verdict, same.estimate, same.reason) == ("no effect", 0, "identical on 3 seeds")
    (once,) = judge([Comparison(a=sample([0.7]), b=sample([0.7]), pool="", seeds_planned=3)], {})
    assert once.verdict == "undecided"  # one accuracy of 100 images is often equal by chance


def test_what_never_ran_is_missing_and_what_was_stopped_is_undecided() -> None:
    base = sample([0.7, 0.71, 0.72])
    none, stopped = sample([]), sample([LOST] * 3, ["pruned"] * 3)
    found = judge(
        [
            Comparison(a=none, b=base, pool="", seeds_planned=3),
            Comparison(a=base, b=none, pool="", seeds_planned=3),
            Comparison(a=stopped, b=base, pool="", seeds_planned=3),
        ],
        {},
    )
    assert [(j.verdict, j.missing, j.pruned) for j in found] == [
        ("missing", 3, 0),
        ("missing", 3, 0),
        ("undecided", 0, 3),
    ]
    assert "other side" in found[1].reason and found[2].reason == "stopped early on 3 seeds"


@pytest.mark.parametrize("effect", [0.05, 0.0, -0.05])
def test_a_level_that_loses_seeds_gets_no_milder_verdict(effect: float) -> None:
    order = ("ahead", "level", "negligible", "undecided", "behind", "diverges")
    samples = study([effect, 0.0, 0.0, 0.01, 0.0, 0.0], noise=0.002)
    whole = judged(samples)[0]
    for lost in (1, 2, 3):
        values = [LOST if s < lost else v for s, v in samples[1].values.items()]
        found = judged([samples[0], sample(values), *samples[2:]])[0]
        assert order.index(found.verdict) >= order.index(whole.verdict), (lost, found.verdict)
        assert found.verdict not in ("ahead", "level", "negligible") and found.diverged_a == lost
        if lost > 1:
            assert (found.verdict, found.reason) == ("diverges", f"diverged on {lost} of 3 seeds")


def test_one_lost_seed_keeps_the_others_and_counts_as_nothing() -> None:
    samples = study([0.05, 0.0, 0.0], seeds=5, noise=0.002)
    values = [*list(samples[1].values.values())[:4], LOST]
    found = judged([samples[0], sample(values), *samples[2:]])[0]
    assert found.seeds == (0, 1, 2, 3) and found.estimate == pytest.approx(0.05, abs=0.005)
    assert found.worst_case == pytest.approx((4 * found.estimate - samples[0].values[4]) / 5)
    assert (
        found.verdict == "undecided" and found.p == 1
    )  # ahead where it trains, far behind where it does not
    assert (
        found.low is not None
        and found.low > 0
        and found.adjusted_low is not None
        and found.adjusted_low < -0.05
    )
    assert "diverged on 1 of 5 seeds" in found.reason


def test_a_rival_that_diverges_is_named_and_a_lost_seed_counts_against_either_side() -> None:
    samples = study([0.0, 0.0])
    (found,) = judge([Comparison(a=samples[0], b=sample([LOST, LOST, 0.7]), pool="", seeds_planned=3)], {})
    assert (found.verdict, found.diverged_b, found.a_diverges) == ("diverges", 2, False)
    assert found.reason == "the other side diverged on 2 of 3 seeds"
    better = sample([*[value + 0.05 for value in samples[0].values.values()][:2], LOST])
    pools = {"": Pool.of(study([0.0] * 12, noise=0.002))}
    for other in (sample([*list(samples[0].values.values())[:2], LOST]), better):
        here, there = (
            judge([Comparison(a=a, b=b, pool="", seeds_planned=3)], pools)[0]
            for a, b in ((samples[0], other), (other, samples[0]))
        )
        assert here.worst_case == pytest.approx(-(there.worst_case or 0)) and (here.worst_case or 0) > 0.2
        assert here.adjusted_low == pytest.approx(-(there.adjusted_high or 0))
        assert (
            here.reason
            == f"the other side {there.reason}"
            == "the other side diverged on 1 of 3 seeds, counted as 0"
        )
        words = ("ahead", "behind") if other is not better else ("undecided", "undecided")
        assert (here.verdict, there.verdict) == words


def test_one_seed_decides_nothing_alone_and_little_with_a_pool() -> None:
    alone = judge([Comparison(a=sample([0.8]), b=sample([0.7]), pool="", seeds_planned=1)], {})[0]
    assert alone.verdict == "undecided" and alone.low is None and "one seed" in alone.reason
    samples = study([0.0] * 12, noise=0.005)
    family = [Comparison(a=sample([0.8]), b=sample([0.7]), pool="s", seeds_planned=3)]
    pooled = judge(family, {"s": Pool.of(samples)})[0]
    assert pooled.verdict == "ahead" and pooled.reason == "1 of 3 seeds"
    assert pooled.se == pytest.approx(0.005 * math.sqrt(2), rel=0.4)


def test_a_rule_without_training_has_its_interval_over_images_only() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(400) < 0.6) / 400
    images = dict.fromkeys(range(3), right)
    value = float(right.sum())
    rule = Sample(
        values=dict.fromkeys(range(3), value),
        outcomes=dict.fromkeys(range(3), "complete"),
        images=images,
        cell=np.zeros(400, int),
    )
    found = estimate(rule, None)
    assert (found.se, found.low, found.high) == (None, None, None)  # never +- 0.0
    share = value
    assert found.se_both == pytest.approx(math.sqrt(share * (1 - share) / 399))
    assert found.low_both is not None and found.low_both < value < (found.high_both or 0)


def test_two_seeds_with_one_accuracy_by_chance_are_no_rule() -> None:
    rng = np.random.default_rng(0)
    right = [rng.permutation(np.arange(100) < 70) / 100 for _ in range(2)]
    both = {
        "values": {0: 0.7, 1: 0.7},
        "outcomes": {0: "complete", 1: "complete"},
        "cell": np.zeros(100, int),
    }
    assert not sample([0.7, 0.7]).deterministic and sample([0.7, 0.7, 0.7]).deterministic
    assert not Sample(**both, images=dict(enumerate(right))).deterministic  # type: ignore[arg-type]
    assert Sample(**both, images={0: right[0], 1: right[0]}).deterministic  # type: ignore[arg-type]


def test_a_rule_without_training_neither_lends_nor_borrows_noise() -> None:
    """One seed tells all of what is the same on every seed; of what clients hold, one seed tells nothing."""
    right = np.arange(400) < 240
    images = {"images": {0: right / 400}, "cell": np.zeros(400, int)}
    once = {"values": {0: 0.6}, "outcomes": {0: "complete"}, "rule": True}
    samples = study([0.0, 0.01, -0.01])
    pool = Pool.of(samples)
    fixed = Sample(**once, **images, fixed=True)  # type: ignore[arg-type]
    found = estimate(fixed, pool)
    assert fixed.deterministic and found.se is None
    assert found.se_both == pytest.approx(math.sqrt(0.6 * 0.4 / 399))
    own = Sample(**once, **images)  # type: ignore[arg-type]
    assert not own.deterministic and estimate(own, pool).low_both is None is estimate(own, pool).low
    pair = [sample([0.55, 0.65]), sample([0.6, 0.6])]
    rules = [Sample(values=s.values, outcomes=s.outcomes, rule=True) for s in pair]
    assert [rule.deterministic for rule in rules] == [False, True] and not pair[1].deterministic
    assert Pool.of([*samples, *rules]) == pool != Pool.of([*samples, *pair])
    varied = estimate(rules[0], pool)
    assert (varied.se, varied.df) == (pytest.approx(0.05), 1)


def test_image_noise_that_seeds_have_already_is_not_counted_twice() -> None:
    """Every seed gets other images right at random: no image is easier, so the image part is none."""
    rng = np.random.default_rng(1)
    seeds, n = 8, 2000
    right = (rng.random((seeds, n)) < 0.6) / n
    noisy = Sample(
        values={s: float(right[s].sum()) for s in range(seeds)},
        outcomes=dict.fromkeys(range(seeds), "complete"),
        images=dict(enumerate(right)),
        cell=rng.integers(0, 5, n),
    )
    found = estimate(noisy, None)
    assert found.se_both is not None and found.se is not None and found.se_both <= 1.5 * found.se


def test_the_moderated_variance_lies_between_the_pool_and_its_own() -> None:
    pool = Pool(variance=1.0, df=40, prior_variance=0.8, prior_df=4, total=2.0, total_df=8)
    variance, df = pool.moderated(4.0, 2, trained=2)
    assert (variance, df) == (pytest.approx((4 * 1.6 + 2 * 4.0) / 6), 6)
    alone, alone_df = pool.moderated(4.0, 2, trained=1)
    assert (alone, alone_df) == (pytest.approx((4 * 1.8 + 2 * 4.0) / 6), 6)
    alike = Pool(variance=1.0, df=40, prior_variance=1.0, prior_df=math.inf, total=2.0, total_df=8)
    assert alike.moderated(4.0, 2, trained=2) == (2.0, 40)
    assert satterthwaite(np.array([1.0, 1.0]), np.array([4.0, 4.0])) == 8


def test_the_strongest_rival_counts_a_lost_seed_as_nothing() -> None:
    rivals = {
        "even": [sample([0.7, 0.7])],
        "half lost": [sample([0.9, LOST])],
        "tuned": [sample([0.5, 0.5]), sample([0.72, 0.71])],
        "a third lost": [sample([0.9, 0.9, LOST])],
        "none": [sample([])],
    }
    assert strongest(rivals) == "tuned"
    assert strongest({"half lost": rivals["half lost"], "none": []}) == ""


def test_a_verdict_that_is_to_hold_for_other_images_is_read_from_the_wider_interval() -> None:
    """40 images, of which a gets four more right on every seed: sure for these images, not for others."""
    rng = np.random.default_rng(0)
    seeds, n = 5, 40

    def side(right: int) -> Sample:
        images = {seed: (np.arange(n) < right) / n + rng.normal(0, 1e-4, n) for seed in range(seeds)}
        values = {seed: float(parts.sum()) for seed, parts in images.items()}
        outcomes = dict.fromkeys(range(seeds), "complete")
        return Sample(values=values, outcomes=outcomes, images=images, cell=np.zeros(n, int))

    a, b = side(24), side(20)
    pool = Pool.of([a, b])
    (here,), (elsewhere,) = (
        judge([Comparison(a=a, b=b, pool="", seeds_planned=seeds, other_images=other)], {"": pool})
        for other in (False, True)
    )
    assert here.estimate == elsewhere.estimate == pytest.approx(0.1, abs=0.01)
    assert (here.low_both, here.high_both) == (elsewhere.low_both, elsewhere.high_both)
    assert here.verdict == "ahead" and (here.adjusted_low, here.adjusted_high) == (here.low, here.high)
    assert elsewhere.adjusted_low == elsewhere.low_both and elsewhere.adjusted_high == elsewhere.high_both
    paired = 0.1 * 0.9 / (n - 1)  # variance of the mean of 40 zeros and ones, four of them ones
    assert elsewhere.se_both == pytest.approx(paired**0.5, rel=0.01)


def pictured(values: Sequence[float], right: Sequence[int], n: int = 2000) -> Sample:
    """A configuration on n images, of which it gets `right` right; the accuracy differs from seed to seed."""
    images = {
        s: np.full(n, v / n) * (np.arange(n) < k) * n / k
        for s, (v, k) in enumerate(zip(values, right, strict=True))
    }
    return Sample(
        values=dict(enumerate(values)),
        outcomes=dict.fromkeys(range(len(values)), "complete"),
        images=images,
        cell=np.zeros(n, int),
    )


def test_the_wider_question_never_has_the_narrower_interval() -> None:
    """Few seeds and many images: Satterthwaite's degrees of freedom are those of the images."""
    a, b = pictured([0.70, 0.712], [1400, 1400]), pictured([0.66, 0.664], [1340, 1340])
    error = judge([Comparison(a=a, b=b, pool="", seeds_planned=2)], {})[0]
    assert error.low is not None and error.high is not None and error.se is not None
    assert error.se_both is not None and error.se_both > error.se
    assert (error.low_both, error.high_both) == (error.low, error.high)
    (there,) = judge([Comparison(a=a, b=b, pool="", seeds_planned=2, other_images=True)], {})
    assert (there.adjusted_low, there.adjusted_high, there.p) == (
        error.adjusted_low,
        error.adjusted_high,
        error.p,
    )
    alone = estimate(a, None)
    assert alone.se_both is not None and alone.se is not None and alone.se_both > alone.se
    assert (alone.low_both, alone.high_both) == (alone.low, alone.high)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("se_both", [0.0101, 0.03])
def test_p_is_the_level_at_which_the_wider_interval_holds_zero(level: float, se_both: float) -> None:
    error = Error(se=0.01, df=1, se_both=se_both, df_both=40)
    low, high = error.deciding(0.0, level, images=False)
    low_both, high_both = error.over_both(0.0, level)
    assert high is not None and high_both is not None and low is not None and low_both is not None
    assert high_both >= high and low_both <= low
    assert error.p(high_both, True) == pytest.approx(1 - level)
    assert error.half_width(np.ones(1), level, True, 0.0) == pytest.approx([high_both])
    assert error.p(high, False) == pytest.approx(1 - level)


def test_lost_seeds_narrow_no_other_interval() -> None:
    """A loss is far below every accuracy. As a p value it would select its row, and so narrow the others."""
    samples = study([0.0] * 8, seeds=5)
    lost = [sample([*list(s.values.values())[:4], LOST]) for s in samples[1:5]]
    found = judged([samples[0], *lost, *samples[5:]])
    assert [row.verdict for row in found[:4]] == ["behind"] * 4 and min(row.p or 0 for row in found) > 0.02
    for row, before in zip(found[4:], judged(samples)[4:], strict=True):
        wider = [
            (j.adjusted_high - j.adjusted_low) / (j.high - j.low)
            for j in (row, before)
            if None not in (j.adjusted_high, j.adjusted_low, j.high, j.low)
        ]
        assert wider[0] == pytest.approx(wider[1], rel=0.03) and wider[1] > 1.4


def test_an_accuracy_is_within_zero_and_one() -> None:
    for values, ends in (([0.0, 0.02, 0.05], ("low", 0.0)), ([1.0, 0.98, 0.99], ("high", 1.0))):
        assert getattr(estimate(sample(values), None), ends[0]) == ends[1]


@pytest.mark.parametrize(("configurations", "prior_df"), [(2, 4.0), (4, 4.0), (5, math.inf)])
def test_few_configurations_say_little_about_one(configurations: int, prior_df: float) -> None:
    """Equally noisy ones, as far as can be seen; of four that is not far."""
    noise = 0.01 * np.array([1.0, -1.0, 0.0])
    turned = [np.roll(noise, c) * (-1) ** c for c in range(configurations)]
    pool = Pool.of([sample(0.7 + row) for row in turned])
    assert pool is not None and pool.prior_df == prior_df


def test_of_a_sum_a_lost_seed_says_nothing() -> None:
    """Of two choices together: one of its runs that diverged is no interaction."""
    samples = study([0.0] * 8, noise=0.002)
    values = [2 * value for value in samples[0].values.values()]
    a, b = sample([value + 0.07 for value in values]), sample([*values[:2], LOST])
    pools = {"": Pool.of(samples)}
    alone, together = (
        judge([Comparison(a=a, b=b, pool="", seeds_planned=3, parts=parts)], pools)[0] for parts in (1, 2)
    )
    assert alone.worst_case is not None and alone.worst_case > 0.4
    assert together.worst_case is None and together.estimate == alone.estimate == pytest.approx(0.07)
    assert together.verdict == "ahead" and together.reason == "2 of 3 seeds" and together.diverged_b == 1
    assert together.adjusted_high is not None and together.adjusted_high < 0.1


@pytest.mark.parametrize("parts", [1, 2])
def test_no_interval_reaches_farther_than_two_accuracies_can_differ(parts: int) -> None:
    a, b = sample([0.9, 0.1]), sample([0.1, 0.4])
    (found,) = judge([Comparison(a=a, b=b, pool="", seeds_planned=2, parts=parts)], {})
    assert (found.low, found.high) == (found.adjusted_low, found.adjusted_high) == (-parts, parts)


def test_one_seed_that_was_stopped_early_is_one() -> None:
    stopped = sample([LOST, 0.7], ["pruned", "complete"])
    (found,) = judge([Comparison(a=stopped, b=sample([0.7]), pool="", seeds_planned=2)], {})
    assert found.reason == "stopped early on 1 seed"
