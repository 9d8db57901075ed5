"""What is compared, and what is known of it: the records of `comparisons`. And where a method breaks.

All differences of a stress run are one family: every entry at every level against each reference at that
level, and against itself at the mildest level. `level_verdict` takes the judgements of one entry at one
level, `breaking_level` its verdicts from the mildest level to the severest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

NO_WIDTH = 1e-12  # a smaller spread over seeds is none: values that agree to the last bit
RAN = ("complete", "diverged", "failed")  # outcomes of a seed that was not stopped early
Verdict = Literal["ahead", "behind", "negligible", "level", "no effect", "diverges", "undecided", "missing"]
LevelVerdict = Literal["pass", "degrade", "break", "undecided", "not run"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One configuration on its seeds.

    Attributes:
        values: Seed -> accuracy, a fraction; NaN where the seed was lost.
        outcomes: Seed -> `complete`, `diverged`, `pruned` or `failed`.
        images: Seed -> [N] what each image of the split adds to the value; their sum is the value. Empty
            where images were not kept.
        cell: [N] stratum (class and domain) of each image.
        rule: Whether it is a rule without training. The noise of runs says nothing about it; it may differ
            from seed to seed, where clients hold other images.
        fixed: Whether it is the same on every seed by what it is, so that one seed tells all.
    """

    values: Mapping[int, float]
    outcomes: Mapping[int, str]
    images: Mapping[int, np.ndarray] = field(default_factory=dict)
    cell: np.ndarray | None = None
    rule: bool = False
    fixed: bool = False

    @cached_property
    def kept(self) -> dict[int, float]:
        """The seeds with a finite value."""
        return {
            seed: float(v)
            for seed, v in self.values.items()
            if v is not None and math.isfinite(v) and self.outcomes.get(seed, "complete") == "complete"
        }

    @property
    def lost(self) -> list[int]:
        """The seeds that diverged, failed, or ended without a finite number."""
        return [seed for seed, how in self.outcomes.items() if how in RAN and seed not in self.kept]

    @property
    def deterministic(self) -> bool:
        """Whether it has no noise over seeds: the same value on every seed.

        Two seeds may have one accuracy by chance, where there are few images; then the images tell.
        """
        values = list(self.kept.values())
        if not values or max(values) - min(values) > NO_WIDTH:
            return False
        if self.fixed or (self.rule and len(values) > 1):
            return True
        parts = [self.images[seed] for seed in self.kept if seed in self.images]
        return len(values) > 2 or (len(parts) == 2 and np.array_equal(parts[0], parts[1]))

    def contributions(self, seeds: Sequence[int]) -> np.ndarray | None:
        """What each image adds on these seeds, [seeds, images]; None where it was not kept for all."""
        rows = [self.images.get(seed) for seed in seeds]
        if self.cell is None or not rows or any(r is None or len(r) != len(self.cell) for r in rows):
            return None
        return np.array(rows, float)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One configuration beside another.

    Attributes:
        a: The one that is judged; `b` is what it is compared with.
        pool: Key of the study whose noise it has.
        seeds_planned: Number of seeds that were planned for both.
        other_images: Whether the verdict is to hold for other images of the same kind too, where images were
            kept: so on the test split. What a search compares is compared on its validation images.
        parts: Number of configurations whose accuracies each side adds up. Of several, a seed that one lost
            says nothing of the sum, and is not counted as 0.
    """

    a: Sample
    b: Sample
    pool: str
    seeds_planned: int
    other_images: bool = False
    parts: int = 1

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds on which both sides have a value, in order."""
        return tuple(sorted(self.a.kept.keys() & self.b.kept.keys()))

    @property
    def differences(self) -> np.ndarray:
        """What a has more than b on each of them, [seeds]."""
        return np.array([self.a.kept[seed] - self.b.kept[seed] for seed in self.seeds])

    @property
    def image_differences(self) -> np.ndarray | None:
        """What each image adds to them, [seeds, images]; None where both did not see the same images."""
        a, b = (side.contributions(self.seeds) for side in (self.a, self.b))
        if a is None or b is None or not np.array_equal(np.asarray(self.a.cell), np.asarray(self.b.cell)):
            return None
        return a - b


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How well a number is known, at the confidence of the report. None where there is no such number.

    Attributes:
        se: Standard error over seeds, for these images, with `df` degrees of freedom and the interval `low`,
            `high`; None for a rule that is the same on every seed.
        se_both: Standard error over seeds and images, with the interval `low_both`, `high_both`, which is
            never the narrower one; None where images were not kept.
    """

    se: float | None = None
    df: float | None = None
    low: float | None = None
    high: float | None = None
    se_both: float | None = None
    low_both: float | None = None
    high_both: float | None = None


@dataclass(frozen=True, kw_only=True)
class Estimate(Spread):
    """One accuracy, a fraction: the `values` of its `seeds`, and their mean; `lost` seeds have none."""

    seeds: tuple[int, ...] = ()
    lost: int = 0
    values: tuple[float, ...] = ()
    mean: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement(Spread):
    """A difference a - b with its verdict, in accuracy units (0 to 1). None where there is no such number.

    Attributes:
        seeds: Those on which both sides have a value; of `seeds_planned`. The sides lost `diverged_a` and
            `diverged_b` of them; either was stopped early on `pruned`, and never ran on `missing`.
        estimate: `mean_a` - `mean_b` over `seeds`.
        adjusted_low: Lower end of the interval that is adjusted for the `family_size` rows of the family that
            have a p value; `adjusted_high` is its upper end. The verdict is read from it.
        p: Two-sided p value of no difference over `seeds`.
        worst_case: The estimate with seeds that one side lost counted as its accuracy 0; None where none was
            lost.
        verdict: What is shown; `reason` says why, in one clause.
        seeds_needed: Where undecided, the number of seeds that would probably decide it.
    """

    seeds: tuple[int, ...]
    seeds_planned: int
    diverged_a: int
    diverged_b: int
    pruned: int
    missing: int
    mean_a: float | None = None
    mean_b: float | None = None
    estimate: float | None = None
    adjusted_low: float | None = None
    adjusted_high: float | None = None
    family_size: int = 0
    p: float | None = None
    worst_case: float | None = None
    verdict: Verdict
    reason: str
    seeds_needed: int | None = None

    @property
    def a_diverges(self) -> bool:
        """Whether it is a that lost at least half of its seeds; the reason begins with it."""
        return self.verdict == "diverges" and self.reason.startswith("diverged")


@dataclass(frozen=True)
class Breaking:
    """Where an entry breaks, as places in the order of the levels.

    Attributes:
        broke: The level from which on every level is a break; None where the severest is not shown to be one.
        passed: The last level before it that passes; None where none does.
        alone: Levels that are a break though a severer one is not: no breaking level follows from them.
    """

    broke: int | None
    passed: int | None
    alone: tuple[int, ...]


def level_verdict(
    references: Sequence[Judgement], change: Judgement | None, margin: float = 0.05
) -> LevelVerdict:
    """Return the verdict on an entry at one level; it may lose less than the margin, a fraction.

    Args:
        references: Entry minus reference, one for each reference of the case.
        change: Entry at this level minus itself at the mildest level; None at the mildest level.
        margin: A smaller loss of accuracy is allowed.

    Returns:
        `break` when the entry diverged on at least half of its seeds, or when the adjusted interval against
        every reference lies below -margin. `degrade` when that against some of them, or against its own
        mildest level, lies below. `pass` when all of them lie above -margin, so that 90 % that fall to 60 %
        do not pass because a reference stands at 60 %. `not run` where the entry has no seed. Else
        `undecided`.
    """
    beside = [*references, *([change] if change else [])]
    if any(j.a_diverges for j in beside):
        return "break"
    if not beside or all(j.verdict == "missing" for j in beside):
        return "not run"
    lost = [j.adjusted_high is not None and j.adjusted_high < -margin for j in beside]
    if references and all(lost[: len(references)]):
        return "break"
    if any(lost):
        return "degrade"
    return "pass" if references and all(_above(j, margin) for j in beside) else "undecided"


def breaking_level(verdicts: Sequence[LevelVerdict]) -> Breaking:
    """Find where one entry breaks.

    Levels are tested from the severest on, as long as each is a break. The first that is none ends the test.
    So a level that the entry still bears is called broken as seldom as in one test, however many there are.

    Args:
        verdicts: Of its levels, from the mildest to the severest. Levels that were not run are passed over.
    """
    run = [i for i, verdict in enumerate(verdicts) if verdict != "not run"]
    chain = list(itertools.takewhile(lambda i: verdicts[i] == "break", reversed(run)))
    broke = chain[-1] if chain else None
    passing = [i for i in run if verdicts[i] == "pass" and (broke is None or i < broke)]
    alone = tuple(i for i in run if verdicts[i] == "break" and i not in chain)
    return Breaking(broke, passing[-1] if passing else None, alone)


def _above(j: Judgement, margin: float) -> bool:
    """Whether a difference is shown to be no loss; none are identical runs, and a reference that diverged."""
    no_bar = j.verdict == "no effect" or (j.verdict == "diverges" and not j.a_diverges)
    return no_bar or (j.adjusted_low is not None and j.adjusted_low > -margin)
