"""Accuracy against a number that differs between scenarios: the number of clients, for example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..figures.choices.verdicts import named
from ..figures.differences import FIELDS, with_basis
from ..figures.estimates import basis, confirmed, entries_of, limits
from ..figures.estimates import query_of as query_of_accuracies
from ..figures.lines import Axis, draw_lines, ends_said, lines_of, panels_of
from ..figures.outcomes.accuracies import PERSONAL_METRICS
from ..look.page import Exhibit, numbers
from ..look.words import capitalized
from ..read.results import Results, Row, tuning_of
from ..verdicts.recipes import placed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPLIT_WORDS = {
    "acc_personal_own": "each client's own distribution",
    "acc_personal_global": "the global split",
}
CHANGE = f"""SELECT {FIELDS} FROM verdicts WHERE kind = 'recipe' AND subject = 'against' ORDER BY number"""
RIVAL = f"""SELECT {FIELDS} FROM verdicts
WHERE kind = 'rival' AND strongest AND split = 'test' AND metric = 'acc_personal_own' ORDER BY number"""


def table_against(results: Results, path: str) -> list[Row]:
    """Return the confirmed accuracies with `x`, `line` and `family` (see `recipes.placed`).

    Args:
        results: The sweep.
        path: The setting along x; rows whose trial has no number there are left out.
    """
    trials = results.sql("SELECT * FROM trials WHERE kind = 'confirm' ORDER BY trial")
    places, of = placed(trials, path), {(t["scenario"], t["label"]): t["trial"] for t in trials}
    rows = entries_of(confirmed(results, tuple(PERSONAL_METRICS)))
    return [
        {**row, **places[of[row["scenario"], row["label"]]]}
        for row in rows
        if of.get((row["scenario"], row["label"])) in places
    ]


def exhibit_against(results: Results, figure: Row, key: str) -> list[Exhibit]:
    """Return the figure of accuracy against a setting: own and global for each family of scenarios.

    Args:
        results: The sweep.
        figure: As declared: x, name and title.
        key: Key of the exhibit.
    """
    path, name, metric = figure["x"], name_of_x(figure), results.metric
    title, rows = (
        figure.get("title") or f"{capitalized(str(metric))} against {name}",
        table_against(results, path),
    )
    if not rows:
        missing = f"It takes configurations confirmed at two values of {path} in scenarios alike otherwise."
        return [Exhibit(key, title, missing=missing)]
    placed_rows = [{**row, "panel": f"{row['family']}: {SPLIT_WORDS[row['metric']]}"} for row in rows]
    axis = Axis(name, f"test {metric}, %", limits(rows), values=sorted({row["x"] for row in rows}))

    def draw(shown: list[Row]) -> Figure:
        return draw_lines(lines_of(shown, "line"), axis, height=3.3)

    panels = panels_of(placed_rows, key, draw, _seen, "panel", "line")
    tuned = any(tuning_of(row["label"]) not in ("", "untuned") for row in rows)
    tuning = (
        "Each entry is tuned in each scenario, so tuned settings may differ along a line. " if tuned else ""
    )
    caption = (
        f"Test {metric} on fresh seeds against {name} ({path}): mean and {basis(rows, results.confidence)}. "
        "Within a panel, scenarios are set up alike otherwise. Fewer images per client also mean fewer "
        f"steps per round. {tuning}Hollow and dashed: untuned. Intervals of single lines may overlap "
        "although their paired difference is clear."
    )
    columns = ("scenario", "x", "label", "metric", "mean", "low", "high", "seeds")
    source = results.shown(query_of_accuracies(tuple(PERSONAL_METRICS)))
    says = " ".join(sentences_against(results, figure))
    return [Exhibit(key, title, caption, source, panels, numbers(rows, columns), says=says)]


def _seen(rows: list[Row]) -> str:
    """Return what is seen: each line from its smallest to its largest value."""
    return ends_said([{**row, "label": row["line"]} for row in rows])


def name_of_x(figure: Row) -> str:
    """Return the name of the x axis."""
    return str(figure.get("name") or figure["x"].rpartition(".")[2])


def sentences_against(results: Results, figure: Row) -> list[str]:
    """Return a sentence per family: the change of the first entry over x, and where it is ahead of its rival.

    Args:
        results: The sweep.
        figure: As declared: x and name.
    """
    name, texts, said = name_of_x(figure), list[str](), list[Row]()
    x_of = {row["scenario"]: (row["family"], row["x"]) for row in table_against(results, figure["x"])}
    rivals = [{**row, "x": x_of[row["scenario"]]} for row in results.sql(RIVAL) if row["scenario"] in x_of]
    for row in results.sql(CHANGE):
        near = [rival for rival in rivals if rival["x"][0] == row["level"]]
        beside = named(near, lambda rival: f"{rival['level']} at {rival['x'][1]:g} {name}")
        strongest = f" Beside the strongest rival by validation, it {beside}." if beside else ""
        texts.append(f"{row['level']}: {row['a']} {named([row], lambda r: str(r['b']))}.{strongest}")
        said += [row, *near]
    return with_basis(texts, said, results.confidence)
