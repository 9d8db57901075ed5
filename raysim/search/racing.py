"""Rule of a race: one more seed at a time for the configurations that the search leaves undecided.

The best `candidates` of a search are run on seeds that the search never saw. After each seed, from the
second on, the leader's paired differences to every other candidate are tested, one-sided, by Student's t. A
candidate that is behind at the level

    error / ((candidates - 1) * (seeds - 1))

is dropped. The best configuration can be dropped only by a test of another one against it, at one of at most
`seeds - 1` looks. So, by Bonferroni's inequality, it is dropped with a probability of at most `error`, as far
as differences between seeds are normal. The leader after the last seed wins; it is undecided against the
candidates that are left. A run that diverged counts as the worst value, because a seed that is left out would
make the configuration look better than it is.

Reference: Maron and Moore, "Hoeffding Races", NIPS 1993; Birattari et al., "A Racing Algorithm for
    Configuring Metaheuristics", GECCO 2002.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

NO_SPREAD = 1e-12  # standard errors up to this one come from rounding


@dataclass(frozen=True, kw_only=True)
class RaceRule:
    """The rule of a race.

    Attributes:
        candidates: Number of configurations that start, the best ones of the search.
        seeds: Largest number of seeds that each gets; 0 = no race.
        error: Largest probability of dropping the truly best configuration.
    """

    candidates: int = 4
    seeds: int = 0
    error: float = 0.1

    @property
    def level(self) -> float:
        """Significance level of one test."""
        return self.error / (max(1, self.candidates - 1) * max(1, self.seeds - 1))

    @property
    def text(self) -> str:
        """The rule in words, for the report."""
        return (
            f"The best {self.candidates} configurations by validation are run on up to {self.seeds} seeds "
            "that the search never saw. A configuration that is behind the leader in a paired one-sided t "
            f"test at the level {self.level:.2g} is dropped. The truly best one is dropped in at most "
            f"{100 * self.error:g} % of races, where differences between seeds are normal. The leader at the "
            "end is selected; it is not shown to be better than those that are left. A run that diverged "
            "counts as the worst."
        )


def survivors(values: Mapping[str, Mapping[int, float]], rule: RaceRule) -> list[str]:
    """Return the candidates that are still in the race, the leader first.

    Args:
        values: Candidate -> seed -> value. Large is good. A run that failed has a value that is not finite,
            and counts as the worst: as 0, or as the smallest value of all where that is negative.
            Candidates that were dropped have fewer seeds.
        rule: The rule.

    Returns:
        The candidates that are left.
    """
    finite = [value for by_seed in values.values() for value in by_seed.values() if math.isfinite(value)]
    worst, names = min([0.0, *finite]), list(values)
    for look in range(1, max((len(by_seed) for by_seed in values.values()), default=0) + 1):
        looks = {
            name: np.nan_to_num(
                np.array(list(values[name].values())[:look]), nan=worst, posinf=worst, neginf=worst
            )
            for name in names
            if len(values[name]) >= look
        }
        ranked = sorted(looks, key=lambda name: -float(looks[name].mean()))
        names = [
            name
            for name in ranked
            if name == ranked[0] or not _is_behind(looks[ranked[0]] - looks[name], rule.level)
        ]
    return names


def _is_behind(lead: np.ndarray, level: float) -> bool:
    """Return whether the leader's lead, one number per seed, is shown to be positive.

    Seeds that agree to the last bit show nothing.
    """
    n = len(lead)
    if n < 2:
        return False
    standard_error = float(lead.std(ddof=1)) / math.sqrt(n)
    return standard_error > NO_SPREAD and float(stdtr(n - 1, -float(lead.mean()) / standard_error)) < level
