"""Indices of the parameters of the whole space: Morris' elementary effects or Sobol's indices of a design."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import stats as sensitivity
from ...look.words import count, points
from ...read.results import Results, Row, parameters_of, space_of
from ..rows import grouped, symbol_of, two_digits

# Whole blocks only.
QUERY = """SELECT study, params, unit, seeds, if(state = 'COMPLETE', acc_personal_own, NULL) AS outcomes
FROM trials WHERE kind = 'design' AND point IS NOT NULL
QUALIFY count(DISTINCT point) OVER (PARTITION BY study, point // (len(unit) + $more)) = len(unit) + $more
ORDER BY study, point"""


@dataclass(frozen=True)
class Kind:
    """Words and numbers of a kind of design."""

    title: str
    block: str  # points that share coordinates
    blocks: str
    more: int  # points of a block beyond the number of parameters
    limit: float  # of a total index, or of mu*
    unit: float  # what the x axis shows for 1
    axis: str
    form: Callable[[float | None], str]  # writes an index
    columns: tuple[str, ...]  # names of the indices in the table


KINDS = {
    "sobol": Kind(
        title="Shares of the variance (Sobol)",
        block="Saltelli block",
        blocks="Saltelli blocks",
        more=2,
        limit=sensitivity.TOTAL_LIMIT,
        unit=1.0,
        axis="share of the variance (Sobol index)",
        form=two_digits,
        columns=("total index", "first-order index"),
    ),
    "morris": Kind(
        title="Elementary effects (Morris)",
        block="trajectory",
        blocks="trajectories",
        more=1,
        limit=sensitivity.MU_LIMIT,
        unit=100.0,
        axis="mean absolute effect (mu*), points",
        form=points,
        columns=("mu*, points", "sigma", "mu"),
    ),
}


@dataclass(frozen=True)
class DesignPoints:
    """The usable points of one study's design: whole blocks only.

    Attributes:
        study: The study.
        scenario: Its scenario.
        kind: A key of `KINDS`.
        names: Parameters, in the design's order.
        size: Points of a block.
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


def query_shown(results: Results, design: DesignPoints) -> str:
    """Return the query of the points as a page prints it."""
    return results.shown(QUERY, more=KINDS[design.kind].more)


def points_of(results: Results) -> list[DesignPoints]:
    """Return the designs of all studies, as far as they have been run."""
    design, spaces = results.meta.get("design") or {}, results.meta.get("spaces") or []
    if not design:
        return []
    by_study = grouped(results.sql(QUERY, more=KINDS[design["kind"]].more), "study")
    return [
        _study_points(design, study, factors, by_study.get(study, []))
        for study, factors in (design.get("factors") or {}).items()
        if not results.space or space_of(study, spaces) == results.space
    ]


def _study_points(design: Row, study: str, factors: Sequence[Row], rows: Sequence[Row]) -> DesignPoints:
    names, kind = [str(factor["path"]) for factor in factors], str(design["kind"])
    size = len(names) + KINDS[kind].more
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
    kind, names = KINDS[points.kind], points.names
    if points.blocks < 2:
        blocks = count(points.blocks, kind.block, kind.blocks)
        return Estimate(points, [], 0, f"{blocks} of {points.planned} finished; it takes two")
    found: Any
    if points.kind == "sobol":
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
                "verdict": "undecided" if seldom else sensitivity.verdict(index, kind.limit),
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
