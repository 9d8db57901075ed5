"""Seeds of the experiments of a sweep: for selection, for races and for confirmation.

All are drawn by address from (base seed, purpose, index), so that sweeps with other base seeds share none of
them, beyond chance. The three purposes draw from intervals of their own, so that the three sets of one sweep
have no seed in common.
"""

from __future__ import annotations

from typing import Literal, get_args

from raysim.core.seeds import derive

Purpose = Literal["selection", "race", "confirmation"]

MOST_SEEDS = 256  # largest number of seeds of one purpose
WIDTH = 2**21  # number of values that one seed is drawn from
# the intervals of the purposes fill [2**29, 2**31)
FIRST_VALUES: dict[Purpose, int] = {
    purpose: 2**29 + place * MOST_SEEDS * WIDTH for place, purpose in enumerate(get_args(Purpose))
}


def drawn_seeds(base_seed: int, purpose: Purpose, count: int) -> tuple[int, ...]:
    """Return the seeds of one purpose.

    Seed `index` is drawn from an interval of its own, so that seeds increase with the index, never collide
    with one another, and do not depend on how many are asked for.

    Args:
        base_seed: Seed of the space's base experiment.
        purpose: What they are for: configurations are compared and selected on `selection`, on `race` the
            best of them again, and on `confirmation` nothing is selected.
        count: How many, at most `MOST_SEEDS`.

    Returns:
        Seeds between 2**29 and 2**31.
    """
    return tuple(
        FIRST_VALUES[purpose] + index * WIDTH + derive(base_seed, purpose, index, 0) % WIDTH
        for index in range(count)
    )
