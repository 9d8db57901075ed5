"""Racing: one more seed at a time goes to the configurations that are still in question.

The best `candidates` of a search meet on seeds that the search never saw. After each seed (from the second
on) the leader's paired differences to every other are tested, one-sided, by Student's t; who is behind at the
level

    error / ((candidates - 1) * (seeds - 1))

is out. The best configuration can only fall out by a test of another against it, at one of at most `seeds -
1` looks: so, by Bonferroni's inequality, it falls out with a probability of at most `error`, as far as
differences between seeds are normal. Whoever leads when the seeds are used up is taken; that one is undecided
against the others that are left.

Reference: Maron and Moore, "Hoeffding Races", NIPS 1993; Birattari et al., "A Racing Algorithm for
    Configuring Metaheuristics", GECCO 2002.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

RACE = 500  # race seeds are this far from the selection seeds


@dataclass(frozen=True)
class Race:
    """The rule of a race.

    Attributes:
        candidates: How many of the best configurations start.
        seeds: The most seeds that each gets; 0 = no race.
        error: The most likely share of races that drop the truly best.
    """

    candidates: int = 4
    seeds: int = 0
    error: float = 0.1

    @property
    def level(self) -> float:
        """Of a single test."""
        return self.error / (max(1, self.candidates - 1) * max(1, self.seeds - 1))

    @property
    def text(self) -> str:
        """The rule in a sentence."""
        return (
            f"The best {self.candidates} configurations by validation meet on up to {self.seeds} seeds "
            "that the search never saw; one that "
            f"is behind the leader in a paired one-sided t test at the level {self.level:.2g} is out. The "
            "truly best falls out in at most "
            f"{100 * self.error:g} % of races, where differences between seeds are normal. Who leads at "
            "the end is taken, and is "
            "not shown to be better than those that are left."
        )


def survivors(values: Mapping[str, Mapping[int, float]], race: Race) -> list[str]:
    """Who is still in the race, the leader first.

    Args:
        values: Candidate -> seed -> value, large is good; not finite where that run failed. Candidates that
            fell out have fewer seeds.
        race: The rule.

    Returns:
        The candidates that are left; empty when all failed.
    """
    alive = list(values)
    for look in range(1, max((len(seen) for seen in values.values()), default=0) + 1):
        rows = {
            name: np.array(list(values[name].values())[:look]) for name in alive if len(values[name]) >= look
        }
        alive = sorted(
            (name for name, row in rows.items() if np.isfinite(row).all()),
            key=lambda name: -float(rows[name].mean()),
        )
        alive = alive[:1] + [
            name for name in alive[1:] if not _behind(rows[alive[0]] - rows[name], race.level)
        ]
    return alive


def _behind(lead: np.ndarray, level: float) -> bool:
    """Whether a lead, one number per seed, is shown to be positive; seeds that agree to the last bit show nothing."""
    n = len(lead)
    if n < 2:
        return False
    error = float(lead.std(ddof=1)) / math.sqrt(n)
    return error > 1e-12 and float(stdtr(n - 1, -float(lead.mean()) / error)) < level
