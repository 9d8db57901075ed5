"""Agreement of scenarios on which choices matter most: ranks by the size of the effect."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.marks import hide_frame
from ...look.page import Cell, Exhibit, Panel, Table
from ...look.style import INK, MARKERS, PALETTE, SOFT, blank, drawing
from ...look.words import bracket, count, points, shorten
from ...read.results import Results, Row
from ...stats.ranks import LEAST_SEEDS, agreement, effect_size
from ..rows import symbol_of, symbols_of, two_digits
from ..sentences import be

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUERY = """SELECT scenario, subject AS path, level, estimate, se, len(seeds) AS seeds
FROM verdicts
WHERE kind = 'choice' AND metric = 'acc_personal_own' AND split = 'validation' AND verdict <> 'diverges'
  AND estimate IS NOT NULL AND (se IS NOT NULL OR estimate = 0)
ORDER BY number"""
LOOKS = {"alike": "level", "opposite": "behind", "undecided": "undecided"}


def table_ranks(results: Results) -> tuple[list[Row], list[Row]]:
    """Return the ranks of the choices by scenario, and the agreement of each pair of scenarios.

    Returns:
        Rows with scenario, path, symbol, size (a fraction) and rank (1 = largest), of the choices that have a
        measured level in every scenario; and rows with first, second, tau, low, high, choices, seeds and
        verdict (see `stats.ranks.Agreement`).
    """
    effects: dict[str, dict[str, list[tuple[float, float]]]] = {}
    found = results.sql(QUERY)
    for row in found:
        of_choice = effects.setdefault(row["scenario"], {}).setdefault(row["path"], [])
        of_choice.append((row["estimate"], row["se"] or 0.0))
    common = set.intersection(*map(set, effects.values())) if effects else set()
    if len(common) < 2:
        return [], []
    paths = [path for path in next(iter(effects.values())) if path in common]
    seeds, symbols = min(row["seeds"] for row in found), symbols_of(results)
    ranked = []
    for scenario, of_path in effects.items():
        sizes = {path: effect_size(of_path[path]) for path in paths}
        for rank, path in enumerate(sorted(paths, key=lambda path: -sizes[path]), 1):
            choice = {"path": path, "symbol": symbol_of(symbols, path)}
            ranked.append({"scenario": scenario, **choice, "size": sizes[path], "rank": rank})
    pairs: list[Row] = []
    for first, second in itertools.combinations(effects, 2):
        a, b = ([effects[scenario][path] for path in paths] for scenario in (first, second))
        shown = agreement(a, b, seeds, results.confidence)
        ends = {"tau": shown.tau, "low": shown.low, "high": shown.high, "verdict": shown.verdict}
        pairs.append({"first": first, "second": second, **ends, "choices": len(paths), "seeds": seeds})
    return ranked, pairs


@drawing
def draw_ranks(rows: Sequence[Row], scenarios: Sequence[str]) -> Figure:
    """Draw a bump chart: a line per choice over the scenarios, the largest effect on top.

    Args:
        rows: Rows of `table_ranks`.
        scenarios: The columns, in order.
    """
    rank_of = {(row["path"], row["scenario"]): row["rank"] for row in rows}
    symbols = {row["path"]: row["symbol"] for row in rows if row["scenario"] == scenarios[0]}
    figure, axes = blank(0.7 + 0.23 * len(symbols), 2.9 + 0.75 * len(scenarios))
    for i, (path, symbol) in enumerate(symbols.items()):
        ranks = [rank_of[path, scenario] for scenario in scenarios]
        marker = MARKERS[i // len(PALETTE) % len(MARKERS)]
        style: dict[str, Any] = {"linewidth": 1.6, "markersize": 5, "clip_on": False}
        axes.plot(range(len(scenarios)), ranks, "-", color=PALETTE[i % len(PALETTE)], marker=marker, **style)
        name = shorten(symbol, 18)
        _write_note(axes, name, (0, ranks[0]), (-8, 0), ha="right", va="center", fontsize=7, color=INK)
        last = len(scenarios) - 1
        _write_note(axes, name, (last, ranks[-1]), (8, 0), ha="left", va="center", fontsize=7, color=INK)
    names = ["\n".join(textwrap.wrap(scenario, 16)) for scenario in scenarios]
    axes.set_xticks(range(len(scenarios)), names, fontsize=7.5)
    axes.xaxis.tick_top()
    axes.set_yticks([])
    axes.tick_params(length=0)
    hide_frame(axes)
    for x in range(len(scenarios)):
        axes.axvline(x, color="#ececec", linewidth=0.8, zorder=0)
    axes.set(xlim=(-0.15, len(scenarios) - 0.85), ylim=(len(symbols) + 0.5, 0.5))
    note: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": 6.5, "color": SOFT, "va": "top"}
    _write_note(axes, "largest effect on top", (0, 0), (0, -6), **note)
    return figure


def _write_note(
    axes: Axes, text: str, place: tuple[float, float], shift: tuple[float, float], **style: Any
) -> None:
    """Write a text at a place, moved by `shift` points."""
    axes.annotate(text, place, xytext=shift, textcoords="offset points", annotation_clip=False, **style)


def exhibit(results: Results, rows: Sequence[Row], pairs: Sequence[Row]) -> Exhibit | None:
    """Return the figure of the ranks; None where there are not two scenarios.

    Args:
        results: The sweep.
        rows: The first rows of `table_ranks`.
        pairs: Its second rows.
    """
    title = "Do scenarios agree on what matters most?"
    scenarios = list(dict.fromkeys(r["scenario"] for r in rows))
    if len(results.meta.get("scenarios") or scenarios) < 2:
        return None
    if len(scenarios) < 2:
        return Exhibit("ranks", title, missing="It takes the contrasts of two choices in two scenarios.")
    caption = (
        "Choices ranked by the size of their effect: the root mean square of the differences to the anchor "
        "over the tried levels, on validation, without the part that noise adds (0 where that is all). "
        "Levels that diverged are not in it. Neighbours in rank may be equal."
    )
    body = [[r["scenario"], r["rank"], Cell(r["path"], "code"), points(r["size"])] for r in rows]
    table = Table(
        ["scenario", "rank", "choice", "size, points"], body, folded=f"The numbers ({len(body)} rows)"
    )
    panel = Panel("ranks", "", draw_ranks(rows, scenarios))
    return Exhibit("ranks", title, caption, results.shown(QUERY), [panel], table)


def table(results: Results, pairs: Sequence[Row]) -> Table | None:
    """Return the agreement of each pair of scenarios as a table; None where there is no pair."""
    if not pairs:
        return None
    body: list[list[Any]] = [
        [
            p["first"],
            p["second"],
            f"{two_digits(p['tau'])} {bracket(p['low'], p['high'], two_digits)}".rstrip(),
            p["choices"],
            p["seeds"],
            Cell(p["verdict"], LOOKS[p["verdict"]]),
        ]
        for p in pairs
    ]
    caption = (
        "Kendall's tau-b between the two rankings: 1 = the same order, 0 = unrelated, \u22121 = reversed. "
        "The interval comes from redrawn effects; with much noise it reaches from \u22121 to 1. Alike: it "
        f"lies above 0. It takes {LEAST_SEEDS} seeds for a verdict."
    )
    head = ["scenario", "scenario", f"tau [{results.confidence:.0%}]", "choices", "seeds", "verdict"]
    source = results.shown(QUERY)
    return Table(head, body, caption, source, key="table-ranks", title="Agreement of the rankings")


def sentences(pairs: Sequence[Row]) -> list[str]:
    """Say how many pairs of scenarios are shown to rank the choices alike.

    Args:
        pairs: The second rows of `table_ranks`.
    """
    if not pairs:
        return []
    texts = []
    for word, phrase in (("alike", "alike"), ("opposite", "in opposite order")):
        names = [f"{pair['first']} and {pair['second']}" for pair in pairs if pair["verdict"] == word]
        if names:
            texts.append(f"The choices rank {phrase} under {'; and under '.join(names)}.")
    undecided = [pair for pair in pairs if pair["verdict"] == "undecided"]
    if len(undecided) == len(pairs):
        texts.append("Nothing shows that two scenarios rank the choices alike, or that they do not.")
    elif undecided:
        texts.append(f"{count(len(undecided), 'other pair')} of scenarios {be(len(undecided))} undecided.")
    few = max((pair["seeds"] for pair in undecided), default=LEAST_SEEDS)
    if few < LEAST_SEEDS:
        texts.append(f"It takes {LEAST_SEEDS} seeds for a verdict; {few} ran.")
    return [" ".join(texts)]
