"""Pass, degrade or break, and the level from which an entry is broken."""

from __future__ import annotations

import math

import pytest

from analysis.stats.comparisons import Comparison, Judgement, Pool, Sample, judge
from analysis.stats.judgements import LevelVerdict, breaking_level, level_verdict


def sample(value: float, spread: float = 0.004) -> Sample:
    values = {s: value + shift for s, shift in enumerate((-spread, spread / 2, spread / 2))}
    how = "complete" if math.isfinite(value) else "diverged"
    return Sample(values=values, outcomes=dict.fromkeys(values, how))


def judged(entry: float, *others: float) -> list[Judgement]:
    """Entry at one level against others, with the noise of all of them."""
    spreads = (0.004, -0.003, 0.002, 0.005)
    samples = [sample(v, spread) for v, spread in zip((entry, *others), spreads, strict=False)]
    family = [Comparison(a=samples[0], b=b, pool="s", seeds_planned=3) for b in samples[1:]]
    return judge(family, {"s": Pool.of(samples)}, margin=0.05)


@pytest.mark.parametrize(
    ("entry", "mildest", "verdict"),
    [
        (0.72, 0.73, "pass"),
        (0.60, 0.90, "degrade"),  # as good as its references, and 30 points below itself
        (0.57, 0.58, "pass"),
        (0.53, 0.60, "degrade"),
        (0.40, 0.72, "break"),
        (math.nan, 0.72, "break"),
    ],
)
def test_a_level_passes_only_if_little_is_lost(entry: float, mildest: float, verdict: str) -> None:
    *references, change = judged(entry, 0.60, 0.55, mildest)
    assert level_verdict(references, change) == verdict


def test_the_mildest_level_and_what_did_not_run() -> None:
    assert level_verdict(judged(0.7, 0.6, 0.55), None) == "pass"
    empty = Sample(values={}, outcomes={})
    missing = judge([Comparison(a=empty, b=sample(0.6), pool="", seeds_planned=3)], {})
    assert level_verdict(missing, None) == "not run" and level_verdict([], None) == "not run"


def test_a_reference_that_diverged_is_no_bar() -> None:
    assert level_verdict(judged(0.7, 0.6, math.nan), None) == "pass"
    assert level_verdict(judged(0.5, 0.6, math.nan), None) == "degrade"


@pytest.mark.parametrize(
    ("verdicts", "broke", "passed", "alone"),
    [
        (["pass", "degrade", "break", "break"], 2, 0, ()),
        (["pass", "break", "pass", "break"], 3, 2, (1,)),
        (["pass", "break", "undecided"], None, 0, (1,)),
        (["pass", "break", "not run"], 1, 0, ()),
        (["break", "break"], 0, None, ()),
        (["pass", "pass"], None, 1, ()),
        (["not run"], None, None, ()),
    ],
)
def test_the_breaking_level_is_tested_from_the_severest_on(
    verdicts: list[LevelVerdict], broke: int | None, passed: int | None, alone: tuple[int, ...]
) -> None:
    found = breaking_level(verdicts)
    assert (found.broke, found.passed, found.alone) == (broke, passed, alone)
