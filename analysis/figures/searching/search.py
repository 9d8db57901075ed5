"""The search, trial by trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.marks import panel_width
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import INK, WIDTH, blank, drawing, integer_axis, legend_below, percent_axis
from ...read import queries
from ...read.metric import Metric
from ...read.results import Results, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


TRIAL_LOOKS = {  # kind and state -> name, marker, colour; an empty kind is any
    ("contrast", "COMPLETE"): ("contrast", "o", "#8a8a8a"),
    ("search", "COMPLETE"): ("search", "o", "#0072B2"),
    ("", "PRUNED"): ("stopped early", "x", "#E69F00"),
    ("", "FAIL"): ("failed", "X", "#D55E00"),
}


def table_search(results: Results) -> list[Row]:
    """Return the contrast and search trials of each study in order, with the best objective so far.

    The best objective is that of complete trials.

    Returns:
        Rows with study, scenario, method, place, label, kind, state, objective and best (None until a trial
        is complete).
    """
    rows: list[Row] = []
    places: dict[str, int] = {}
    best: dict[str, float] = {}
    for trial in (trial for trial in results.trials if trial.get("kind") in ("contrast", "search")):
        study, objective = trial["study"], trial.get("objective")
        objective = objective if objective is not None and math.isfinite(objective) else None
        places[study] = places.get(study, 0) + 1
        if trial["state"] == "COMPLETE" and objective is not None:
            best[study] = max(best.get(study, objective), objective)
        about = {key: trial[key] for key in ("study", "scenario", "method", "label", "kind", "state")}
        rows.append({**about, "place": places[study], "objective": objective, "best": best.get(study)})
    return rows


@drawing
def draw_search(
    rows: Sequence[Row], limits: tuple[float, float], metric: Metric, width: float = WIDTH
) -> Figure:
    """Draw the trials of one study as points, and the best so far as a step line.

    Args:
        rows: Rows of `table_search` of one study.
        limits: Ends of the y axis, as fractions; failed trials stand at the lower end.
        metric: The metric of the sweep.
        width: Width of the panel, inches.
    """
    figure, axes = blank(2.7, width)
    best = {row["place"]: row["best"] for row in rows if row["best"] is not None}
    line: dict[str, Any] = {"where": "post", "color": INK, "linewidth": 1.2}
    axes.step(list(best), list(best.values()), label="best so far", **line)
    for (kind, state), (name, marker, colour) in TRIAL_LOOKS.items():
        trials = [row for row in rows if row["state"] == state and kind in ("", row["kind"])]
        if not trials:
            continue
        heights = [
            max(limits[0], row["objective"] or 0.0) if state != "FAIL" else limits[0] for row in trials
        ]
        style: dict[str, Any] = {"linestyle": "", "markersize": 3.6, "clip_on": False}
        places = [row["place"] for row in trials]
        axes.plot(places, heights, marker=marker, color=colour, label=name, **style)
    axes.grid(axis="y")
    last = max(row["place"] for row in rows)
    axes.set(ylim=limits, xlim=(0, last + 1), xlabel="trial of the study", ylabel=f"validation {metric}, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_search(results: Results) -> Exhibit:
    """Return the figure of the search, a panel per study."""
    title, rows = "The search", table_search(results)
    if not rows:
        return Exhibit("search", title, missing="No trial is finished yet.")
    values = sorted(row["objective"] for row in rows if row["objective"] is not None) or [0.0, 1.0]
    low = values[int(0.05 * (len(values) - 1))]  # a few bad trials do not flatten the rest
    pad = max(0.01, 0.12 * (values[-1] - low))
    limits = (max(0.0, low - pad), min(1.0, values[-1] + pad))
    studies, panels = list(dict.fromkeys(row["study"] for row in rows)), []
    for study in studies:
        study_rows = [row for row in rows if row["study"] == study]
        figure = draw_search(study_rows, limits, results.metric, panel_width(len(studies)))
        panels.append(Panel(f"search-{slug(study)}", study, figure))
    caption = (
        f"Mean validation {results.metric} over the selection seeds, trial by trial, and the best complete "
        "trial so far. A trial that was stopped early shows the value of its last rung. A failed trial, "
        "or a value below the axis, stands at the bottom. The best of many noisy values is too good: see "
        "the optimism gap."
    )
    columns = ("study", "place", "kind", "label", "state", "objective", "best")
    return Exhibit("search", title, caption, queries.SEARCH, panels, numbers(rows, columns))
