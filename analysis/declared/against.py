"""Accuracy against a number that differs between scenarios: the number of clients, for example."""

from __future__ import annotations

from ..figures.choices.verdicts import named
from ..figures.differences import FIELDS
from ..figures.estimates import basis, confirmed, entries_of, limits, query_of
from ..figures.exhibits import Draft
from ..figures.lines import Axis, draw_lines, ends_said, lines_of, panels_of
from ..figures.outcomes.accuracies import PERSONAL_METRICS
from ..look.style import Figure
from ..look.words import capitalized
from ..read.results import Results, Row, tuning_of
from ..verdicts.recipes import placed
from .answers import Answer, beside, headline, nothing, query_of_verdicts

COLUMNS = ("scenario", "x", "label", "metric", "mean", "low", "high", "seeds")
RIVAL = f"""SELECT {FIELDS} FROM verdicts
WHERE kind = 'rival' AND strongest AND split = 'test' AND metric = 'acc_personal_own' ORDER BY number"""


def table_against(results: Results, path: str) -> list[Row]:
    """Return the confirmed accuracies and the floors with `x`, `line` and `family` (see `recipes.placed`).

    Args:
        results: The sweep.
        path: The setting along x; rows whose trial has no number there are left out.
    """
    trials = results.sql("SELECT * FROM trials WHERE kind = 'confirm' ORDER BY trial")
    places = placed(trials, path)
    at = {(t["scenario"], t["label"]): places[t["trial"]] for t in trials if t["trial"] in places}
    of_floors = {scenario: place for (scenario, _), place in at.items()}
    rows = []
    for row in confirmed(results, tuple(PERSONAL_METRICS)):
        if row["kind"] == "floor" and row["scenario"] in of_floors:
            rows.append({**row, **of_floors[row["scenario"]], "line": row["label"]})
        elif place := at.get((row["scenario"], row["label"])):
            rows.append({**row, **place})
    return rows


def show_against(results: Results, figure: Row, key: str) -> Answer:
    """Return accuracy against a setting: own and global for each family of scenarios."""
    path, metric = figure["x"], results.metric
    name = str(figure.get("name") or path.rpartition(".")[2])
    title, rows = f"{capitalized(str(metric))} against {name}", table_against(results, path)
    draft = Draft(results, key, figure.get("title") or title)
    if not rows:
        needed = f"configurations confirmed at two values of {path} in scenarios alike otherwise"
        return nothing(draft, needed)
    axis = Axis(name, f"test {metric}, %", limits(rows), values=sorted({row["x"] for row in rows}))

    def draw(shown: list[Row]) -> Figure:
        return draw_lines(lines_of(shown, "line"), axis, height=3.3)

    placed_rows = [{**row, "panel": f"{row['family']}: {PERSONAL_METRICS[row['metric']]}"} for row in rows]
    panels = panels_of(placed_rows, key, draw, ends_said, "panel", "line")
    tuned = any(tuning_of(row["label"]) not in ("", "untuned") for row in entries_of(rows))
    tuning = "Each entry is tuned in each scenario, so tuned settings may differ along a line. "
    caption = (
        f"Test {metric} on fresh seeds against {name} ({path}): mean and {basis(rows, results.confidence)}. "
        "Within a panel, scenarios are set up alike otherwise. Fewer images per client also mean fewer "
        f"steps per round. {tuning if tuned else ''}Hollow and dashed: untuned. Thin grey lines: what no "
        "method should fall below. Intervals of single lines may overlap although their paired difference is "
        "clear."
    )
    query = query_of(tuple(PERSONAL_METRICS))
    exhibit = draft.exhibit(panels, rows, COLUMNS, query, caption)
    changes, place = results.sql(query_of_verdicts("against")), {row["scenario"]: row for row in rows}
    rivals = [row for row in results.sql(RIVAL) if row["scenario"] in place]
    texts = []
    for row in changes:
        near = [rival for rival in rivals if place[rival["scenario"]]["family"] == row["level"]]
        told = named(near, lambda rival: f"{rival['level']} at {place[rival['scenario']]['x']:g} {name}")
        strongest = f" Beside the strongest rival by validation, it {told}." if told else ""
        texts.append(f"{row['level']}: {beside(row)}.{strongest}")
    families = [{**row, "scenario": row["level"]} for row in changes]
    first = headline(families, f"in test {metric} {PERSONAL_METRICS['acc_personal_own']}")
    return Answer([exhibit], texts, first, [*changes, *rivals])
