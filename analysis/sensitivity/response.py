"""How the outcome follows one parameter while all others vary: means in bins of its range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..stats import Interval, t_interval


@dataclass(frozen=True)
class Response:
    """One bin: its ends in [0, 1], the mean outcome with its interval (None where no finite outcome fell), rows that failed."""

    low: float
    high: float
    outcome: Interval | None
    dropped: int


def independent_rows(n: int, k: int, second_order: bool = False) -> np.ndarray:
    """Numbers of the rows A and B of a Saltelli design of n rows over k parameters: the ones that share no coordinate."""
    size = 2 * k + 2 if second_order else k + 2
    return np.flatnonzero(np.isin(np.arange(n) % size, (0, size - 1)))


def response(U: np.ndarray, Y: np.ndarray, j: int, bins: int, confidence: float = 0.9) -> tuple[Response, ...]:
    """The response curve of parameter j with Student's t intervals.

    Args:
        U: [m, k] independent points, e.g. a Saltelli design's at `independent_rows`; trajectories are not.
        Y: [m] outcomes; those that are not finite are left out and counted.
        j: The parameter's column.
        bins: Of equal width; for a choice, the number of its values, so that every bin is one of them.
        confidence: Nominal coverage, in (0, 1).

    Returns:
        The bins, from 0 to 1.
    """
    place = np.minimum((np.asarray(U)[:, j] * bins + 1e-9).astype(int), bins - 1)
    found = []
    for number in range(bins):
        outcomes = np.asarray(Y, float)[place == number]
        dropped = int((~np.isfinite(outcomes)).sum())
        found.append(Response(number / bins, (number + 1) / bins, t_interval(outcomes.tolist(), confidence), dropped))
    return tuple(found)
