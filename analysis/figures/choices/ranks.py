"""Agreement of scenarios on which choices matter most: ranks by the size of the effect."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

from ...look.entries import look_at
from ...look.page import Cell, Exhibit, Panel, Table
from ...look.style import INK, SMALL, SOFT, Figure, blank, drawing
from ...look.words import be, bracket, count, points, shorten
from ...read.results import Results, Row
from ...stats.ranks import LEAST_SEEDS, agreement, effect_size
from ..rows import filled, grouped, symbol_of, two_digits

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
    title = "Do scenarios agree on what matters most?"
    scenarios = grouped(rows, "scenario")
    if len(results.meta.get("scenarios") or scenarios) < 2:
        return None
    if len(scenarios) < 2:
        return Exhibit("ranks", title, missing="It takes the contrasts of two choices in two scenarios.")
    caption = (
        "Choices ranked by the size of their effect: the root mean square of the differences to the anchor "
        "over the tried levels, on validation, without the part that noise adds (0 where that is all). "
        "A level that diverged counts as \u2212100 points. Neighbours in rank may be equal."
    )
    names, body = filled(
        rows,
        [
            "scenario",
            "rank",
            ("choice", lambda row: Cell(row["path"], "code")),
            ("size, points", lambda row: points(row["size"])),
        ],
    )
    table = Table(names, body, folded=f"The numbers ({len(body)} rows)")
    return Exhibit(
        "ranks", title, caption, results.shown(QUERY), [Panel("ranks", "", draw_ranks(rows))], table
    )


def table(results: Results, pairs: Sequence[Row]) -> Table | None:
    """Return the agreement of each pair of scenarios as a table; None where there is no pair."""
    if not pairs:
        return None

    def tau(pair: Row) -> str:
        return f"{two_digits(pair['tau'])} {bracket(pair['low'], pair['high'], two_digits)}".rstrip()

    names, body = filled(
        pairs,
        [
            ("scenario", lambda pair: pair["first"]),
            ("scenario", lambda pair: pair["second"]),
            (f"tau [{results.confidence:.0%}]", tau),
            "choices",
            "seeds",
            ("verdict", lambda pair: Cell(pair["verdict"], LOOKS[pair["verdict"]])),
        ],
    )
    caption = (
        "Kendall's tau-b between the two rankings: 1 = the same order, 0 = unrelated, \u22121 = reversed. "
        "The interval comes from redrawn effects; with much noise it reaches from \u22121 to 1. Alike: it "
        f"lies above 0. It takes {LEAST_SEEDS} seeds for a verdict."
    )
    source, title = results.shown(QUERY), "Agreement of the rankings"
    return Table(names, body, caption, source, key="table-ranks", title=title)


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
