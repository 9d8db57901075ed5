"""Ranking of the finished trials of a study by the objectives of the search."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from raysim.core.columns import RESULT_COLUMNS
from raysim.search.options import OBJECTIVE, OBJECTIVES
from raysim.search.trial_spec import BATCH
from raysim.storage.trials import LOST, TrialRow, mean_of

KEPT_SHARE = 0.5  # share of the trials that go on at a rung
RUNGS = (0.25, 0.5)  # shares of the rounds at which trials are compared and pruned


def objective_values(row: TrialRow, objectives: Sequence[str]) -> list[float]:
    """Return the objectives of a row, each the mean over the seeds; NaN where there is no value.

    A seed that was lost counts as accuracy 0.
    """
    values = [row["objective"] if name == OBJECTIVE else mean_of(with_lost(row), name) for name in objectives]
    return [float("nan") if value is None else float(value) for value in values]


def with_lost(row: TrialRow) -> TrialRow:
    """Return a row whose accuracies are 0 at the seeds that were lost."""
    lost = [outcome in LOST for outcome in row["outcomes"] or ()]
    if not any(lost):
        return row
    values = cast(Mapping[str, Any], row)
    zeros = {
        name: [0.0 if gone else value for value, gone in zip(values[name], lost, strict=True)]
        for name in RESULT_COLUMNS
        if values.get(name)
    }
    return cast(TrialRow, {**values, **zeros})


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

    Every trial that reached a rung counts there, also one that was pruned or failed later: among the complete
    ones alone, which are the best, thresholds would rise from batch to batch. At the second rung only those
    count that today's threshold at the first one would let go on, because only such trials are compared.

    Args:
        rows: Earlier trials, however they ended.
        total_rounds: Rounds of a trial.
        every: Rounds between evaluations.

    Returns:
        The thresholds at a quarter and at half of the rounds, each where a batch of trials reached it.
    """
    rungs = sorted(
        {max(every, round(total_rounds * share / every) * every) for share in RUNGS} - {total_rounds}
    )
    curves = [dict(json.loads(row["curve"])) for row in rows]
    thresholds: dict[int, float] = {}
    for rung in rungs:
        curves = [curve for curve in curves if np.isfinite(curve.get(rung, np.nan))]
        if len(curves) < BATCH:
            break
        thresholds[rung] = float(np.quantile([curve[rung] for curve in curves], 1 - KEPT_SHARE))
        curves = [curve for curve in curves if curve[rung] >= thresholds[rung]]
    return thresholds
