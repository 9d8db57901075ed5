"""Which parameters of the whole space matter: Morris' elementary effects or Sobol's indices, of the points of a design."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import stats as sensitivity
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import FAINT, INK, NARROW, SOFT, VERDICT_COLOUR, WIDTH, blank, drawing
from ...look.words import count, listing, points, shorten
from ...read.queries import parts
from ...read.results import OBJECTIVE, Results, Row, by_seed, params, space_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT = {
    "sobol": sensitivity.TOTAL_LIMIT,
    "morris": sensitivity.MU_LIMIT,
}  # of a total index; of mu*, in accuracy
LOOKS = {"matters": "helps", "does not matter": "level", "undecided": "undecided"}
BLOCKS = {"sobol": "Saltelli block", "morris": "trajectory"}
QUERY = f"""SELECT study, point, unit, state, list_avg(acc_personal_own) AS y, params FROM {parts("trials")}
WHERE kind = 'design' ORDER BY study, point"""


@dataclass(frozen=True)
class Points:
    """The points of one study's design that can be used: whole blocks only.

    Attributes:
        kind: `sobol` or `morris`.
        names: Of the parameters, in the design's order.
        size: Points of a block (Sobol) or of a trajectory (Morris).
        trials: The trials of all whole blocks, in the design's order.
        unit: [n, k] the points in [0, 1].
        y: [n] accuracy, a fraction; NaN where a trial failed, diverged or was stopped.
        planned: Blocks of the whole design.
        log: The parameters that are drawn on a logarithmic scale.
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
        """How many whole blocks have been run."""
        return len(self.trials) // self.size


def points_of(results: Results, metric: str = OBJECTIVE) -> list[Points]:
    """The designs of all studies, as far as they have been run."""
    design = results.meta.get("design") or {}
    found = []
    for study, factors in (design.get("factors") or {}).items():
        if results.space and space_of(study, results.meta.get("spaces") or []) != results.space:
            continue
        names = [str(f["path"]) for f in factors]
        size = (
            len(names) + 1
            if design["kind"] == "morris"
            else len(names) * (2 if design.get("second_order") else 1) + 2
        )
        rows = {
            int(t["point"]): t
            for t in results.trials
            if t["kind"] == "design" and t["study"] == study and t.get("point") is not None
        }
        whole = [
            b for b in sorted({p // size for p in rows}) if all(b * size + i in rows for i in range(size))
        ]
        trials = [rows[b * size + i] for b in whole for i in range(size)]
        planned, log = (
            max(len(whole), int((design.get("N") or {}).get(study, 0))),
            frozenset(str(f["path"]) for f in factors if f.get("log")),
        )
        found.append(
            Points(
                study,
                study.rpartition(" | ")[2],
                str(design["kind"]),
                names,
                size,
                trials,
                [list(t["unit"]) for t in trials],
                [_value(t, metric) for t in trials],
                planned,
                log,
            )
        )
    return found


def _value(trial: Row, metric: str) -> float:
    values = list(by_seed(trial, metric).values()) if trial["state"] == "COMPLETE" else []
    return sum(values) / len(values) if values else math.nan


@dataclass(frozen=True)
class Estimate:
    """What a design shows: a row per parameter, the pairs, and why there is nothing where there is none."""

    points: Points
    rows: list[Row]
    pairs: list[Row]
    dropped: int
    reason: str


def estimate(results: Results, found: Points) -> Estimate:
    """The indices of one study's design.

    Returns:
        Rows with scenario, path, symbol, value, low, high (total index, or mu* as a fraction), other,
        other_low, other_high (first-order index, or sigma), mu (Morris), verdict, active (share of points)
        and seldom (active in too few blocks for its interval to be relied on, so undecided); pairs with
        names, value, low, high (second-order indices).
    """
    if found.blocks < 2:
        why = f"{count(found.blocks, BLOCKS[found.kind])} of {found.planned} finished; it takes two"
        return Estimate(found, [], [], 0, why)
    y, second = np.array(found.y), bool((results.meta.get("design") or {}).get("second_order"))
    pairs: list[sensitivity.Index] = []
    mus: dict[str, float] = {}
    if found.kind == "sobol":
        sobol = sensitivity.sobol_indices(y, found.names, second, confidence=results.confidence)
        main, beside, pairs, dropped, reason = (
            sobol.total,
            sobol.first,
            list(sobol.pairs),
            sobol.dropped,
            sobol.reason,
        )
    else:
        levels = int((results.meta.get("design") or {}).get("levels") or 4)
        morris = sensitivity.morris_effects(
            np.array(found.unit), y, found.names, levels, confidence=results.confidence
        )
        main, beside, mus = morris.mu_star, morris.sigma, {i.name: i.value for i in morris.mu}
        dropped, reason = morris.dropped, morris.reason
    symbols = {f["path"]: f["symbol"] for f in results.meta.get("factors") or []}
    other, active = (
        {i.name: i for i in beside},
        sensitivity.active_shares([params(t) for t in found.trials], found.names),
    )
    seldom = {name for name, share in active.items() if sensitivity.too_seldom(share, found.blocks - dropped)}
    rows = [
        {
            "study": found.study,
            "scenario": found.scenario,
            "path": i.name,
            "symbol": symbols.get(i.name) or i.name.rpartition(".")[2],
            "value": i.value,
            "low": i.low,
            "high": i.high,
            "other": other[i.name].value,
            "other_low": other[i.name].low,
            "other_high": other[i.name].high,
            "mu": mus.get(i.name),
            "active": active[i.name],
            "seldom": i.name in seldom,
            "verdict": "undecided" if i.name in seldom else sensitivity.verdict(i, LIMIT[found.kind]),
        }
        for i in main
    ]
    couples = [
        {
            "scenario": found.scenario,
            "names": i.name,
            "value": i.value,
            "low": i.low,
            "high": i.high,
            "verdict": "undecided"
            if seldom & set(i.name.split(" x "))
            else sensitivity.verdict(i, LIMIT["sobol"]),
        }
        for i in pairs
    ]
    return Estimate(found, sorted(rows, key=lambda r: -r["value"]), couples, dropped, reason)


@drawing
def draw_indices(rows: Sequence[Row], kind: str, top: float, width: float = WIDTH) -> Figure:
    """A line per parameter: its total index (or mu*) with the interval, hollow the first-order index (or sigma), the limit dashed."""
    figure, axes = blank(0.6 + 0.24 * len(rows), width)
    unit = 100.0 if kind == "morris" else 1.0
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        tint = VERDICT_COLOUR[LOOKS[row["verdict"]]]
        axes.barh(
            [y - 0.12], [unit * max(0.0, row["value"])], height=0.36, color=tint, alpha=0.35, linewidth=0
        )
        if row["low"] is not None:
            axes.plot(
                [unit * row["low"], unit * row["high"]],
                [y - 0.12] * 2,
                color=tint,
                linewidth=1.6,
                solid_capstyle="butt",
            )
        axes.plot([unit * row["value"]], [y - 0.12], "o", color=tint, markersize=3.6)
        if row["other_low"] is not None:
            axes.plot(
                [unit * row["other_low"], unit * row["other_high"]], [y + 0.24] * 2, color=SOFT, linewidth=0.8
            )
        axes.plot(
            [unit * row["other"]],
            [y + 0.24],
            "D",
            color=INK,
            markersize=3,
            markerfacecolor="white",
            markeredgewidth=0.8,
        )
    axes.axvline(unit * LIMIT[kind], color=INK, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0.5)
    axes.set_yticks(range(len(rows)), [shorten(r["symbol"], 18) for r in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    low = min(0.0, *(unit * r[end] for r in rows for end in ("low", "other_low") if r[end] is not None), 0.0)
    axes.set(
        xlim=(max(low, -0.15 * unit * top), unit * top),
        ylim=(len(rows) - 0.4, -0.6),
        xlabel="mean absolute effect (mu*), points"
        if kind == "morris"
        else "share of the variance (Sobol index)",
    )
    return figure


def exhibits(results: Results, found: Sequence[Estimate]) -> list[Exhibit]:
    """The indices, a panel per study; empty where no design was asked for."""
    if not found:
        return []
    kind, shown = found[0].points.kind, [e for e in found if e.rows and not withheld(e)]
    title = "Elementary effects (Morris)" if kind == "morris" else "Shares of the variance (Sobol)"
    if not shown:
        return [Exhibit("design", title, missing=" ".join(state(e) for e in found), source=QUERY)]
    ends = [
        abs(r[end])
        for e in shown
        for r in e.rows
        for end in ("value", "high", "other", "other_high")
        if r[end] is not None
    ]
    top = (
        max(LIMIT[kind] * 1.5, 1.05 * max(ends)) if kind == "morris" else min(1.5, max(0.2, 1.05 * max(ends)))
    )
    width = NARROW if len(shown) > 2 else WIDTH
    panels = [
        Panel(f"design-{slug(e.points.study)}", e.points.scenario, draw_indices(e.rows, kind, top, width))
        for e in shown
    ]
    what = (
        "Bars: mu*, the mean absolute effect of a parameter on accuracy over its whole range, the others "
        "anywhere (the change at a step of "
        "the design, divided by the step); hollow: sigma, how much that effect differs from place to place "
        "(interactions or curvature). "
        "Dashed: one point."
        if kind == "morris"
        else "Bars: the total index, the share of the variance of accuracy over the whole space in which a "
        "parameter has any part; hollow: "
        "the first-order index, what it does alone; the rest is interactions. Dashed: "
        f"{LIMIT['sobol']:.0%} of the variance."
    )
    caption = (
        f"{what} {results.confidence:.0%} intervals, resampled by {BLOCKS[kind]}. Blue: it matters (the "
        "interval lies above the limit); "
        "green: it does not (below); grey: undecided. A parameter that a choice switches off has no effect "
        "there: the table says in what "
        f"share of the points it was active; one that fewer than {sensitivity.SELDOM} {_plural(kind)} meet "
        "on average is undecided: its "
        f"interval is too short. {' '.join(state(e) for e in found)}"
    )
    columns = (
        "scenario",
        "path",
        "value",
        "low",
        "high",
        "other",
        "other_low",
        "other_high",
        "mu",
        "active",
        "verdict",
    )
    return [
        Exhibit("design", title, caption, QUERY, panels, numbers([r for e in shown for r in e.rows], columns))
    ]


def withheld(e: Estimate) -> bool:
    """Whether the estimates may not be shown."""
    return bool(e.reason)


def state(e: Estimate) -> str:
    """How far a design is, what was lost, and why it is withheld where it is."""
    done = (
        f"{e.points.scenario}: {e.points.blocks} of "
        f"{count(e.points.planned, BLOCKS[e.points.kind], _plural(e.points.kind))}"
    )
    lost = f", {e.dropped} dropped because of a run that failed or diverged" if e.dropped else ""
    return f"{done}{lost}; withheld: {e.reason}." if e.reason else f"{done}{lost}."


def _plural(kind: str) -> str:
    return "trajectories" if kind == "morris" else "Saltelli blocks"


def tables(results: Results, found: Sequence[Estimate]) -> list[Table]:
    """The numbers with verdicts, and the pairs where second-order indices were asked for."""
    rows = [r for e in found if not withheld(e) for r in e.rows]
    if not rows:
        return []
    kind = found[0].points.kind
    form = points if kind == "morris" else _plain
    body: list[list[Any]] = []
    for r in rows:
        beside = [form(r["mu"])] if kind == "morris" else []
        body.append(
            [
                r["scenario"],
                Cell(r["path"], "code"),
                _spanned(r["value"], r["low"], r["high"], form),
                _spanned(r["other"], r["other_low"], r["other_high"], form),
                *beside,
                Cell(r["verdict"], LOOKS[r["verdict"]]),
                f"{r['active']:.0%}{', too seldom for a verdict' if r['seldom'] else ''}",
            ]
        )
    head = [
        "scenario",
        "parameter",
        *(("mu*, points", "sigma", "mu") if kind == "morris" else ("total index", "first-order index")),
        "verdict",
        "active in",
    ]
    limit = "one point of mu*" if kind == "morris" else f"{LIMIT['sobol']:g} of the total index"
    caption = (
        f"Limit of the verdict: {limit}. {results.confidence:.0%} intervals in brackets; not "
        "adjusted for the number of parameters."
    )
    made = [Table(head, body, caption, QUERY, key="table-design", title="Parameters of the whole space")]
    pairs = sorted((p for e in found if not withheld(e) for p in e.pairs), key=lambda p: -p["value"])
    if pairs:
        lines = [
            [
                p["scenario"],
                Cell(p["names"], "code"),
                _spanned(p["value"], p["low"], p["high"], _plain),
                Cell(p["verdict"], LOOKS[p["verdict"]]),
            ]
            for p in pairs
        ]
        caption = "What two parameters do together beyond both alone."
        made.append(
            Table(
                ["scenario", "pair", "second-order index", "verdict"],
                lines,
                caption,
                QUERY,
                folded=f"All {len(pairs)} pairs",
                key="table-design-pairs",
                title="Pairs of parameters",
            )
        )
    return made


def _plain(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.2f}".replace("-", "\u2212")


def _spanned(value: float | None, low: float | None, high: float | None, form: Any) -> str:
    return form(value) + (f" [{form(low)}, {form(high)}]" if low is not None else "")


def sentences(found: Sequence[Estimate]) -> list[str]:
    """Which parameters matter over the whole space, scenario by scenario."""
    said = []
    for e in found:
        if withheld(e):
            said.append(f"Over the whole space under {state(e)}")
            continue
        groups = {word: [r["symbol"] for r in e.rows if r["verdict"] == word] for word in LOOKS}
        clauses = (
            [f"{listing(groups['matters'])} {'matters' if len(groups['matters']) == 1 else 'matter'}"]
            if groups["matters"]
            else []
        )
        same = groups["does not matter"]
        clauses += [f"{listing(same)} {'does' if len(same) == 1 else 'do'} not"] if same else []
        clauses += (
            [
                f"{count(len(groups['undecided']), 'parameter')} "
                f"{'is' if len(groups['undecided']) == 1 else 'are'} undecided"
            ]
            if groups["undecided"]
            else []
        )
        said.append(f"Over the whole space under {e.points.scenario}, {'; '.join(clauses)}.")
    return said
