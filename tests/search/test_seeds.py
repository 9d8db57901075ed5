"""Seeds of a sweep: no purpose shares one with another, and no sweep with a sweep of another base seed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from raysim.search.seeds import MOST_SEEDS, DrawnPurpose, drawn_seeds, selection_seeds

PURPOSES: tuple[DrawnPurpose, ...] = ("race", "confirmation")


@pytest.mark.parametrize("base_seed", [0, 7, 10**6, 2**30 + 5, 2**31 - 3])
def test_the_seeds_of_a_sweep_are_distinct(base_seed: int) -> None:
    seeds = [
        *selection_seeds(base_seed, MOST_SEEDS),
        *(seed for purpose in PURPOSES for seed in drawn_seeds(base_seed, purpose, MOST_SEEDS)),
    ]
    assert len(set(seeds)) == len(seeds) == 3 * MOST_SEEDS
    assert all(0 <= seed < 2**31 for seed in seeds[MOST_SEEDS:])


@pytest.mark.parametrize("purpose", PURPOSES)
def test_drawn_seeds_increase_and_begin_alike(purpose: DrawnPurpose) -> None:
    seeds = drawn_seeds(3, purpose, MOST_SEEDS)
    assert all(first < second for first, second in pairwise(seeds))
    assert drawn_seeds(3, purpose, 5) == seeds[:5]


def test_a_seed_that_collides_is_drawn_again() -> None:
    """A base seed at or shortly before a drawn one makes this one a selection seed."""
    for purpose in PURPOSES:
        plain = drawn_seeds(0, purpose, 3)
        for seed in plain:
            for base_seed in range(seed - 2, seed + 1):
                assert not set(drawn_seeds(base_seed, purpose, 3)) & set(
                    selection_seeds(base_seed, MOST_SEEDS)
                )


def test_sweeps_with_other_base_seeds_share_no_drawn_seed() -> None:
    seeds = [seed for base in range(50) for purpose in PURPOSES for seed in drawn_seeds(base, purpose, 5)]
    assert len(set(seeds)) == len(seeds)


def test_the_seeds_of_the_first_sweep_stay_what_they_are() -> None:
    """Results name their seeds, so these numbers may not change."""
    assert drawn_seeds(0, "confirmation", 2) == (1611304845, 1613681521)
    assert drawn_seeds(0, "race", 2) == (1074165105, 1075900062)
