"""Seeds of a sweep: no purpose shares one with another, and no sweep with a sweep of another base seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import get_args

import pytest

from raysim.search.seeds import MOST_SEEDS, WIDTH, Purpose, drawn_seeds

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


@pytest.mark.parametrize("base_seed", [0, 7, 10**6, 2**30 + 5, 2**31 - 3])
def test_the_seeds_of_a_sweep_are_distinct(base_seed: int) -> None:
    seeds = [seed for purpose in PURPOSES for seed in drawn_seeds(base_seed, purpose, MOST_SEEDS)]
    assert len(set(seeds)) == len(seeds) == 3 * MOST_SEEDS
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_drawn_seeds_increase_and_begin_alike(purpose: Purpose) -> None:
    seeds = drawn_seeds(3, purpose, MOST_SEEDS)
    assert all(first < second for first, second in pairwise(seeds))
    assert drawn_seeds(3, purpose, 5) == seeds[:5]


def test_sweeps_with_other_base_seeds_share_no_seed_beyond_chance() -> None:
    """Of 2001 sweeps, what is selected on in one is nothing that another one confirms or races on.

    Within a purpose, two sweeps agree in a seed as often as two draws of `WIDTH` values do.
    """
    used: dict[int, set[Purpose]] = {}
    counts: Counter[int] = Counter()
    for base_seed in range(2001):
        for purpose in PURPOSES:
            for seed in drawn_seeds(base_seed, purpose, 3):
                used.setdefault(seed, set()).add(purpose)
                counts[seed] += 1
    assert all(len(purposes) == 1 for purposes in used.values())
    expected = 3 * len(PURPOSES) * 2001 * 2000 / 2 / WIDTH  # 8.6 equal pairs, with a Poisson spread of 2.9
    assert sum(count * (count - 1) // 2 for count in counts.values()) < expected + 4 * expected**0.5


def test_the_seeds_of_the_first_sweep_stay_what_they_are() -> None:
    """Results name their seeds, so these numbers may not change."""
    assert drawn_seeds(0, "confirmation", 2) == (1611304845, 1613681521)
    assert drawn_seeds(0, "race", 2) == (1074165105, 1075900062)
    assert drawn_seeds(0, "selection", 2) == (536997727, 539202068)
