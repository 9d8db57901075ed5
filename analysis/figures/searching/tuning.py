"""Tuning of a recipe's entries: validation accuracy at each tried level, and best levels at an edge."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.entries import base_label, looks_of
from ...look.page import Exhibit
from ...look.style import Figure, Look, blank, drawing, legend_below
from ...look.words import count, listing, percent
from ...read.results import Results, Row
from ..estimates import floors_of, is_number, limits
from ..exhibits import Draft
from ..lines import Axis, Line, draw_floors, lines_of, panels_of, put_lines
from ..outcomes.curves import FLOORS
from ..rows import grouped, place_in, scenario_order

# Search trials that set one number; `edge`: the best level is the smallest or the largest of several tried
# ones.
QUERY = """WITH tried AS (
  SELECT study, scenario, method, trial, state, objective, coalesce(violated, '') AS violated,
    json_keys(params)[1] AS path,
    try_cast(params ->> ('$."' || json_keys(params)[1] || '"') AS DOUBLE) AS level,
    replace(study, ' | ' || scenario, '') AS entry
  FROM trials WHERE kind = 'search' AND len(json_keys(params)) = 1
), measured AS (
  SELECT t.*, e.mean, e.low, e.high, len(e.seeds) AS seeds,
    min(level) OVER (PARTITION BY t.study, path) AS smallest,
    max(level) OVER (PARTITION BY t.study, path) AS largest
  FROM tried t LEFT JOIN estimates e ON e.trial = t.trial AND e.kind = 'search' AND e.split = 'validation'
    AND e.metric = 'acc_personal_own' AND t.state = 'COMPLETE'
  WHERE level IS NOT NULL
)
SELECT scenario, entry, method, path, level, level AS x, state, mean, low, high, seeds,
  mean IS NOT NULL AND row_number() OVER (PARTITION BY study, path
    ORDER BY mean IS NULL, violated <> '', isnan(objective), objective DESC, trial) = 1 AS best,
  best AND smallest < largest AND level IN (smallest, largest) AS edge
FROM measured ORDER BY scenario, entry, path, level"""


def table_tuning(results: Results) -> list[Row]:
    """Return a row per scenario, entry and tried level, where a recipe's entries were tuned over one number.

    They have the validation accuracy on the clients' own distributions (mean, low, high; selection seeds),
    best (the entry's best level there: a lost seed counts as 0) and edge (best, with tried levels on one side
    only), and come as the recipe lists them. [] in a sweep that is no recipe.
    """
    grid, scenarios = list(results.meta.get("grid") or []), scenario_order(results)
    if not grid:
        return []
    space = f"{results.meta.get('space')} "
    rows = [{**row, "entry": row["entry"].removeprefix(space)} for row in results.sql(QUERY)]
    return sorted(
        rows, key=lambda r: (place_in(scenarios, r["scenario"]), place_in(grid, r["entry"]), r["level"])
    )


@drawing
def draw_tuning(rows: Sequence[Row], axis: Axis, floors: Sequence[Row]) -> Figure:
    """Draw a line per entry, with a hollow mark at its best level, and the floors."""
    figure, axes = blank(3.1)
    draw_floors(axes, floors_of(floors))
    lines = lines_of(rows)
    looks = [Look(line.look.colour, "o", "", hollow=True) for line in lines]
    best = [[row for row in line.rows if row["best"]] for line in lines]
    put_lines(axes, lines, axis)
    put_lines(axes, [Line("", look, group) for look, group in zip(looks, best, strict=True)], axis)
    legend_below(figure, axes)
    return figure


def exhibit_tuning(results: Results) -> Exhibit | None:
    """Return the figure of the tuning, a panel per scenario; None where no entry was tuned so."""
    rows = table_tuning(results)
    finished = [row for row in rows if is_number(row["mean"])]
    if not finished:
        return None
    looks = looks_of({row["entry"]: row["method"] for row in finished})
    finished = [{**row, "label": row["entry"], "look": looks[row["entry"]]} for row in finished]
    floors, path = grouped(results.sql(FLOORS), "scenario"), finished[0]["path"]
    frame = limits([*finished, *(row for group in floors.values() for row in group)])
    levels = sorted({row["level"] for row in finished})
    axis = Axis(path, f"validation {results.metric}, %", frame, values=levels)

    panels = panels_of(
        finished, "tuning", lambda r: draw_tuning(r, axis, floors.get(r[0]["scenario"], ())), _seen
    )
    lost = len(rows) - len(finished)
    missing = f"{count(lost, 'trial')} not drawn: diverged, failed or stopped. " if lost else ""
    caption = (
        f"Mean validation {results.metric} (personal, own distribution) over the selection seeds at every "
        f"tried {path}, with its {results.confidence:.0%} interval over seeds (bar; none with one seed); all "
        "entries were tried at the same values. The hollow mark is the value that was confirmed on fresh "
        f"seeds. The thin lines are what no method should fall below. {missing}{edges(rows)}"
    ).strip()
    columns = ("scenario", "entry", "path", "level", "state", "mean", "low", "high", "seeds", "best", "edge")
    return Draft(results, "tuning", "Tuning").exhibit(panels, rows, columns, QUERY, caption)


def _seen(rows: list[Row]) -> str:
    """Return what is seen: the best level of each entry."""
    best = [row for row in rows if row["best"]]
    return "; ".join(f"{row['entry']} best at {row['level']:g} ({percent(row['mean'])}%)" for row in best)


def edges(rows: list[Row]) -> str:
    """Return the entries whose best level is at the edge of the tried ones; empty where none is."""
    groups = grouped([{**r, "name": base_label(r["entry"])} for r in rows if r["edge"]], "name", "level")
    names = [
        f"{entry} (at {level:g} under {listing([row['scenario'] for row in group])})"
        for (entry, level), group in groups.items()
    ]
    text = "Best at the edge of the tried values, so a wider range might be better for them"
    return f"{text}: {listing(names)}." if names else ""
