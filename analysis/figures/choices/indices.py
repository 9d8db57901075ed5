"""Indices of the parameters of the whole space: Morris' elementary effects or Sobol's indices of a design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import stats as sensitivity
from ...look.words import count
from ...read.results import Results, Row, parameters_of, space_of
from ..rows import grouped, symbol_of

# Whole blocks only.
QUERY = """SELECT study, params, unit, seeds, if(state = 'COMPLETE', acc_personal_own, NULL) AS outcomes
FROM trials WHERE kind = 'design' AND point IS NOT NULL
QUALIFY count(DISTINCT point) OVER (PARTITION BY study, point // (len(unit) + $more)) = len(unit) + $more
ORDER BY study, point"""


LIMITS = {"sobol": sensitivity.TOTAL_LIMIT, "morris": sensitivity.MU_LIMIT}  # of a total index; of mu*
BLOCKS = {"sobol": ("Saltelli block", "Saltelli blocks"), "morris": ("trajectory", "trajectories")}
MORE = {"sobol": 2, "morris": 1}  # points of a block beyond the number of parameters


@dataclass(frozen=True)
class DesignPoints:
    """The usable points of one study's design: whole blocks only."""

    study: str
    scenario: str
    kind: str  # `sobol` or `morris`
    names: list[str]  # parameters, in the design's order
    size: int  # points of a block
    params: list[Row]  # [n] parameters of each point, in the design's order
    unit: np.ndarray  # [n, k] the points in [0, 1]
    y: np.ndarray  # [n, seeds] accuracy, a fraction; NaN where a trial failed, diverged or was stopped
    planned: int  # blocks of the whole design
    log: frozenset[str] = frozenset()  # parameters that are drawn on a logarithmic scale

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

    A row per parameter: scenario, path, symbol, value, low, high (total index, or mu* as a fraction), other,
    other_low, other_high (first-order index, or sigma), mu (Morris), verdict, active (share of points) and
    seldom (active in too few blocks to be judged).
    """

    points: DesignPoints
    rows: list[Row]
    dropped: int  # blocks that were left out because one of their runs failed or diverged
    reason: str  # why the indices are withheld; empty where they are shown
    noise: str = ""  # what the seeds say about run noise, in words
    lost: tuple[str, ...] = ()  # in which ranges points failed or diverged, in words


def query_shown(results: Results, design: DesignPoints) -> str:
    """Return the query of the points as a page prints it."""
    return results.shown(QUERY, more=MORE[design.kind])


def points_of(results: Results) -> list[DesignPoints]:
    """Return the designs of all studies, as far as they have been run."""
    design, spaces = results.meta.get("design") or {}, results.meta.get("spaces") or []
    if not design:
        return []
    by_study = grouped(results.sql(QUERY, more=MORE[design["kind"]]), "study")
    return [
        _study_points(design, study, factors, by_study.get(study, []))
        for study, factors in (design.get("factors") or {}).items()
        if not results.space or space_of(study, spaces) == results.space
    ]


def _study_points(design: Row, study: str, factors: Sequence[Row], rows: Sequence[Row]) -> DesignPoints:
    names, kind = [str(factor["path"]) for factor in factors], str(design["kind"])
    size = len(names) + MORE[kind]
    seeds = sorted({seed for row in rows for seed in row["seeds"] or []}) or [0]
    outcomes = [dict(zip(row["seeds"] or [], row["outcomes"] or [], strict=False)) for row in rows]
    y = np.array([[found.get(seed) for seed in seeds] for found in outcomes], float)
    return DesignPoints(
        study=study,
        scenario=study.rpartition(" | ")[2],
        kind=kind,
        names=names,
        size=size,
        params=[parameters_of(row) for row in rows],
        unit=np.array([row["unit"] for row in rows], float).reshape(len(rows), len(names)),
        y=y.reshape(len(rows), len(seeds)),
        planned=max(len(rows) // size, int((design.get("N") or {}).get(study, 0))),
        log=frozenset(str(factor["path"]) for factor in factors if factor.get("log")),
    )


def estimate(results: Results, points: DesignPoints) -> Estimate:
    """Return the indices of one study's design."""
    kind, names = points.kind, points.names
    if points.blocks < 2:
        blocks = count(points.blocks, *BLOCKS[kind])
        return Estimate(points, [], 0, f"{blocks} of {points.planned} finished; it takes two")
    found: Any
    if kind == "sobol":
        found = sensitivity.sobol_indices(points.y, names, confidence=results.confidence)
        main, beside, signed = found.total, found.first, [None] * len(found.total)
        noise = f"run noise is {found.noise:.0%} of the variance and is taken out" if found.noise else ""
    else:
        levels = int(results.meta["design"].get("levels") or 4)
        found = sensitivity.morris_effects(points.unit, points.y, names, levels, results.confidence)
        main, beside, signed = found.mu_star, found.sigma, [index.value for index in found.mu]
        noise = f"run noise alone shows {100 * found.noise:.1f} points of mu*" if found.noise else ""
    if found.noise is None:
        noise = "one seed a point does not show the run noise, so fewer parameters can be shown to matter"
    active, met = sensitivity.active_shares(points.params, names), points.blocks - found.dropped
    rows = []
    for index, other, mu in zip(main, beside, signed, strict=True):
        seldom = sensitivity.rarely_active(active[index.name], met)
        rows.append(
            {
                **{"scenario": points.scenario, "path": index.name, "symbol": symbol_of(results, index.name)},
                **{"value": index.value, "low": index.low, "high": index.high, "mu": mu},
                **{"other": other.value, "other_low": other.low, "other_high": other.high},
                **{"active": active[index.name], "seldom": seldom},
                "verdict": "undecided" if seldom else sensitivity.verdict(index, LIMITS[kind]),
            }
        )
    rows.sort(key=lambda row: -row["value"])
    return Estimate(points, rows, found.dropped, found.reason, noise, tuple(_lost(results, points)))


def _lost(results: Results, points: DesignPoints) -> Iterator[str]:
    """Say in which ranges clearly more points failed or diverged: `lr from 0.1 to 1: 12 of 40 points`."""
    for found in sensitivity.lost_ranges(points.unit, ~np.isfinite(points.means), points.names):
        x = points.unit[:, points.names.index(found.name)]
        inside = (x >= found.low - 1e-9) & (x < found.high - 1e-9 if found.high < 1 else x <= 1)
        params = [points.params[i] for i in np.flatnonzero(inside)]
        values = [point[found.name] for point in params if found.name in point]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            place = f"from {min(values):.3g} to {max(values):.3g}" if values else ""
        else:
            place = " or ".join(map(str, dict.fromkeys(values)))
        if place:
            yield f"{symbol_of(results, found.name)} {place}: {found.lost} of {found.points} points"
