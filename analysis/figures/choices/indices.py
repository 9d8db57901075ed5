"""Indices of the parameters of the whole space: Morris' elementary effects or Sobol's indices of a design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import stats as sensitivity
from ...look.marks import draw_range, name_rows
from ...look.page import Cell, Exhibit, Panel, Table, slug
from ...look.style import FAINT, INK, SOFT, VERDICTS, Figure, blank, drawing
from ...look.words import be, bracket, count, listing, points, shorten
from ...read.metric import Metric
from ...read.results import Results, Row, parameters_of, space_of
from ..exhibits import Draft, finished, numbers_of
from ..rows import Column, grouped, is_plain_number, symbol_of, two_digits

VERDICT_LOOKS = {"matters": "ahead", "does not matter": "level", "undecided": "undecided"}
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


def query_of(kind: str) -> str:
    """Return the SQL of the points of designs of a kind, whole blocks only."""
    return f"""SELECT study, params, unit, seeds, if(state = 'COMPLETE', acc_personal_own, NULL) AS outcomes
FROM trials WHERE kind = 'design' AND point IS NOT NULL
QUALIFY count(DISTINCT point) OVER (PARTITION BY study, point // (len(unit) + {MORE[kind]}))
  = len(unit) + {MORE[kind]}
ORDER BY study, point"""


def points_of(results: Results) -> list[DesignPoints]:
    """Return the designs of all studies, as far as they have been run."""
    design, spaces = results.meta.get("design") or {}, results.meta.get("spaces") or []
    if not design:
        return []
    by_study = grouped(results.sql(query_of(design["kind"])), "study")
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


def estimate(results: Results, design: DesignPoints) -> Estimate:
    """Return the indices of one study's design."""
    kind, names = design.kind, design.names
    if design.blocks < 2:
        blocks = count(design.blocks, *BLOCKS[kind])
        return Estimate(design, [], 0, f"{blocks} of {design.planned} finished; it takes two")
    found: Any
    if kind == "sobol":
        found = sensitivity.sobol_indices(design.y, names, confidence=results.confidence)
        main, beside, signed = found.total, found.first, [None] * len(found.total)
        noise = f"run noise is {found.noise:.0%} of the variance and is taken out" if found.noise else ""
    else:
        levels = int(results.meta["design"].get("levels") or 4)
        found = sensitivity.morris_effects(design.unit, design.y, names, levels, results.confidence)
        main, beside, signed = found.mu_star, found.sigma, [index.value for index in found.mu]
        noise = f"run noise alone shows {100 * found.noise:.1f} points of mu*" if found.noise else ""
    if found.noise is None and design.y.shape[1] == 1:
        noise = "one seed a point does not show the run noise, so fewer parameters can be shown to matter"
    active, met = sensitivity.active_shares(design.params, names), design.blocks - found.dropped
    rows = []
    for index, other, mu in zip(main, beside, signed, strict=True):
        seldom = sensitivity.rarely_active(active[index.name], met)
        verdict = "undecided" if seldom else sensitivity.verdict(index, LIMITS[kind])
        about = {"scenario": design.scenario, "path": index.name, "symbol": symbol_of(results, index.name)}
        first = {"value": index.value, "low": index.low, "high": index.high, "mu": mu}
        second = {"other": other.value, "other_low": other.low, "other_high": other.high}
        activity = {"active": active[index.name], "seldom": seldom}
        rows.append({**about, **first, **second, **activity, "verdict": verdict})
    rows.sort(key=lambda row: -row["value"])
    return Estimate(design, rows, found.dropped, found.reason, noise, tuple(_lost(results, design)))


def _lost(results: Results, design: DesignPoints) -> Iterator[str]:
    """Say in which ranges clearly more points failed or diverged: `lr from 0.1 to 1: 12 of 40 points`."""
    for found in sensitivity.lost_ranges(design.unit, ~np.isfinite(design.means), design.names):
        x = design.unit[:, design.names.index(found.name)]
        inside = (x >= found.low - 1e-9) & (x < found.high - 1e-9 if found.high < 1 else x <= 1)
        params = [design.params[i] for i in np.flatnonzero(inside)]
        values = [point[found.name] for point in params if found.name in point]
        if all(map(is_plain_number, values)):
            place = f"from {min(values):.3g} to {max(values):.3g}" if values else ""
        else:
            place = " or ".join(map(str, dict.fromkeys(values)))
        if place:
            yield f"{symbol_of(results, found.name)} {place}: {found.lost} of {found.points} points"


@drawing
def draw_indices(rows: Sequence[Row], kind: str, top: float) -> Figure:
    """Draw each parameter up to `top` (a fraction): total index or mu* as a bar, the other one hollow."""
    figure, axes = blank(0.6 + 0.24 * len(rows))
    unit, label = 1.0, "share of the variance (Sobol index)"
    if kind == "morris":
        unit, label = 100.0, "mean absolute effect (mu*), points"
    bar: dict[str, Any] = {"height": 0.36, "alpha": 0.35, "linewidth": 0}
    hollow: dict[str, Any] = {"markersize": 3, "markerfacecolor": "white", "markeredgewidth": 0.8}
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        colour, above, below = VERDICTS[VERDICT_LOOKS[row["verdict"]]].colour, y - 0.12, y + 0.24
        axes.barh([above], [unit * max(0.0, row["value"])], color=colour, **bar)
        draw_range(axes, above, row["low"], row["high"], colour, 1.6, unit)
        axes.plot([unit * row["value"]], [above], "o", color=colour, markersize=3.6)
        draw_range(axes, below, row["other_low"], row["other_high"], SOFT, 0.8, unit)
        axes.plot([unit * row["other"]], [below], "D", color=INK, **hollow)
    axes.axvline(unit * LIMITS[kind], color=INK, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0.5)
    name_rows(axes, [shorten(row["symbol"], 18) for row in rows])
    ends = [row[end] for row in rows for end in ("low", "other_low") if row[end] is not None]
    left = unit * max(min([0.0, *ends]), -0.15 * top)
    return finished(figure, axes, xlim=(left, unit * top), ylim=(len(rows) - 0.4, -0.6), xlabel=label)


def exhibits(results: Results, estimates: Sequence[Estimate]) -> list[Exhibit]:
    """Return the figure of the indices, a panel per study; empty where no design was asked for."""
    if not estimates:
        return []
    design, shown = estimates[0].points, [found for found in estimates if not found.reason]
    kind, states = design.kind, " ".join(map(state, estimates))
    title = "Elementary effects (Morris)" if kind == "morris" else "Shares of the variance (Sobol)"
    if not shown:
        return [Draft(results, "design", title).missing(states, query_of(kind))]
    rows = [row for found in shown for row in found.rows]
    values = [row[key] for row in rows for key in ("value", "high", "other", "other_high")]
    top = 1.05 * max(abs(value) for value in values if value is not None)  # of all panels
    top = max(LIMITS[kind] * 1.5, top) if kind == "morris" else min(1.5, max(0.2, top))
    panels = [
        Panel(f"design-{slug(e.points.study)}", e.points.scenario, draw_indices(e.rows, kind, top))
        for e in shown
    ]
    block, blocks = BLOCKS[kind]
    caption = (
        f"{_meaning(kind, results.metric)} {results.confidence:.0%} intervals, resampled by "
        f"{block}, not adjusted for the number of parameters. Blue: it matters (the interval "
        "lies above the dashed limit); green: it does not matter (below); grey: undecided. A parameter that "
        "a choice switches off has no effect there; one that is active in fewer than "
        f"{sensitivity.MIN_BLOCKS_PER_BRANCH} {blocks} on average is undecided. {states}"
    )
    return [Exhibit("design", title, caption, results.shown(query_of(kind)), panels, _numbers(kind, rows))]


def _meaning(kind: str, metric: Metric) -> str:
    """Return what bars, hollow marks and the dashed line are."""
    if kind == "morris":
        return (
            f"Bars: mu*, the mean absolute effect of a parameter on {metric} over its whole range, with "
            "the others anywhere (the change at a step of the design, divided by the step). Hollow: "
            "sigma, how much that effect differs from place to place (interactions or curvature). Dashed: "
            "one point."
        )
    return (
        f"Bars: the total index, the share of the variance of {metric} over the whole space in which a "
        "parameter has any part. Hollow: the first-order index, the share of the parameter alone; the "
        f"rest is interactions. Dashed: {LIMITS[kind]:.0%} of the variance."
    )


def state(estimate: Estimate) -> str:
    """Return how far a design is, what was lost and where, its run noise, and why indices are withheld."""
    design = estimate.points
    lost = f"{estimate.dropped} dropped because of a run that failed or diverged"
    ran = f"{design.blocks} of {count(design.planned, *BLOCKS[design.kind])}"
    clauses = [
        f"{ran}, {lost}" if estimate.dropped else ran,
        f"lost mostly at {listing(estimate.lost)}" if estimate.lost else "",
        estimate.noise,
        f"withheld: {estimate.reason}" if estimate.reason else "",
    ]
    return f"{design.scenario}: {'; '.join(filter(None, clauses))}."


def _numbers(kind: str, rows: Sequence[Row]) -> Table:
    morris, seldom = kind == "morris", {True: ", too seldom for a verdict", False: ""}
    form, total, other = two_digits, "total index", "first-order index"
    if morris:
        form, total, other = points, "mu*, points", "sigma"

    def interval(row: Row, value: str, low: str, high: str) -> str:
        return f"{form(row[value])} {bracket(row[low], row[high], form)}".rstrip()

    columns: list[Column] = [
        "scenario",
        ("parameter", lambda row: Cell(row["path"], "code")),
        (total, lambda row: interval(row, "value", "low", "high")),
        (other, lambda row: interval(row, "other", "other_low", "other_high")),
        *([("mu", lambda row: form(row["mu"]))] if morris else []),
        ("verdict", lambda row: Cell(row["verdict"], VERDICT_LOOKS[row["verdict"]])),
        ("active in", lambda row: f"{row['active']:.0%}{seldom[row['seldom']]}"),
    ]
    return numbers_of(rows, columns)


def sentences(estimates: Sequence[Estimate]) -> list[str]:
    """Return a sentence per scenario: which parameters matter over the whole space, and which do not."""
    texts = []
    for estimate in estimates:
        if estimate.reason:
            texts.append(f"Over the whole space under {state(estimate)}")
            continue
        found = grouped(estimate.rows, "verdict")
        effect, level, undecided = ([r["symbol"] for r in found.get(word, ())] for word in VERDICT_LOOKS)
        clauses = [
            f"{listing(effect)} {'matters' if len(effect) == 1 else 'matter'}" if effect else "",
            f"{listing(level)} {'does' if len(level) == 1 else 'do'} not" if level else "",
            f"{count(len(undecided), 'parameter')} {be(len(undecided))} undecided" if undecided else "",
            f"runs were lost mostly at {listing(estimate.lost)}" if estimate.lost else "",
        ]
        said = "; ".join(filter(None, clauses))
        texts.append(f"Over the whole space under {estimate.points.scenario}, {said}.")
    return texts
