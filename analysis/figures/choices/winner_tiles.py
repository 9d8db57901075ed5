"""Figure of the winners: a tile for each level of each choice."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.marks import TILE_COLOURS, hide_frame, write_heading
from ...look.page import Exhibit, Panel, numbers
from ...look.style import INK, SOFT, VERDICT_MARK, blank, drawing
from ...look.words import WITHIN, count, listing, points, seed_count, shorten
from ...read.results import Results, Row
from .winners import OPEN, QUERY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


HEADING_LEFT = 104  # points from the symbols to the tiles


@drawing
def draw_winners(rows: Sequence[Row]) -> Figure:
    """Draw a tile for each level (row) and study (column): who is ahead, by how many points.

    A tile is framed where the anchor has another winner.

    Args:
        rows: Rows of `winners.table_winners`.
    """
    studies = list(dict.fromkeys(row["study"] for row in rows))
    anchor_winners = {row["study"]: row["winner"] for row in rows if row["path"] is None}
    lines = list(dict.fromkeys((row["path"], row["symbol"], row["level"]) for row in rows))
    figure, axes = blank(0.75 + 0.165 * len(lines), 1.65 + 0.72 * max(3, len(studies)))
    heights = {line: i + 0.35 * len({path for path, _, _ in lines[: i + 1]}) for i, line in enumerate(lines)}
    for row in rows:
        place = studies.index(row["study"]), heights[row["path"], row["symbol"], row["level"]]
        winners = {row["winner"], anchor_winners.get(row["study"], "undecided")}
        _draw_tile(axes, place, row, framed=len(winners) == 2 and not winners & set(OPEN))
    first_heights: dict[str | None, float] = {}
    for (path, symbol, _), height in heights.items():
        if path not in first_heights:
            first_heights[path] = height
            write_heading(axes, height, shorten(symbol or "anchor", 20), HEADING_LEFT)
    levels = [shorten(level or "", 12) for _, _, level in lines]
    axes.set_yticks(list(heights.values()), levels, fontsize=7)
    axes.set_xticks(range(len(studies)), _heads(rows, studies), fontsize=7)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    hide_frame(axes)
    axes.set(xlim=(-0.5, len(studies) - 0.5), ylim=(max(heights.values()) + 0.55, -0.25))
    return figure


def _draw_tile(axes: Axes, place: tuple[float, float], row: Row, framed: bool) -> None:
    """Draw the tile of a row around a place."""
    from matplotlib.patches import Rectangle

    x, y = place
    frame: dict[str, Any] = {"linewidth": 1.4 if framed else 0, "zorder": 2 if framed else 1}
    colour = TILE_COLOURS[row["verdict"]]
    corner = (x - 0.46, y - 0.46)
    axes.add_patch(Rectangle(corner, 0.92, 0.92, facecolor=colour, edgecolor=INK, **frame))
    axes.annotate(
        f"{VERDICT_MARK[row['verdict']]} {points(row['mean'])}",
        place,
        ha="center",
        va="center_baseline",
        fontsize=7,
        color=SOFT if row["verdict"] == "undecided" else INK,
        zorder=3,
    )


def _heads(rows: Sequence[Row], studies: Sequence[str]) -> list[str]:
    """Return the head of each column: the scenario and the strongest rival of its first row."""
    first_rows = {row["study"]: row for row in reversed(rows)}
    heads = []
    for study in studies:
        row = first_rows[study]
        lines = [*textwrap.wrap(row["scenario"], 13), *textwrap.wrap(f"against {row['rival']}", 13)]
        heads.append("\n".join(lines))
    return heads


def exhibit_winners(results: Results, rows: Sequence[Row]) -> Exhibit:
    """Return the figure of the winner at the anchor and at every level of every choice.

    Args:
        results: The sweep.
        rows: Rows of `winners.table_winners`.
    """
    title = "The winner at each level of each choice"
    if not rows:
        missing = "No anchor and rival are finished on the same seeds yet, so no winner can be named."
        return Exhibit("winners", title, missing=missing)
    method = listing(list(dict.fromkeys(row["method"] for row in rows)))
    rivals = max(row["rivals"] for row in rows)
    caption = (
        f"{method} minus its strongest rival (of {rivals}), at the anchor and with one choice of the "
        f"method changed: points of validation {results.metric} (personal, own distribution), mean over "
        f"{seed_count(sorted({row['seeds'] for row in rows}))}, paired by seed. {VERDICT_MARK['helps']} "
        f"blue: {method} is ahead of every rival; {VERDICT_MARK['hurts']} orange: the strongest rival is "
        f"ahead, adjusted for the number of rivals (Holm); {VERDICT_MARK['level']} green: level "
        f"({WITHIN}); {VERDICT_MARK['undecided']} grey: undecided ({results.confidence:.0%} t intervals). "
        "Framed: another winner than at the anchor. Rivals are untuned. Training settings are left out: "
        "they change the rivals too, which ran with the anchor's only. "
        f"{by_chance(rows, results.confidence)}"
    )
    columns = (
        "scenario",
        "path",
        "level",
        "rival",
        "mean",
        "low",
        "high",
        "seeds",
        "verdict",
        "winner",
        "firm",
    )
    panel = Panel("winners", "", draw_winners(rows))
    return Exhibit("winners", title, caption, QUERY, [panel], numbers(rows, columns))


def by_chance(rows: Sequence[Row], confidence: float) -> str:
    """Return how many of these rows would name a winner by chance alone."""
    tested = [row for row in rows if row["low"] is not None]
    named = [row for row in tested if row["winner"] not in OPEN]
    if not tested:
        return ""
    text = (
        f"Of {count(len(tested), 'tile')}, {len(named)} name a winner; by chance alone, if all were equal, "
        f"at most about {len(tested) * (1 - confidence):.0f} would."
    )
    if not named:
        return text
    firm_count = sum(row["firm"] for row in named)
    stand = f"{firm_count or 'none'} of them stand{'s' if firm_count <= 1 else ''}"
    stand = "all of them stand" if firm_count == len(named) else stand
    return f"{text} Adjusted for their number (false discovery rate {1 - confidence:.0%}), {stand}."
