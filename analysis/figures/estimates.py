"""Rows of the table `estimates`: the accuracies that figures and tables show, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from ..look.entries import base_label, looks_of
from ..look.marks import draw_range, forest, forest_height, write_beside
from ..look.page import Cell
from ..look.style import FAINT, GREY, Figure, Look, blank, drawing
from ..look.words import bracket, count, kept_seeds, listing, percent
from ..read.queries import literal
from ..read.results import Results, Row
from .exhibits import finished
from .rows import grouped, place_in, scenario_order

FLOORS: dict[str, Any] = {"most frequent class": (0, (1, 1.5)), "zero-shot": (0, (4, 2))}  # label -> line
COLUMNS = """scenario, label, method, kind, metric, mean,
  coalesce(low_both, low) AS low, coalesce(high_both, high) AS high, low_both IS NOT NULL AS over_images,
  "values", len(seeds) AS seeds, seeds_planned, lost, no_noise, clients_measured, clients_evaluated"""

# Every trial measures the floors beside itself; one row of them is shown.
ONE_FLOOR = """QUALIFY kind <> 'floor'
  OR row_number() OVER (PARTITION BY kind, scenario, label, metric ORDER BY len(seeds) DESC, trial) = 1"""


def quoted(*texts: str) -> str:
    """Return texts as SQL strings with commas between them."""
    return ", ".join(map(literal, texts))


def tested(metrics: Iterable[str]) -> str:
    """Return the end of a query of `estimates`: confirmed configurations and floors, on the test split."""
    return f"""WHERE split = 'test' AND kind IN ('confirm', 'floor') AND metric IN ({quoted(*metrics)})
{ONE_FLOOR}
ORDER BY ALL"""


def query_of(metrics: Iterable[str]) -> str:
    """Return the SQL of the confirmed configurations and the floors beside them, on the test split."""
    return f"SELECT {COLUMNS}\nFROM estimates\n{tested(metrics)}"


def confirmed(results: Results, metrics: Iterable[str]) -> list[Row]:
    """Return the accuracies of the confirmed configurations and the floors on the test split.

    Rows have the columns of `COLUMNS` and `look`. Scenarios are in the sweep's order, configurations in that
    of the grid, else the best first; floors come last. [] where nothing is confirmed.
    """
    rows = results.sql(query_of(metrics))
    return sort(results, rows) if entries_of(rows) else []


def sort(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Sort accuracies and add their looks (see `confirmed`)."""
    order, grid = scenario_order(results), results.meta.get("grid") or []
    means = {
        label: fmean(row["mean"] if is_number(row["mean"]) else 0.0 for row in group)
        for label, group in grouped(rows, "label").items()
    }

    def place(row: Row) -> tuple[Any, ...]:
        label = row["label"]
        return row["kind"] == "floor", place_in(grid, base_label(label)), -means[label], label

    looks = looks_of({row["label"]: row["method"] for row in entries_of(sorted(rows, key=place))})
    looks |= {label: Look(GREY, "", line) for label, line in FLOORS.items()}
    rows = sorted(rows, key=lambda r: (place_in(order, r["scenario"]), *place(r), r.get("metric", "")))
    return [{**row, "look": looks[row["label"]]} for row in rows]


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return value is not None and math.isfinite(value)


def is_floor(row: Row) -> bool:
    """Return whether a row is that of a floor."""
    return row.get("kind") == "floor"


def entries_of(rows: Iterable[Row]) -> list[Row]:
    """Return the rows that are no floors."""
    return [row for row in rows if not is_floor(row)]


def floors_of(rows: Iterable[Row]) -> dict[str, float]:
    """Return label -> accuracy of the floors among rows of one scenario and metric."""
    return {row["label"]: row["mean"] for row in rows if is_floor(row) and is_number(row["mean"])}


def lost_words(row: Row) -> str:
    """Return ` (4 of 5 seeds)` where seeds were lost or are missing; empty where all are there."""
    planned = max(row["seeds_planned"] or 0, row["seeds"] + (row["lost"] or 0))
    return f" ({kept_seeds(row['seeds'], planned)})" if row["seeds"] < planned else ""


def accuracy_text(row: Row | None) -> str:
    """Return `61.6 [60.9, 62.2]`, `61.6 (one seed)` or `(no noise over seeds)`, `diverges (0 of 3 seeds)`."""
    if row is None:
        return ""
    if not is_number(row["mean"]):
        return f"diverges{lost_words(row)}"
    interval = bracket(row["low"], row["high"], percent)
    alone = " (one seed)" if not interval and row["seeds"] == 1 else ""
    alone = " (no noise over seeds)" if not interval and row.get("no_noise") else alone
    return f"{percent(row['mean'])} {interval}".rstrip() + (lost_words(row) or alone)


def accuracy_cell(row: Row | None) -> Cell:
    """Return the cell of an accuracy."""
    return Cell(accuracy_text(row), "tight diverges" if row and not is_number(row["mean"]) else "tight")


def basis(rows: Sequence[Row], confidence: float) -> str:
    """Return `90% interval over seeds and images`, or over what the intervals of these rows are."""
    over = {
        (): "over seeds",
        (False,): "over seeds, for these images",
        (True,): "over seeds and images",
        (False, True): "over seeds, and images where they were kept",
    }
    found = {bool(row.get("over_images")) for row in rows if row.get("low") is not None}
    return f"{confidence:.0%} interval {over[tuple(sorted(found))]}"


def clients_said(rows: Iterable[Row]) -> str:
    """Return for a caption where a mean leaves clients out; empty where all clients were measured."""
    places = {}
    for row in rows:
        measured, evaluated = row.get("clients_measured"), row.get("clients_evaluated") or 0
        if measured and measured < evaluated:
            of_all = f"{measured:.0f} of {count(round(evaluated), 'client')}"
            places[row["scenario"]] = f"{of_all} measured under {row['scenario']}"
    text = "Means leave out clients without a test image of their classes: "
    return f"{text}{listing(list(places.values()))}." if places else ""


def limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Return a common axis: every mean, seed and end of an interval, as far as they lie in 0 to 1."""
    ends = [
        value
        for row in rows
        for value in (row["mean"], row.get("low"), row.get("high"), *(row.get("values") or ()))
        if is_number(value)
    ] or [0.0, 1.0]
    low, high = max(0.0, min(ends)), min(1.0, max(ends))
    pad = max(0.01, 0.05 * (high - low))
    return max(0.0, low - pad), min(1.0, high + pad)


@drawing
def draw_accuracies(rows: Sequence[Row], frame: tuple[float, float], label: str) -> Figure:
    """Draw a line per accuracy: its mean, interval and seeds, scenario by scenario; floors cross it.

    Rows have scenario, label, kind, mean, low, high, values and look; `frame` are the ends of the x axis.
    """
    by_scenario = grouped(rows, "scenario")
    lines = {name: [(row["label"], row) for row in entries_of(group)] for name, group in by_scenario.items()}
    figure, axes = blank(forest_height(lines))
    ends = forest(axes, lines, lambda axes, y, row: _draw_accuracy(axes, y, row, frame))
    for name, group in by_scenario.items():
        for floor, value in floors_of(group).items():
            style: dict[str, Any] = {"color": GREY, "linewidth": 1.0, "linestyle": FLOORS[floor]}
            axes.plot([value] * 2, ends[name], zorder=0.5, label=floor, **style)
    return finished(figure, axes, "x", "x", xlim=frame, xlabel=label)


def _draw_accuracy(axes: Any, y: float, row: Row, frame: tuple[float, float]) -> None:
    """Draw mean, interval and seeds of one accuracy at a height; where all seeds are lost, the word."""
    look, values = row["look"], [value for value in row.get("values") or () if is_number(value)]
    axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
    if not is_number(row["mean"]):
        axes.annotate("diverges", (frame[0], y), (4, 0), textcoords="offset points", va="center")
        return
    draw_range(axes, y, row["low"], row["high"], look.colour, 2)
    seeds: dict[str, Any] = {"markersize": 2.2, "alpha": 0.7, "markeredgewidth": 0}
    axes.plot(values, [y + 0.27] * len(values), "o", color=look.colour, **seeds)
    mark: dict[str, Any] = {"markersize": 4.8, "markeredgewidth": 1, "markerfacecolor": look.face}
    axes.plot([row["mean"]], [y], look.marker, color=look.colour, **mark)
    write_beside(axes, y, percent(row["mean"]))


def said(rows: Sequence[Row], key: str = "scenario") -> str:
    """Return what is seen: the highest and the lowest mean of each group, and what diverges."""
    texts = []
    for name, group in grouped(entries_of(rows), key).items():
        shown = sorted((row for row in group if is_number(row["mean"])), key=lambda row: -row["mean"])
        ends = [f"{row['label']} {percent(row['mean'])}%" for row in (shown[:1] + shown[1:][-1:])]
        lost = [f"{row['label']} diverges" for row in group if not is_number(row["mean"])]
        texts.append(f"{name}: {', '.join([' to '.join(ends), *lost]) if ends else ', '.join(lost)}")
    return "; ".join(texts)
