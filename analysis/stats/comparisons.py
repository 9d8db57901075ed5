"""Verdicts: is one configuration ahead of another, and what is the accuracy of one. All pages read these.

A comparison is paired by seed. Its variance is that of its own differences, moderated towards the noise of
the study (`pools.Pool`), or where noise grows with the effect towards that of its size (`pools.Trend`). All
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
from dataclasses import replace

import numpy as np

from .intervals import Error, clipped
from .judgements import NO_WIDTH, Comparison, Estimate, Judgement, Sample, Verdict
from .pools import Pool, Prior, expected

MARGIN = 0.01  # one point of accuracy: a smaller difference does not matter in practice
RATE = 0.1  # expected share of false ones among the differences that are called not zero
MOST_SEEDS = 50  # more are not proposed
POWER_QUANTILE = 0.84  # normal quantile of the probability (0.8) with which the proposed seeds decide


def estimate(sample: Sample, pool: Pool | None, confidence: float = 0.9) -> Estimate:
    """Estimate one accuracy, with intervals of this confidence, in (0, 1).

    `pool` is the noise of its study; None where it stands alone. A rule without training has none of it.
    """
    lost, seeds = len(sample.lost), tuple(sorted(sample.kept))
    if not seeds:
        return Estimate(lost=lost)
    values, parts = tuple(sample.kept[seed] for seed in seeds), sample.contributions(seeds)
    noise, trained = None if sample.rule else pool, 0 if sample.deterministic else 1
    error, mean = Error.of(np.array(values), trained, noise, parts, sample.cell), float(np.mean(values))
    spread = error.spread(mean, confidence, 0, 1)
    return Estimate(seeds=seeds, lost=lost, values=values, mean=mean, **spread)


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
    confidence: float = 0.9,
    margin: float = MARGIN,
) -> list[Judgement]:
    """Judge the comparisons that are shown together, in their order.

    `pools` is the noise of each study that has any, `confidence` the coverage, in (0, 1), of the intervals
    that are not adjusted. A difference below the margin does not matter in practice.
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
    a, b, seeds = c.a.kept, c.b.kept, c.seeds
    ran = [set(side.outcomes) | set(side.values) for side in (c.a, c.b)]
    pruned = len({s for side in (c.a, c.b) for s, how in side.outcomes.items() if how == "pruned"})
    verdict, reason = _given(c, pruned) or ("undecided", "")
    found = Judgement(
        seeds=seeds, seeds_planned=c.seeds_planned, diverged_a=len(c.a.lost), diverged_b=len(c.b.lost),
        pruned=pruned, missing=max(0, c.seeds_planned - len(ran[0] & ran[1])),
        verdict=verdict, reason=reason,
    )  # fmt: skip
    if not seeds:
        return found, Error()
    mean, trained = float(c.differences.mean()), 2 - c.a.deterministic - c.b.deterministic
    error = Error.of(c.differences, trained, pool, c.image_differences, c.a.cell, prior)
    counted = [-b[seed] for seed in c.a.lost if seed in b] + [a[seed] for seed in c.b.lost if seed in a]
    counted = counted if c.parts == 1 else []
    worst = (mean * len(seeds) + sum(counted)) / (len(seeds) + len(counted)) if counted else None
    mean_a, mean_b = (float(np.mean([side[seed] for seed in seeds])) for side in (a, b))
    spread = error.spread(mean, confidence, -c.parts, c.parts)
    found = replace(found, mean_a=mean_a, mean_b=mean_b, estimate=mean, worst_case=worst, **spread)
    if reason:
        return found, error
    # of the kept seeds: a loss is no chance of the noise, and must not narrow the intervals of other rows
    spans = _spans(c, found, error, confidence)
    return replace(found, p=1.0 if spans else error.p(mean, c.other_images)), error


def _spans(c: Comparison, j: Judgement, error: Error, confidence: float) -> bool:
    """Whether the kept seeds say ahead and a lost seed says behind, or the other way round."""
    if j.worst_case is None or j.estimate is None or j.worst_case * j.estimate > 0:
        return False
    low, high = error.deciding(j.estimate, confidence, c.other_images)
    return low is not None and high is not None and (low > 0 or high < 0)


def _given(c: Comparison, pruned: int) -> tuple[Verdict, str] | None:
    """Verdicts that no interval is needed for."""
    if not c.a.values and not c.a.outcomes:
        return "missing", "never ran"
    if not c.b.values and not c.b.outcomes:
        return "missing", "the other side never ran"
    if lost := _losses(c, share=0.5):
        return "diverges", lost
    if not c.seeds:
        early = f"stopped early on {_seeds(pruned)}"
        return ("undecided", early) if pruned else ("missing", "no common seed")
    same = set(c.a.lost) == set(c.b.lost) and bool((np.abs(c.differences) <= NO_WIDTH).all())
    parts = c.image_differences if same else None
    # one accuracy may be equal by chance, where there are few images
    if same and (len(c.seeds) > 1 if parts is None else not parts.any()):
        return "no effect", f"identical on {_seeds(len(c.seeds), c.seeds_planned)}"
    return None


def _losses(c: Comparison, share: float = 0.0) -> str:
    """Return `diverged on 1 of 3 seeds`, of each side that lost at least one, and this share."""
    said = []
    for side, before in ((c.a, ""), (c.b, "the other side ")):
        lost, ran = len(side.lost), len(side.lost) + len(side.kept)
        said += [f"{before}diverged on {lost} of {ran} seeds"] if lost and lost >= share * ran else []
    return " and ".join(said)


def _seeds(n: int, planned: int = 0) -> str:
    """Return `3 seeds`, or `2 of 3 seeds` where fewer than planned are common."""
    return f"{n} of {planned} seeds" if n < planned else f"{n} seed" + "s" * (n != 1)


def _adjusted(
    c: Comparison, j: Judgement, error: Error, level: float, confidence: float, margin: float
) -> Judgement:
    """Give a judgement its adjusted interval, of this level, and what follows from it."""
    if j.reason or j.estimate is None:
        return j
    centre = j.estimate if j.worst_case is None else j.worst_case  # lost seeds count as accuracy 0
    low, high = error.deciding(centre, level, c.other_images)
    if low is not None and high is not None and _spans(c, j, error, confidence):
        shift = j.estimate - centre
        low, high = low + min(0.0, shift), high + max(0.0, shift)
    low, high = (clipped(end, -c.parts, c.parts) for end in (low, high))
    j = replace(j, adjusted_low=low, adjusted_high=high)
    if low is None or high is None:
        alone = "one seed, and no other configuration shows its noise"
        return replace(j, reason=alone if len(j.seeds) == 1 else "no spread over seeds")
    reason = _seeds(len(j.seeds), c.seeds_planned)
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
    n, size = len(j.seeds), abs(j.estimate)
    more = np.arange(n + 1, MOST_SEEDS + 1)
    half = error.half_width(more / n, level, c.other_images, POWER_QUANTILE)
    decided = np.flatnonzero((size >= half) | (size + half <= margin))
    return int(more[decided[0]]) if len(decided) else None
