"""Indices of the parameters of the whole space: Morris' elementary effects or Sobol's indices of a design."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ... import stats as sensitivity
from ...look.words import count
from ...read.queries import parts
from ...read.results import OBJECTIVE, Results, Row, by_seed, parameters_of, space_of
from ..rows import symbol_of, symbols_of

LIMITS = {
    "sobol": sensitivity.TOTAL_LIMIT,
    "morris": sensitivity.MU_LIMIT,
}  # of a total index; of mu*, in accuracy


BLOCK_NAMES = {"sobol": "Saltelli block", "morris": "trajectory"}


QUERY = f"""SELECT study, point, unit, state, list_avg(acc_personal_own) AS y, params FROM {parts("trials")}
WHERE kind = 'design' ORDER BY study, point"""


@dataclass(frozen=True)
class DesignPoints:
    """The usable points of one study's design: whole blocks only.

    Attributes:
        kind: `sobol` or `morris`.
        names: Parameters, in the design's order.
        size: Points of a block (Sobol) or of a trajectory (Morris).
        trials: The trials of all whole blocks, in the design's order.
        unit: [n, k] the points in [0, 1].
        y: [n] accuracy, a fraction; NaN where a trial failed, diverged or was stopped.
        planned: Blocks of the whole design.
        log: Parameters that are drawn on a logarithmic scale.
    """

    study: str
    scenario: str
    kind: str
    names: list[str]
    size: int
    trials: list[Row]
    unit: list[list[float]]
    y: list[float]
    planned: int
    log: frozenset[str] = frozenset()

    @property
    def blocks(self) -> int:
        """Number of whole blocks that have been run."""
        return len(self.trials) // self.size


def points_of(results: Results, metric: str = OBJECTIVE) -> list[DesignPoints]:
    """Return the designs of all studies, as far as they have been run."""
    design = results.meta.get("design") or {}
    spaces = results.meta.get("spaces") or []
    return [
        _study_points(results, study, factors, metric)
        for study, factors in (design.get("factors") or {}).items()
        if not results.space or space_of(study, spaces) == results.space
    ]


def _study_points(results: Results, study: str, factors: Sequence[Row], metric: str) -> DesignPoints:
    design = results.meta.get("design") or {}
    names, kind = [str(factor["path"]) for factor in factors], str(design["kind"])
    size = len(names) + 1 if kind == "morris" else len(names) * (2 if design.get("second_order") else 1) + 2
    trial_at = {
        int(trial["point"]): trial
        for trial in results.trials
        if trial["kind"] == "design" and trial["study"] == study and trial.get("point") is not None
    }
    blocks = [
        block
        for block in sorted({point // size for point in trial_at})
        if all(block * size + i in trial_at for i in range(size))
    ]
    trials = [trial_at[block * size + i] for block in blocks for i in range(size)]
    return DesignPoints(
        study=study,
        scenario=study.rpartition(" | ")[2],
        kind=kind,
        names=names,
        size=size,
        trials=trials,
        unit=[list(trial["unit"]) for trial in trials],
        y=[_mean_value(trial, metric) for trial in trials],
        planned=max(len(blocks), int((design.get("N") or {}).get(study, 0))),
        log=frozenset(str(factor["path"]) for factor in factors if factor.get("log")),
    )


def _mean_value(trial: Row, metric: str) -> float:
    """Return the mean of a finished trial over its seeds, else NaN."""
    values = list(by_seed(trial, metric).values()) if trial["state"] == "COMPLETE" else []
    return sum(values) / len(values) if values else math.nan


@dataclass(frozen=True)
class Estimate:
    """Indices from a design: a row per parameter, the pairs, and the reason where there are none.

    Attributes:
        points: The points of the design.
        rows: See `estimate`.
        pairs: See `estimate`.
        dropped: Blocks that were left out because one of their runs failed or diverged.
        reason: Why the indices are withheld; empty where they are shown.
    """

    points: DesignPoints
    rows: list[Row]
    pairs: list[Row]
    dropped: int
    reason: str


def estimate(results: Results, points: DesignPoints) -> Estimate:
    """Return the indices of one study's design.

    Args:
        results: The sweep.
        points: The study's points.

    Returns:
        Rows with scenario, path, symbol, value, low, high (total index, or mu* as a fraction), other,
        other_low, other_high (first-order index, or sigma), mu (Morris), verdict, active (share of points)
        and seldom (active in too few blocks for its interval to be relied on, so undecided); pairs with
        names, value, low, high (second-order indices).
    """
    if points.blocks < 2:
        blocks = count(points.blocks, BLOCK_NAMES[points.kind])
        return Estimate(points, [], [], 0, f"{blocks} of {points.planned} finished; it takes two")
    indices = (_sobol if points.kind == "sobol" else _morris)(results, points)
    other = {index.name: index for index in indices.other}
    active = sensitivity.active_shares([parameters_of(trial) for trial in points.trials], points.names)
    met_blocks = points.blocks - indices.dropped
    seldom = {name for name, share in active.items() if sensitivity.rarely_active(share, met_blocks)}
    symbols = symbols_of(results)
    rows: list[Row] = []
    for index in indices.main:
        name, beside = index.name, other[index.name]
        verdict = "undecided" if name in seldom else sensitivity.verdict(index, LIMITS[points.kind])
        place = {"study": points.study, "scenario": points.scenario, "path": name}
        ends = {"other": beside.value, "other_low": beside.low, "other_high": beside.high}
        rows.append(
            {
                **place,
                "symbol": symbol_of(symbols, name),
                **{"value": index.value, "low": index.low, "high": index.high},
                **ends,
                "mu": indices.mu.get(name),
                "active": active[name],
                "seldom": name in seldom,
                "verdict": verdict,
            }
        )
    pairs = [_pair_row(points.scenario, index, seldom) for index in indices.pairs]
    rows.sort(key=lambda row: -row["value"])
    return Estimate(points, rows, pairs, indices.dropped, indices.reason)


@dataclass(frozen=True)
class _Indices:
    """Indices of a design: total index or mu*, first-order index or sigma, pairs (Sobol), mu (Morris)."""

    main: Sequence[sensitivity.Index]
    other: Sequence[sensitivity.Index]
    dropped: int
    reason: str
    pairs: Sequence[sensitivity.Index] = ()
    mu: Mapping[str, float] = field(default_factory=dict)


def _sobol(results: Results, points: DesignPoints) -> _Indices:
    second_order = bool((results.meta.get("design") or {}).get("second_order"))
    sobol = sensitivity.sobol_indices(
        np.array(points.y), points.names, second_order, confidence=results.confidence
    )
    return _Indices(sobol.total, sobol.first, sobol.dropped, sobol.reason, pairs=sobol.pairs)


def _morris(results: Results, points: DesignPoints) -> _Indices:
    levels = int((results.meta.get("design") or {}).get("levels") or 4)
    unit, y = np.array(points.unit), np.array(points.y)
    morris = sensitivity.morris_effects(unit, y, points.names, levels, confidence=results.confidence)
    mu = {index.name: index.value for index in morris.mu}
    return _Indices(morris.mu_star, morris.sigma, morris.dropped, morris.reason, mu=mu)


def _pair_row(scenario: str, index: sensitivity.Index, seldom: set[str]) -> Row:
    """Return the row of a pair; a pair with a parameter that is active too seldom is undecided."""
    met_often = not seldom & set(index.name.split(" x "))
    verdict = sensitivity.verdict(index, LIMITS["sobol"]) if met_often else "undecided"
    ends = {"value": index.value, "low": index.low, "high": index.high}
    return {"scenario": scenario, "names": index.name, **ends, "verdict": verdict}
