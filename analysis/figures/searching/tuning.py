"""Tuning of a recipe's entries: validation accuracy at each tried level, and best levels at an edge."""

from __future__ import annotations

from ...look.entries import base_label, looks_of
from ...look.page import Exhibit, numbers
from ...look.style import Look
from ...look.words import count, listing, percent
from ...read.results import Results, Row
from ..estimates import is_number, limits
from ..lines import Axis, Line, draw_lines, lines_of, panels_of
from ..rows import grouped, place_in, scenario_order

# Search trials that set one number; `edge`: the best level is the smallest or the largest of several tried
# ones.
QUERY = """WITH tried AS (
  SELECT study, scenario, method, trial, state, json_keys(params)[1] AS path,
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
  coalesce(mean = max(mean) OVER (PARTITION BY study, path), false) AS best,
  best AND smallest < largest AND level IN (smallest, largest) AS edge
FROM measured ORDER BY scenario, entry, path, level"""


def table_tuning(results: Results) -> list[Row]:
    """Return a row per scenario, entry and tried level, where a recipe's entries were tuned over one number.

    Returns:
        Rows with scenario, entry, method, path, level, state, mean, low, high, seeds (validation accuracy on
        the clients' own distributions, selection seeds), best (the entry's best level there) and edge (best,
        with tried levels on one side only); as the recipe lists them. [] in a sweep that is no recipe.
    """
    grid, scenarios, space = (
        list(results.meta.get("grid") or []),
        scenario_order(results),
        results.meta.get("space"),
    )
    if not grid:
        return []
    rows = [{**row, "entry": row["entry"].removeprefix(f"{space} ")} for row in results.sql(QUERY)]
    rows.sort(key=lambda r: (place_in(scenarios, r["scenario"]), place_in(grid, r["entry"]), r["level"]))
    return rows


def exhibit_tuning(results: Results) -> Exhibit | None:
    """Return the figure of the tuning, a panel per scenario; None where no entry was tuned so."""
    rows = table_tuning(results)
    finished = [row for row in rows if is_number(row["mean"])]
    if not finished:
        return None
    looks = looks_of({row["entry"]: row["method"] for row in finished})
    finished = [{**row, "label": row["entry"], "look": looks[row["entry"]]} for row in finished]
    levels, frame = sorted({row["level"] for row in finished}), limits(finished)
    axis = Axis(finished[0]["path"], f"validation {results.metric}, %", frame, values=levels)

    def draw(shown: list[Row]) -> object:
        lines = lines_of(shown)
        rings = [
            Line(
                "", Look(line.look.colour, "o", "", hollow=True), [r for r in line.rows if r["best"]], width=0
            )
            for line in lines
        ]
        return draw_lines([*lines, *rings], axis)

    panels = panels_of(finished, "tuning", draw, _seen)  # type: ignore[arg-type]
    lost = [row for row in rows if not is_number(row["mean"])]
    missing = f"{count(len(lost), 'trial')} not drawn: diverged, failed or stopped. " if lost else ""
    caption = (
        f"Mean validation {results.metric} (personal, own distribution) over the selection seeds at every "
        f"tried {finished[0]['path']}, with its {results.confidence:.0%} interval over seeds (bar; none "
        "with one seed); all entries were tried at the same values. The hollow mark is the value that was "
        f"confirmed on fresh seeds. {missing}{edges(rows)}"
    ).strip()
    columns = ("scenario", "entry", "path", "level", "state", "mean", "low", "high", "seeds", "best", "edge")
    says = "; ".join(p.alt for p in panels)
    return Exhibit(
        "tuning", "Tuning", caption, results.shown(QUERY), panels, numbers(rows, columns), says=f"{says}."
    )


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
