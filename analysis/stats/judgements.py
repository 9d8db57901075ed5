"""What is compared, and what is known of it: the records of `comparisons`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .pools import Sample

Verdict = Literal["ahead", "behind", "negligible", "level", "no effect", "diverges", "undecided", "missing"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One configuration beside another.

    Attributes:
        a: The one that is judged.
        b: What it is compared with.
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
            have a p value; the verdict is read from it.
        adjusted_high: Its upper end.
        p: Two-sided p value of no difference over `seeds`.
        worst_case: The estimate with seeds that one side lost counted as its accuracy 0; None where none was
            lost.
        verdict: What is shown.
        reason: Why, in one clause.
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
