"""Ranking of the finished trials of a study by the objectives of the search."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from raysim.search.options import OBJECTIVE, OBJECTIVES
from raysim.search.trial_spec import BATCH
from raysim.storage.trials import TrialRow, mean_of

KEPT_SHARE = 0.5  # share of the trials that go on at a rung
RUNGS = (0.25, 0.5)  # shares of the rounds at which trials are compared and pruned


def objective_values(row: TrialRow, objectives: Sequence[str]) -> list[float]:
    """Return the objectives of a row, each the mean over the seeds; NaN where there is no value."""
    values = [row["objective"] if name == OBJECTIVE else mean_of(row, name) for name in objectives]
    return [float("nan") if value is None else float(value) for value in values]


def is_complete(row: TrialRow, objectives: Sequence[str]) -> bool:
    """Return whether a trial is complete and has every objective.

    A method without a shared model, for example, has no shared accuracy.
    """
    return row["state"] == "COMPLETE" and bool(np.isfinite(objective_values(row, objectives)).all())


def score(row: TrialRow, objectives: Sequence[str]) -> float:
    """Return the first objective with the sign that makes a large score good."""
    return OBJECTIVES[objectives[0]] * objective_values(row, objectives)[0]


def undominated_rows(rows: Sequence[TrialRow], objectives: Sequence[str]) -> list[TrialRow]:
    """Return the Pareto front: rows than which no other row is better in one objective and as good in all."""
    signs = np.array([OBJECTIVES[name] for name in objectives])
    points = np.array([signs * objective_values(row, objectives) for row in rows])
    return [
        row
        for row, point in zip(rows, points, strict=True)
        if not ((points >= point).all(1) & (points > point).any(1)).any()
    ]


def pruning_thresholds(rows: Sequence[TrialRow], total_rounds: int, every: int) -> dict[int, float]:
    """Return round -> validation accuracy below which a trial is pruned: the median of the earlier trials.

    Args:
        rows: Earlier trials; those that are not complete are not used.
        total_rounds: Rounds of a trial.
        every: Rounds between evaluations.

    Returns:
        The thresholds at a quarter and at half of the rounds, each where a batch of trials reached it.
    """
    rungs = sorted(
        {max(every, round(total_rounds * share / every) * every) for share in RUNGS} - {total_rounds}
    )
    curves = [dict(json.loads(row["curve"])) for row in rows if row["state"] == "COMPLETE"]
    values = {rung: [curve[rung] for curve in curves if rung in curve] for rung in rungs}
    return {
        rung: float(np.quantile(at_rung, 1 - KEPT_SHARE))
        for rung, at_rung in values.items()
        if len(at_rung) >= BATCH
    }
