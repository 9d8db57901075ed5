"""Indices of the parameters of the whole space: Morris' elementary effects or Sobol's indices of a design."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import stats as sensitivity
from ...look.words import count
from ...read.results import Results, Row, parameters_of, space_of
from ..rows import symbol_of, symbols_of

LIMITS = {"sobol": sensitivity.TOTAL_LIMIT, "morris": sensitivity.MU_LIMIT}  # of a total index; of mu*
BLOCK_NAMES = {"sobol": "Saltelli block", "morris": "trajectory"}
QUERY = """SELECT study, point, unit, params, state, seeds, acc_personal_own AS outcomes
FROM trials WHERE kind = 'design' AND point IS NOT NULL ORDER BY study, point"""


@dataclass(frozen=True)
class DesignPoints:
    """The usable points of one study's design: whole blocks only.

    Attributes:
        study: The study.
        scenario: Its scenario.
        kind: `sobol` or `morris`.
        names: Parameters, in the design's order.
        size: Points of a block (Sobol) or of a trajectory (Morris).
        params: [n] parameters of each point, in the design's order.
        unit: [n, k] the points in [0, 1].
        y: [n, seeds] accuracy, a fraction; NaN where a trial failed, diverged or was stopped.
        planned: Blocks of the whole design.
        log: Parameters that are drawn on a logarithmic scale.
    """

    study: str
    scenario: str
    kind: str
    names: list[str]
    size: int
    params: list[Row]
    unit: np.ndarray
    y: np.ndarray
    planned: int
    log: frozenset[str] = frozenset()

    @property
    def blocks(self) -> int:
        """Number of whole blocks that have been run."""
        return len(self.params) // self.size

    @property
    def means(self) -> np.ndarray:
        """Mean accuracy of each point over its seeds, [n]; NaN where all are lost."""
        return sensitivity.mean_and_noise(self.y)[0]


@dataclass(frozen=True)
class Estimate:
    """Indices from a design.

    Attributes:
        points: The points of the design.
        rows: A row per parameter: scenario, path, symbol, value, low, high (total index, or mu* as a
            fraction), other, other_low, other_high (first-order index, or sigma), mu (Morris), verdict,
            active (share of points) and seldom (active in too few blocks to be judged).
        dropped: Blocks that were left out because one of their runs failed or diverged.
        reason: Why the indices are withheld; empty where they are shown.
        noise: What the seeds say about run noise, in words.
        lost: In which ranges points failed or diverged, in words.
    """

    points: DesignPoints
    rows: list[Row]
    dropped: int
    reason: str
    noise: str = ""
    lost: tuple[str, ...] = ()


def points_of(results: Results) -> list[DesignPoints]:
    """Return the designs of all studies, as far as they have been run."""
    design, spaces = results.meta.get("design") or {}, results.meta.get("spaces") or []
    by_study: dict[str, dict[int, Row]] = {}
    for row in results.sql(QUERY):
        by_study.setdefault(row["study"], {})[int(row["point"])] = row
    return [
        _study_points(design, study, factors, by_study.get(study, {}))
        for study, factors in (design.get("factors") or {}).items()
        if not results.space or space_of(study, spaces) == results.space
    ]


def _study_points(design: Row, study: str, factors: Sequence[Row], row_at: dict[int, Row]) -> DesignPoints:
    names, kind = [str(factor["path"]) for factor in factors], str(design["kind"])
    size = len(names) + 1 if kind == "morris" else len(names) + 2
    whole = [
        block
        for block in sorted({point // size for point in row_at})
        if all(block * size + i in row_at for i in range(size))
    ]
    rows = [row_at[block * size + i] for block in whole for i in range(size)]
    seeds = sorted({seed for row in rows for seed in row["seeds"] or []})
    y = np.full((len(rows), max(1, len(seeds))), math.nan)
    for i, row in enumerate(rows):
        if row["state"] == "COMPLETE":
            for seed, value in zip(row["seeds"], row["outcomes"] or [], strict=False):
                y[i, seeds.index(seed)] = math.nan if value is None else value
    return DesignPoints(
        study=study,
        scenario=study.rpartition(" | ")[2],
        kind=kind,
        names=names,
        size=size,
        params=[parameters_of(row) for row in rows],
        unit=np.array([row["unit"] for row in rows], float).reshape(len(rows), len(names)),
        y=y,
        planned=max(len(whole), int((design.get("N") or {}).get(study, 0))),
        log=frozenset(str(factor["path"]) for factor in factors if factor.get("log")),
    )


def estimate(results: Results, points: DesignPoints) -> Estimate:
    """Return the indices of one study's design."""
    if points.blocks < 2:
        blocks = count(points.blocks, BLOCK_NAMES[points.kind])
        return Estimate(points, [], 0, f"{blocks} of {points.planned} finished; it takes two")
    design, symbols = results.meta.get("design") or {}, symbols_of(results)
    found: Any
    signed: Sequence[sensitivity.Index] = ()
    if points.kind == "sobol":
        found = sensitivity.sobol_indices(points.y, points.names, confidence=results.confidence)
        main, beside = found.total, found.first
        noise = f"run noise is {found.noise:.0%} of the variance and is taken out" if found.noise else ""
    else:
        levels = int(design.get("levels") or 4)
        found = sensitivity.morris_effects(points.unit, points.y, points.names, levels, results.confidence)
        main, beside, signed = found.mu_star, found.sigma, found.mu
        noise = f"run noise alone shows {100 * found.noise:.1f} points of mu*" if found.noise else ""
    if found.noise is None:
        noise = "one seed a point does not show the run noise, so fewer parameters can be shown to matter"
    active = sensitivity.active_shares(points.params, points.names)
    met = points.blocks - found.dropped
    seldom = {name for name, share in active.items() if sensitivity.rarely_active(share, met)}
    mu = {index.name: index.value for index in signed}
    rows = [
        {
            "scenario": points.scenario,
            "path": index.name,
            "symbol": symbol_of(symbols, index.name),
            **{"value": index.value, "low": index.low, "high": index.high},
            **{"other": other.value, "other_low": other.low, "other_high": other.high},
            "mu": mu.get(index.name),
            "active": active[index.name],
            "seldom": index.name in seldom,
            "verdict": "undecided"
            if index.name in seldom
            else sensitivity.verdict(index, LIMITS[points.kind]),
        }
        for index, other in zip(main, beside, strict=True)
    ]
    rows.sort(key=lambda row: -row["value"])
    lost = tuple(_lost(points, symbols))
    return Estimate(points, rows, found.dropped, found.reason, noise, lost)


def _lost(points: DesignPoints, symbols: Row) -> list[str]:
    """Say in which ranges clearly more points failed or diverged: `lr from 0.1 to 1: 12 of 40 points`."""
    texts = []
    lost = ~np.isfinite(points.means)
    for found in sensitivity.lost_ranges(points.unit, lost, points.names):
        x = points.unit[:, points.names.index(found.name)]
        inside = (x >= found.low - 1e-9) & (x < found.high - 1e-9 if found.high < 1 else x <= 1)
        values = [
            points.params[i][found.name] for i in np.flatnonzero(inside) if found.name in points.params[i]
        ]
        if not values:
            continue
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        place = (
            f"from {min(values):.3g} to {max(values):.3g}"
            if numeric
            else " or ".join(map(str, dict.fromkeys(values)))
        )
        texts.append(f"{symbol_of(symbols, found.name)} {place}: {found.lost} of {found.points} points")
    return texts
