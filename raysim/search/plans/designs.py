"""Sensitivity designs: points of the unit cube from which Sobol indices or Morris effects are computed."""

from __future__ import annotations

import numpy as np

from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng

FEWEST_BLOCKS = 2  # fewer blocks or trajectories give no estimate of the spread
LEVELS = 4  # of a parameter in a Morris design


def sobol(k: int, budget: int, seed: int, second_order: bool = False) -> tuple[np.ndarray, int]:
    """Return Saltelli's design, in SALib's order of rows.

    A block has the rows A, A with one coordinate of B each, (B with one coordinate of A each,) and B. A and B
    are the halves of one Latin hypercube in 2k dimensions. A Sobol' sequence is not used for them: with few
    blocks their errors are shared, and no resampling of blocks shows that (`docs/sensitivity.md`).

    Args:
        k: Number of parameters, at least 1.
        budget: Largest number of rows.
        seed: Seed of the points.
        second_order: Whether the rows are added that the indices of pairs need.

    Returns:
        U: Points [n, k] in [0, 1].
        N: Number of blocks; n = N (k + 2), or N (2k + 2).

    Raises:
        UserError: The budget is less than two blocks.
    """
    size = 2 * k + 2 if second_order else k + 2
    blocks = _affordable("sobol", k, budget, size, "blocks")
    from scipy.stats import qmc

    base = qmc.LatinHypercube(2 * k, rng=numpy_rng(seed, "sobol")).random(blocks)
    a, b = base[:, :k], base[:, k:]
    design = np.empty((blocks, size, k))
    design[:, 0], design[:, -1] = a, b
    for j in range(k):
        design[:, 1 + j] = np.where(np.arange(k) == j, b, a)
        if second_order:
            design[:, 1 + k + j] = np.where(np.arange(k) == j, a, b)
    return design.reshape(-1, k), blocks


def morris(k: int, budget: int, seed: int, levels: int = LEVELS) -> tuple[np.ndarray, int]:
    """Return Morris' trajectories, as SALib makes them.

    A trajectory has k + 1 rows, and steps every coordinate once, up or down, by `levels / (2 levels - 2)`.

    Args:
        k: Number of parameters, at least 1.
        budget: Largest number of rows.
        seed: Seed of the trajectories.
        levels: Levels of a coordinate, an even number. A parameter with more values has some of them only.

    Returns:
        U: Points [n, k] in [0, 1].
        N: Number of trajectories; n = N (k + 1).

    Raises:
        UserError: The budget is less than two trajectories, or `levels` is odd or under 2.
    """
    if levels < 2 or levels % 2:
        raise UserError(f"morris: levels = {levels}; an even number of at least 2 is needed")
    count = _affordable("morris", k, budget, k + 1, "trajectories")
    from SALib.sample.morris import sample

    problem = {"num_vars": k, "names": [str(j) for j in range(k)], "bounds": [[0.0, 1.0]] * k}
    points = sample(problem, count, num_levels=levels, seed=numpy_rng(seed, "morris"))
    return np.clip(points, 0.0, 1.0), count


def _affordable(kind: str, k: int, budget: int, size: int, unit: str) -> int:
    """Return how many blocks or trajectories of `size` rows the budget allows."""
    if k < 1:
        raise UserError(f"{kind}: a design of {k} parameters; at least 1 is needed")
    if budget < FEWEST_BLOCKS * size:
        raise UserError(
            f"{kind}: a budget of {budget} rows; {k} parameters need at least {FEWEST_BLOCKS * size} "
            f"({FEWEST_BLOCKS} {unit} of {size} rows)"
        )
    return budget // size
