"""Verdicts: is one configuration ahead of another, and what is the accuracy of one. All pages read these.

A comparison is paired by seed. Its variance is that of its own differences, moderated towards the noise of
the study (`pools.Pool`), or where noise grows with the effect towards that of its size (`trends.Trend`). All
comparisons that are shown together are one family: a row is selected by Benjamini and Hochberg, and its
adjusted interval is that of Benjamini and Yekutieli (false coverage rate). So a row is selected exactly when
its adjusted interval excludes zero, unless it lost a seed.

A seed that one side lost counts as accuracy 0 of that side in the adjusted interval, as it does in the
objective of a search. The estimate, its interval and its p value are those of the seeds that both kept. How
often a configuration loses a seed is not known from a few, and is in no interval.

References:
    Benjamini and Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995).
    Benjamini and Yekutieli, "False discovery rate-adjusted multiple confidence intervals", JASA 100 (2005).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from .errors import Error, contributions
from .judgements import Comparison, Estimate, Judgement, Verdict
from .pools import NO_WIDTH, Pool, Prior, Sample
from .trends import expected

__all__ = [
    "MARGIN", "Comparison", "Estimate", "Judgement", "Pool", "Sample", "Verdict",
    "estimate", "judge", "strongest",
]  # fmt: skip

MARGIN = 0.01  # one point of accuracy: a smaller difference does not matter in practice
RATE = 0.1  # expected share of false ones among the differences that are called not zero
MOST_SEEDS = 50  # more are not proposed
ENDS = ("low", "high", "low_both", "high_both")  # of the intervals that are not adjusted
POWER_QUANTILE = 0.84  # normal quantile of the probability (0.8) with which the proposed seeds decide


def estimate(sample: Sample, pool: Pool | None, confidence: float = 0.9) -> Estimate:
    """Estimate one accuracy, with intervals of this confidence, in (0, 1).

    `pool` is the noise of its study; None where it stands alone. A rule without training has none of it.
    """
    kept, lost = sample.kept, len(sample.lost)
    seeds, values = tuple(sorted(kept)), tuple(kept[seed] for seed in sorted(kept))
    if not values:
        return Estimate(lost=lost)
    parts = contributions(sample, seeds)
    noise, trained = None if sample.rule else pool, 0 if sample.deterministic else 1
    error = Error.of(np.array(values), trained, noise, parts, sample.cell)
    mean = float(np.mean(values))
    spread = asdict(error.spread(mean, confidence))
    within = {name: min(1.0, max(0.0, end)) for name in ENDS if (end := spread[name]) is not None}
    return Estimate(seeds=seeds, lost=lost, values=values, mean=mean, **{**spread, **within})


def strongest(rivals: Mapping[str, Sequence[Sample]]) -> str:
    """Return the name whose best configuration has the highest mean; empty where none has one.

    A lost seed counts as accuracy 0, and a configuration that lost at least half of its seeds has no mean.
    Choose on other seeds than those of the comparison: on the same ones the difference is biased.
    """

    def mean(sample: Sample) -> float:
        kept, lost = sample.kept, len(sample.lost)
        return sum(kept.values()) / (len(kept) + lost) if len(kept) > lost else -1.0

    best = {name: max(map(mean, samples), default=-1.0) for name, samples in rivals.items()}
    return max((name for name in best if best[name] >= 0), key=best.__getitem__, default="")


def judge(
    family: Sequence[Comparison],
    pools: Mapping[str, Pool | None],
    *,
    confidence: float = 0.9,
    margin: float = MARGIN,
) -> list[Judgement]:
    """Judge the comparisons that are shown together, in their order.

    Args:
        family: All of them.
        pools: The noise of each study; a study without an entry has none.
        confidence: Coverage of the intervals that are not adjusted, in (0, 1).
        margin: A smaller difference does not matter in practice.
    """
    measured = [
        _measured(c, pools.get(c.pool), prior, confidence)
        for c, prior in zip(family, expected(family, pools), strict=True)
    ]
    p_values = sorted(j.p for j, _ in measured if j.p is not None)
    size = len(p_values)
    selected = max((k for k, p in enumerate(p_values, 1) if p <= RATE * k / size), default=0)
    level = 1 - RATE * max(1, selected) / max(1, size)
    return [
        _adjusted(c, replace(j, family_size=size), error, level, confidence, margin)
        for c, (j, error) in zip(family, measured, strict=True)
    ]


def _measured(
    c: Comparison, pool: Pool | None, prior: Prior | None, confidence: float
) -> tuple[Judgement, Error]:
    """What one comparison shows by itself; without a reason, it takes the adjusted interval to decide."""
    a, b = c.a.kept, c.b.kept
    seeds = tuple(sorted(a.keys() & b.keys()))
    ran = [set(side.outcomes) | set(side.values) for side in (c.a, c.b)]
    verdict, reason = _given(c, seeds) or ("undecided", "")
    found = Judgement(
        seeds=seeds, seeds_planned=c.seeds_planned, diverged_a=len(c.a.lost), diverged_b=len(c.b.lost),
        pruned=_pruned(c), missing=max(0, c.seeds_planned - len(ran[0] & ran[1])),
        verdict=verdict, reason=reason,
    )  # fmt: skip
    if not seeds:
        return found, Error()
    difference = np.array([a[seed] - b[seed] for seed in seeds])
    mean = float(difference.mean())
    parts = _image_differences(c, seeds)
    error = Error.of(difference, 2 - c.a.deterministic - c.b.deterministic, pool, parts, c.a.cell, prior)
    counted = [-b[seed] for seed in c.a.lost if seed in b] + [a[seed] for seed in c.b.lost if seed in a]
    counted = counted if c.parts == 1 else []
    worst = (mean * len(seeds) + sum(counted)) / (len(seeds) + len(counted)) if counted else None
    mean_a, mean_b = (float(np.mean([side[seed] for seed in seeds])) for side in (a, b))
    spread = asdict(error.spread(mean, confidence))
    within = {name: _within(c, spread[name]) for name in ENDS}
    found = replace(
        found, mean_a=mean_a, mean_b=mean_b, estimate=mean, worst_case=worst, **{**spread, **within}
    )
    if reason:
        return found, error
    # of the kept seeds: a loss is no chance of the noise, and must not narrow the intervals of other rows
    spans = _spans(c, found, error, confidence)
    return replace(found, p=1.0 if spans else error.p(mean, c.other_images)), error


def _within(c: Comparison, end: float | None) -> float | None:
    """An end of an interval, no farther out than two accuracies can differ."""
    return None if end is None else min(max(end, -float(c.parts)), float(c.parts))


def _centre(j: Judgement) -> float:
    """The estimate, with seeds that one side lost counted as accuracy 0."""
    return (j.estimate or 0.0) if j.worst_case is None else j.worst_case


def _spans(c: Comparison, j: Judgement, error: Error, confidence: float) -> bool:
    """Whether the kept seeds say ahead and a lost seed says behind, or the other way round."""
    if j.worst_case is None or j.estimate is None or j.worst_case * j.estimate > 0:
        return False
    low, high = error.deciding(j.estimate, confidence, c.other_images)
    return low is not None and high is not None and (low > 0 or high < 0)


def _image_differences(c: Comparison, seeds: tuple[int, ...]) -> np.ndarray | None:
    """What each image adds to the difference on each seed; None where both did not see the same images."""
    a, b = (contributions(side, seeds) for side in (c.a, c.b))
    if a is None or b is None or not np.array_equal(np.asarray(c.a.cell), np.asarray(c.b.cell)):
        return None
    return a - b


def _given(c: Comparison, seeds: tuple[int, ...]) -> tuple[Verdict, str] | None:
    """Verdicts that no interval is needed for."""
    if not c.a.values and not c.a.outcomes:
        return "missing", "never ran"
    if not c.b.values and not c.b.outcomes:
        return "missing", "the other side never ran"
    if lost := _losses(c, share=0.5):
        return "diverges", lost
    if not seeds:
        pruned = _pruned(c)
        early = f"stopped early on {pruned} seed" + "s" * (pruned != 1)
        return ("undecided", early) if pruned else ("missing", "no common seed")
    same = set(c.a.lost) == set(c.b.lost) and all(abs(c.a.kept[s] - c.b.kept[s]) <= NO_WIDTH for s in seeds)
    parts = _image_differences(c, seeds) if same else None
    # one accuracy may be equal by chance, where there are few images
    if same and (len(seeds) > 1 if parts is None else not parts.any()):
        return "no effect", f"identical on {_share(len(seeds), c)}"
    return None


def _losses(c: Comparison, share: float = 0.0) -> str:
    """Return `diverged on 1 of 3 seeds`, of each side that lost at least one, and this share."""
    said = []
    for side, before in ((c.a, ""), (c.b, "the other side ")):
        lost, ran = len(side.lost), len(side.lost) + len(side.kept)
        said += [f"{before}diverged on {lost} of {ran} seeds"] if lost and lost >= share * ran else []
    return " and ".join(said)


def _pruned(c: Comparison) -> int:
    return len({s for side in (c.a, c.b) for s, how in side.outcomes.items() if how == "pruned"})


def _share(n: int, c: Comparison) -> str:
    """Return `3 seeds`, or `2 of 3 seeds` where fewer than planned are common."""
    if n < c.seeds_planned:
        return f"{n} of {c.seeds_planned} seeds"
    return f"{n} seed" + "s" * (n != 1)


def _adjusted(
    c: Comparison, j: Judgement, error: Error, level: float, confidence: float, margin: float
) -> Judgement:
    """Give a judgement its adjusted interval, of this level, and what follows from it."""
    if j.reason:
        return j
    low, high = error.deciding(_centre(j), level, c.other_images)
    if j.estimate is not None and low is not None and high is not None and _spans(c, j, error, confidence):
        shift = j.estimate - _centre(j)
        low, high = low + min(0.0, shift), high + max(0.0, shift)
    j = replace(j, adjusted_low=_within(c, low), adjusted_high=_within(c, high))
    if low is None or high is None:
        alone = "one seed, and no other configuration shows its noise"
        return replace(j, reason=alone if len(j.seeds) == 1 else "no spread over seeds")
    reason = _share(len(j.seeds), c)
    if j.worst_case is not None:
        reason = f"{_losses(c)}, counted as 0"
    within = low >= -margin and high <= margin
    if low > 0 or high < 0:
        verdict: Verdict = "negligible" if within else "ahead" if low > 0 else "behind"
        return replace(j, verdict=verdict, reason=reason)
    if within or j.worst_case is not None:
        return replace(j, verdict="level" if within else "undecided", reason=reason)
    needed = _seeds_needed(c, j, error, level, margin)
    many = f"needs more than {MOST_SEEDS} seeds" + ", or more images" * c.other_images
    wish = f"needs about {needed} seeds" if needed else many
    short = f"{reason}; " if len(j.seeds) < c.seeds_planned else ""
    return replace(j, reason=short + wish, seeds_needed=needed)


def _seeds_needed(c: Comparison, j: Judgement, error: Error, level: float, margin: float) -> int | None:
    """Smallest number of seeds that would probably decide this estimate; None above `MOST_SEEDS`."""
    if error.se is None or j.estimate is None:
        return None
    n = len(j.seeds)
    more = np.arange(n + 1, MOST_SEEDS + 1)
    half = error.half_width(more / n, level, c.other_images, POWER_QUANTILE)
    size = abs(j.estimate)
    decided = np.flatnonzero((size >= half) | (size + half <= margin))
    return int(more[decided[0]]) if len(decided) else None
