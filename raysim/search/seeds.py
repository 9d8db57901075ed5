"""Seeds of the experiments of a sweep: for selection, for races and for confirmation.

Selection counts up from the base seed. The other seeds are drawn by address from (base seed, purpose,
index), so that sweeps with other base seeds do not share them. The three sets of one sweep have no seed in
common.
"""

from __future__ import annotations

from typing import Literal

from raysim.core.seeds import derive

DrawnPurpose = Literal["race", "confirmation"]

MOST_SEEDS = 256  # largest number of seeds of one purpose
WIDTH = 2**21  # number of values that one seed is drawn from
FIRST_VALUES: dict[DrawnPurpose, int] = {"race": 2**30, "confirmation": 2**30 + MOST_SEEDS * WIDTH}


def selection_seeds(base_seed: int, count: int) -> tuple[int, ...]:
    """Return the seeds on which configurations are compared and selected."""
    return tuple(range(base_seed, base_seed + count))


def drawn_seeds(base_seed: int, purpose: DrawnPurpose, count: int) -> tuple[int, ...]:
    """Return seeds on which nothing is selected.

    Seed `index` is drawn from an interval of its own, so that seeds increase with the index, never collide
    with one another, and do not depend on how many are asked for.

    Args:
        base_seed: Seed of the space's base experiment.
        purpose: What they are for.
        count: How many, at most `MOST_SEEDS`.

    Returns:
        Seeds between 2**30 and 2**31, none of them a selection seed.
    """
    selection, seeds = selection_seeds(base_seed, MOST_SEEDS), []
    for index in range(count):
        start, attempt = FIRST_VALUES[purpose] + index * WIDTH, 0
        while (seed := start + derive(base_seed, purpose, index, attempt) % WIDTH) in selection:
            attempt += 1
        seeds.append(seed)
    return tuple(seeds)
