"""Verdicts: is one configuration ahead of another, and what is the accuracy of one. All pages read these.

A comparison is paired by seed. Its variance is that of its own differences, moderated towards the noise of
the study (`pools.Pool`), or where noise grows with the effect towards that of its size (`trends.Trend`). All
comparisons that are shown together are one family: a row is selected by Benjamini and Hochberg, and its
adjusted interval is that of Benjamini and Yekutieli (false coverage rate). So a row is selected exactly when
its adjusted interval excludes zero.

A seed that a lost counts as accuracy 0 in the adjusted interval, as it does in the objective of a search. The
estimate and its interval are those of the seeds that were kept.

References:
    Benjamini and Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995).
    Benjamini and Yekutieli, "False discovery rate-adjusted multiple confidence intervals", JASA 100 (2005).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import Error
from .image_noise import contributions
from .judgements import Comparison, Estimate, Judgement, Verdict
from .pools import NO_WIDTH, Pool, Prior, Sample
from .trends import expected

__all__ = [
    "MARGIN",
    "Comparison",
    "Estimate",
    "Judgement",
    "Pool",
    "Sample",
    "Verdict",
    "estimate",
    "judge",
]

MARGIN = 0.01  # one point of accuracy: a smaller difference does not matter in practice
MOST_SEEDS = 50  # more are not proposed
POWER_QUANTILE = 0.84  # normal quantile of the probability (0.8) with which the proposed seeds decide


def estimate(sample: Sample, pool: Pool | None, confidence: float = 0.9) -> Estimate:
    """Estimate one accuracy.

    Args:
        sample: The configuration.
        pool: The noise of its study; None where it stands alone.
        confidence: Coverage of the intervals, in (0, 1).
    """
    kept = sample.kept
    seeds, values = tuple(sorted(kept)), tuple(kept[seed] for seed in sorted(kept))
    if not values:
        return Estimate(
            seeds=(), lost=len(sample.lost), values=(), mean=None, se=None, df=None,
            low=None, high=None, se_both=None, low_both=None, high_both=None,
        )  # fmt: skip
    parts = contributions(sample, seeds)
    error = Error.of(np.array(values), 0 if sample.deterministic else 1, pool, parts, sample.cell)
    mean = float(np.mean(values))
    low, high = error.over_seeds(mean, confidence)
    low_both, high_both = error.over_both(mean, confidence)
    return Estimate(
        seeds=seeds, lost=len(sample.lost), values=values, mean=mean, se=error.se, df=error.df,
        low=low, high=high, se_both=error.se_both, low_both=low_both, high_both=high_both,
    )  # fmt: skip


def judge(
    family: Sequence[Comparison],
    pools: Mapping[str, Pool | None],
    *,
    confidence: float = 0.9,
    rate: float = 0.1,
    margin: float = MARGIN,
) -> list[Judgement]:
    """Judge the comparisons that are shown together.

    Args:
        family: All of them.
        pools: The noise of each study; a study without an entry has none.
        confidence: Coverage of the intervals that are not adjusted, in (0, 1).
        rate: Expected share of false ones among the differences that are called not zero, in (0, 1).
        margin: A smaller difference does not matter in practice.

    Returns:
        A judgement for each, in the same order.
    """
    priors = expected(family, pools)
    facts = [_measured(c, pools.get(c.pool), p, confidence) for c, p in zip(family, priors, strict=True)]
    p_values = sorted(f.p for f in facts if f.p is not None)
    size = len(p_values)
    selected = max((k for k, p in enumerate(p_values, 1) if p <= rate * k / size), default=0)
    level = 1 - rate * max(1, selected) / max(1, size)
    return [_judgement(c, f, size, level, confidence, margin) for c, f in zip(family, facts, strict=True)]


@dataclass(frozen=True)
class _Facts:
    """What one comparison shows by itself; the family adds the adjusted interval."""

    seeds: tuple[int, ...]
    mean_a: float | None
    mean_b: float | None
    estimate: float | None
    worst_case: float | None
    error: Error
    p: float | None
    given: tuple[Verdict, str] | None  # verdict and reason that need no interval
    spans: bool  # the kept seeds say ahead, a lost seed says behind


def _measured(c: Comparison, pool: Pool | None, prior: Prior | None, confidence: float) -> _Facts:
    a, b, lost = c.a.kept, c.b.kept, c.a.lost
    seeds = tuple(sorted(a.keys() & b.keys()))
    given = _given(c, seeds)
    if not seeds:
        return _Facts(seeds, None, None, None, None, Error(), None, given, False)
    difference = np.array([a[seed] - b[seed] for seed in seeds])
    mean = float(difference.mean())
    parts = _image_differences(c, seeds)
    error = Error.of(difference, 2 - c.a.deterministic - c.b.deterministic, pool, parts, c.a.cell, prior)
    counted = [-b[seed] for seed in lost if seed in b]
    worst = (mean * len(seeds) + sum(counted)) / (len(seeds) + len(counted)) if counted else None
    low, _ = error.deciding(mean, confidence, c.other_images)
    spans = worst is not None and worst <= 0 and low is not None and low > 0
    p = None if given else 1.0 if spans else error.p(mean if worst is None else worst, c.other_images)
    mean_a, mean_b = (float(np.mean([side[seed] for seed in seeds])) for side in (a, b))
    return _Facts(seeds, mean_a, mean_b, mean, worst, error, p, given, spans)


def _image_differences(c: Comparison, seeds: tuple[int, ...]) -> np.ndarray | None:
    """What each image adds to the difference on each seed; None where both did not see the same images."""
    a, b = (contributions(side, seeds) for side in (c.a, c.b))
    if (
        a is None
        or b is None
        or c.a.cell is None
        or c.b.cell is None
        or not np.array_equal(c.a.cell, c.b.cell)
    ):
        return None
    return a - b


def _given(c: Comparison, seeds: tuple[int, ...]) -> tuple[Verdict, str] | None:
    """Verdicts that no interval is needed for."""
    if not c.a.values and not c.a.outcomes:
        return "missing", "never ran"
    if not c.b.values and not c.b.outcomes:
        return "missing", "the other side never ran"
    lost = [(len(side.lost), len(side.lost) + len(side.kept)) for side in (c.a, c.b)]
    most = [2 * n >= ran > 0 for n, ran in lost]
    if any(most):
        said = [f"diverged on {n} of {ran} seeds" for n, ran in lost]
        return "diverges", " and ".join(
            text for text, there in zip([said[0], f"the other side {said[1]}"], most, strict=True) if there
        )
    if not seeds:
        pruned = _pruned(c)
        return ("undecided", f"stopped early on {pruned} seeds") if pruned else ("missing", "no common seed")
    if not c.a.lost and _identical(c, seeds):
        return "no effect", f"identical on {_share(len(seeds), c)}"
    return None


def _identical(c: Comparison, seeds: tuple[int, ...]) -> bool:
    """Whether the runs are the same; one accuracy may be equal by chance, where there are few images."""
    if any(abs(c.a.kept[seed] - c.b.kept[seed]) > NO_WIDTH for seed in seeds):
        return False
    parts = _image_differences(c, seeds)
    return len(seeds) > 1 if parts is None else not parts.any()


def _pruned(c: Comparison) -> int:
    return len({s for side in (c.a, c.b) for s, how in side.outcomes.items() if how == "pruned"})


def _share(n: int, c: Comparison) -> str:
    """Return `3 seeds`, or `2 of 3 seeds` where fewer than planned are common."""
    if n < c.seeds_planned:
        return f"{n} of {c.seeds_planned} seeds"
    return f"{n} seed" + "s" * (n != 1)


def _judgement(
    c: Comparison, f: _Facts, size: int, level: float, confidence: float, margin: float
) -> Judgement:
    centre = f.estimate if f.worst_case is None else f.worst_case
    low = high = low_both = high_both = adjusted_low = adjusted_high = None
    if f.estimate is not None and centre is not None:
        low, high = f.error.over_seeds(f.estimate, confidence)
        low_both, high_both = f.error.over_both(f.estimate, confidence)
    if f.p is not None and f.estimate is not None and centre is not None:
        adjusted_low, _ = f.error.deciding(centre, level, c.other_images)
        _, adjusted_high = f.error.deciding(f.estimate if f.spans else centre, level, c.other_images)
    verdict, reason, needed = _verdict(c, f, adjusted_low, adjusted_high, level, margin)
    ran = [set(side.outcomes) | set(side.values) for side in (c.a, c.b)]
    return Judgement(
        seeds=f.seeds,
        seeds_planned=c.seeds_planned,
        diverged_a=len(c.a.lost),
        diverged_b=len(c.b.lost),
        pruned=_pruned(c),
        missing=max(0, c.seeds_planned - len(ran[0] & ran[1])),
        mean_a=f.mean_a,
        mean_b=f.mean_b,
        estimate=f.estimate,
        se=f.error.se,
        df=f.error.df,
        low=low,
        high=high,
        se_both=f.error.se_both,
        low_both=low_both,
        high_both=high_both,
        adjusted_low=adjusted_low,
        adjusted_high=adjusted_high,
        family_size=size,
        p=f.p,
        worst_case=f.worst_case,
        verdict=verdict,
        reason=reason,
        seeds_needed=needed,
    )


def _verdict(
    c: Comparison, f: _Facts, low: float | None, high: float | None, level: float, margin: float
) -> tuple[Verdict, str, int | None]:
    """Return the verdict, its reason, and the number of seeds that would decide."""
    if f.given:
        return *f.given, None
    if low is None or high is None:
        alone = "one seed, and no other configuration shows its noise"
        return "undecided", alone if len(f.seeds) == 1 else "no spread over seeds", None
    reason = _share(len(f.seeds), c)
    if f.worst_case is not None:
        lost, ran = len(c.a.lost), len(c.a.lost) + len(c.a.kept)
        reason = f"diverged on {lost} of {ran} seeds, counted as 0"
    if low > 0 or high < 0:
        if low >= -margin and high <= margin:
            return "negligible", reason, None
        return ("ahead" if low > 0 else "behind"), reason, None
    if low >= -margin and high <= margin:
        return "level", reason, None
    if f.worst_case is not None:
        return "undecided", reason, None
    needed = _seeds_needed(c, f, level, margin)
    many = f"needs more than {MOST_SEEDS} seeds" + ", or more images" * c.other_images
    wish = f"needs about {needed} seeds" if needed else many
    short = f"{reason}; " if len(f.seeds) < c.seeds_planned else ""
    return "undecided", short + wish, needed


def _seeds_needed(c: Comparison, f: _Facts, level: float, margin: float) -> int | None:
    """Smallest number of seeds that would probably decide this estimate; None above `MOST_SEEDS`."""
    if f.error.se is None or f.estimate is None:
        return None
    n = len(f.seeds)
    more = np.arange(n + 1, MOST_SEEDS + 1)
    half = f.error.half_width(more / n, level, c.other_images, POWER_QUANTILE)
    size = abs(f.estimate)
    decided = np.flatnonzero((size >= half) | (size + half <= margin))
    return int(more[decided[0]]) if len(decided) else None
