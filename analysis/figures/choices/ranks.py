"""What matters most: ranks of the choices by scenario, their agreement, and hints from a search's trials."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from typing import Any

from ... import stats as sensitivity
from ...look.entries import look_at
from ...look.marks import draw_range, name_rows
from ...look.page import Cell, Exhibit, Panel, Table
from ...look.style import FAINT, INK, SMALL, SOFT, Figure, blank, drawing
from ...look.words import be, bracket, count, points, shorten
from ...read.results import Results, Row
from ...stats.ranks import LEAST_SEEDS, agreement, effect_size
from ..exhibits import Draft, finished, numbers_of, panels_by_title
from ..rows import Column, grouped, symbol_of, two_digits

# The choices that have a measured level in every scenario. A level that diverges loses all accuracy.
QUERY = """WITH tried AS (
  SELECT *, verdict = 'diverges' AND starts_with(reason, 'diverged') AS lost FROM verdicts
  WHERE kind = 'choice' AND metric = 'acc_personal_own' AND split = 'validation'
), measured AS (
  SELECT scenario, subject AS path, min(number) AS number,
    min(if(lost, seeds_planned, len(seeds)))::INTEGER AS seeds,
    list((if(lost, -1, estimate)::DOUBLE, if(lost, 0, coalesce(se, 0))::DOUBLE) ORDER BY number) AS effects
  FROM tried
  WHERE lost OR verdict <> 'diverges' AND estimate IS NOT NULL AND (se IS NOT NULL OR estimate = 0)
  GROUP BY ALL
)
SELECT scenario, path, seeds, effects FROM measured
QUALIFY count(*) OVER (PARTITION BY path) = (SELECT count(DISTINCT scenario) FROM measured)
ORDER BY number"""
LOOKS = {"alike": "level", "opposite": "behind", "undecided": "undecided"}
TRIALS = """SELECT study, trial, state, objective, params
FROM trials WHERE kind = 'search' ORDER BY study, trial"""
IMPORTANCE_COLUMNS = ("study", "path", "by", "value", "low", "high", "active")


def table_ranks(results: Results) -> tuple[list[Row], list[Row]]:
    """Return the ranks of the choices by scenario, and the agreement of each pair of scenarios.

    Rows with scenario, path, symbol, size (a fraction) and rank (1 = largest), of the choices that have a
    measured level in every scenario; and rows with first, second, choices, seeds and the fields of
    `stats.ranks.Agreement`.
    """
    rows = [{**row, "symbol": symbol_of(results, row["path"])} for row in results.sql(QUERY)]
    by_scenario = grouped(rows, "scenario")
    if len(grouped(rows, "path")) < 2:
        return [], []
    ranked = []
    for group in by_scenario.values():
        sized = [{**row, "size": effect_size(row["effects"])} for row in group]
        sized.sort(key=lambda row: -row["size"])
        ranked += [{**row, "rank": rank} for rank, row in enumerate(sized, 1)]
    pairs, seeds = list[Row](), min(row["seeds"] for row in rows)
    for first, second in itertools.combinations(by_scenario, 2):
        effects = {row["path"]: row["effects"] for row in by_scenario[second]}
        both = [(row["effects"], effects[row["path"]]) for row in by_scenario[first]]
        found = agreement([a for a, _ in both], [b for _, b in both], seeds, results.confidence)
        pairs.append({"first": first, "second": second, **vars(found), "choices": len(both), "seeds": seeds})
    return ranked, pairs


@drawing
def draw_ranks(rows: Sequence[Row]) -> Figure:
    """Draw a bump chart: a line per choice over the scenarios, the largest effect on top."""
    scenarios, lines = list(grouped(rows, "scenario")), grouped(rows, "path")
    last = len(scenarios) - 1
    figure, axes = blank(0.7 + 0.23 * len(lines), 2.9 + 0.75 * len(scenarios))
    beside: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
    for place, line in enumerate(lines.values()):
        ranks, look, name = [row["rank"] for row in line], look_at(place), shorten(line[0]["symbol"], 18)
        mark: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 5}
        axes.plot(range(len(ranks)), ranks, linewidth=1.6, clip_on=False, **mark)
        for x, shift, side in ((0, -8, "right"), (last, 8, "left")):
            style: dict[str, Any] = {"ha": side, "va": "center", "fontsize": SMALL, "color": INK}
            axes.annotate(name, (x, ranks[x]), xytext=(shift, 0), **beside, **style)
    names = ["\n".join(textwrap.wrap(scenario, 16)) for scenario in scenarios]
    axes.set_xticks(range(len(names)), names, fontsize=SMALL)
    axes.xaxis.tick_top()
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.set_frame_on(False)
    for x in range(len(scenarios)):
        axes.axvline(x, color="#ececec", linewidth=0.8, zorder=0)
    axes.set(xlim=(-0.15, last + 0.15), ylim=(len(lines) + 0.5, 0.5))
    note: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": SMALL, "color": SOFT, "va": "top"}
    axes.annotate("largest effect on top", (0, 0), xytext=(0, -6), **beside, **note)
    return figure


def exhibit(results: Results, rows: Sequence[Row]) -> Exhibit | None:
    """Return the figure of the first rows of `table_ranks`; None where there are not two scenarios."""
    draft = Draft(results, "ranks", "Do scenarios agree on what matters most?")
    scenarios = grouped(rows, "scenario")
    if len(results.meta.get("scenarios") or scenarios) < 2:
        return None
    if len(scenarios) < 2:
        return draft.missing("It takes the contrasts of two choices in two scenarios.")
    caption = (
        "Choices ranked by the size of their effect: the root mean square of the differences to the anchor "
        "over the tried levels, on validation, without the part that noise adds (0 where that is all). "
        "A level that diverged counts as \u2212100 points. Neighbours in rank may be equal."
    )
    columns: list[Column] = [
        "scenario",
        "rank",
        ("choice", lambda row: Cell(row["path"], "code")),
        ("size, points", lambda row: points(row["size"])),
    ]
    panels, source = [Panel(draft.key, "", draw_ranks(rows))], results.shown(QUERY)
    return Exhibit(draft.key, draft.title, caption, source, panels, numbers_of(rows, columns))


def table(results: Results, pairs: Sequence[Row]) -> Table | None:
    """Return the agreement of each pair of scenarios as a table; None where there is no pair."""

    def tau(pair: Row) -> str:
        return f"{two_digits(pair['tau'])} {bracket(pair['low'], pair['high'], two_digits)}".rstrip()

    columns: list[Column] = [
        ("scenario", lambda pair: pair["first"]),
        ("scenario", lambda pair: pair["second"]),
        (f"tau [{results.confidence:.0%}]", tau),
        "choices",
        "seeds",
        ("verdict", lambda pair: Cell(pair["verdict"], LOOKS[pair["verdict"]])),
    ]
    caption = (
        "Kendall's tau-b between the two rankings: 1 = the same order, 0 = unrelated, \u22121 = reversed. "
        "The interval comes from redrawn effects; with much noise it reaches from \u22121 to 1. Alike: it "
        f"lies above 0. It takes {LEAST_SEEDS} seeds for a verdict."
    )
    return Draft(results, "ranks", "Agreement of the rankings").plain_table(pairs, columns, QUERY, caption)


def sentences(pairs: Sequence[Row]) -> list[str]:
    """Say how many pairs of scenarios are shown to rank the choices alike."""
    if not pairs:
        return []
    texts, by_verdict = [], grouped(pairs, "verdict")
    for word, phrase in (("alike", "alike"), ("opposite", "in opposite order")):
        names = [f"{pair['first']} and {pair['second']}" for pair in by_verdict.get(word, ())]
        texts += [f"The choices rank {phrase} under {'; and under '.join(names)}."] if names else []
    undecided = by_verdict.get("undecided", [])
    if len(undecided) == len(pairs):
        texts.append("Nothing shows that two scenarios rank the choices alike, or that they do not.")
    elif undecided:
        texts.append(f"{count(len(undecided), 'other pair')} of scenarios {be(len(undecided))} undecided.")
    few = max((pair["seeds"] for pair in undecided), default=LEAST_SEEDS)
    if few < LEAST_SEEDS:
        texts.append(f"It takes {LEAST_SEEDS} seeds for a verdict; {few} ran.")
    return [" ".join(texts)]


def importance_rows(results: Results, study: str, found: sensitivity.Importances) -> list[Row]:
    """Return a row per parameter and measure, the parameters sorted by the loss when they are shuffled."""
    loss = {index.name: index.value for index in found.columns.get("permutation", ())}
    rows = []
    for measure, indices in found.columns.items():
        for index in (index for index in indices if math.isfinite(index.value)):
            about = {"study": study, "path": index.name, "symbol": symbol_of(results, index.name)}
            rows.append({**about, "by": measure, **vars(index), "active": found.active.get(index.name)})
    return sorted(rows, key=lambda row: -loss.get(row["path"], 0.0))


@drawing
def draw_importances(rows: Sequence[Row]) -> Figure:
    """Draw a line per parameter and a mark per measure, with its interval over resampled trials."""
    symbols, measures = {row["path"]: row["symbol"] for row in rows}, grouped(rows, "by")
    figure, axes = blank(0.95 + 0.27 * len(symbols))
    for place in range(len(symbols)):
        axes.axhline(place + 0.5, color=FAINT, linewidth=0.4, zorder=0)
    for place, (measure, group) in enumerate(measures.items()):
        look, shift = look_at(place), 0.24 * (place - (len(measures) - 1) / 2)
        heights = [list(symbols).index(row["path"]) + shift for row in group]
        for y, row in zip(heights, group, strict=True):
            draw_range(axes, y, row["low"], row["high"], look.colour, 1)
        values = [row["value"] for row in group]
        axes.plot(values, heights, look.marker, color=look.colour, markersize=3.8, label=measure)
    name_rows(axes, [shorten(symbol, 18) for symbol in symbols.values()])
    return finished(figure, axes, ylim=(len(symbols) - 0.5, -0.5), xlabel="share, or loss of held-out R2")


def exhibit_importances(results: Results) -> Exhibit | None:
    """Return the figure of the importances, a panel per study; None where nothing was searched."""
    draft = Draft(results, "importances", "Hints from the search's trials (no verdict)")
    studies = grouped(results.sql(TRIALS), "study")
    if not studies:
        return None
    if results.meta.get("status") == "running":  # it takes time, and changes with every trial
        return draft.missing("It is computed when the sweep has ended.")
    factors = (results.meta.get("design") or {}).get("factors") or {}
    importances = {
        study: sensitivity.importances(trials, factors.get(study) or (), results.confidence)
        for study, trials in studies.items()
    }
    shown = {study: made for study, made in importances.items() if not made.reason}
    withheld = " ".join(f"{study}: withheld, {f.reason}." for study, f in importances.items() if f.reason)
    if not shown:
        return draft.missing(withheld, TRIALS)
    rows = {study: importance_rows(results, study, made) for study, made in shown.items()}
    fits = [f"{study}: held-out R2 {f.r2:.2f}, {count(f.used, 'trial')}" for study, f in shown.items()]
    caption = (
        f"These are {sensitivity.Importances.caution}: they suggest where to look, and decide nothing. "
        "fANOVA and PED-ANOVA are shares of a whole. Permutation is the loss of held-out R2 when a "
        "parameter is shuffled. Intervals come from resampled trials; they do not show bias. Shown only "
        f"where a surrogate predicts held-out trials with an R2 of at least 0.8. {'; '.join(fits)}. "
        f"{withheld}"
    ).strip()

    def seen(rows: Sequence[Row]) -> str:
        return f"by importance, {', '.join(dict.fromkeys(row['symbol'] for row in rows))}"

    panels = panels_by_title(rows, draft.key, draw_importances, seen)
    every = [row for group in rows.values() for row in group]
    return draft.exhibit(panels, every, IMPORTANCE_COLUMNS, TRIALS, caption, None)
