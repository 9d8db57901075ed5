"""The search, trial by trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.page import Exhibit, numbers, slug
from ...look.style import INK, blank, drawing, integer_axis, legend_below, percent_axis
from ...look.words import count, percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import is_number, panel
from ..rows import grouped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUERY = """SELECT t.study, t.scenario, t.method, t.trial, t.label, t.kind, t.state, t.outcomes,
  row_number() OVER (PARTITION BY t.study ORDER BY t.trial) AS place,
  if(isfinite(t.objective), t.objective, NULL) AS objective,
  max(if(isfinite(t.objective), t.objective, NULL)) FILTER (t.state = 'COMPLETE')
    OVER (PARTITION BY t.study ORDER BY t.trial) AS best,
  coalesce(e.low, list_min(t.acc_personal_own)) AS low,
  coalesce(e.high, list_max(t.acc_personal_own)) AS high,
  e.low IS NOT NULL AS is_interval, len(t.seeds) AS seeds
FROM trials t LEFT JOIN estimates e ON e.trial = t.trial AND e.split = 'validation'
  AND e.metric = 'acc_personal_own' AND e.kind IN ('contrast', 'search')
WHERE t.kind IN ('contrast', 'search')
ORDER BY t.study, t.trial"""
TRIAL_LOOKS = {  # kind -> name, marker, colour; what diverged or failed or was stopped has a look of its own
    "contrast": ("contrast", "o", "#7a7a7a"),
    "search": ("search", "o", "#0072B2"),
    "PRUNED": ("stopped early", "x", "#B87A00"),
    "FAIL": ("diverges or failed", "X", "#D55E00"),
}


def look_of(row: Row) -> str:
    """Return the key of a trial's look."""
    return str(row["state"] if row["state"] in TRIAL_LOOKS else row["kind"])


@drawing
def draw_search(rows: Sequence[Row], limits: tuple[float, float], metric: Metric) -> Figure:
    """Draw the trials of one study as points with their intervals, and the best so far as a step line.

    Args:
        rows: Rows of `QUERY` of one study.
        limits: Ends of the y axis, as fractions; failed trials stand at the lower end.
        metric: The metric of the sweep.
    """
    figure, axes = blank(2.9)
    best = {row["place"]: row["best"] for row in rows if row["best"] is not None}
    axes.step(list(best), list(best.values()), where="post", color=INK, linewidth=1.2, label="best so far")
    by_look = grouped([{**row, "as": look_of(row)} for row in rows], "as")
    for key, (name, marker, colour) in TRIAL_LOOKS.items():
        trials = by_look.get(key, [])
        lost = key == "FAIL"
        heights = [limits[0] if lost else max(limits[0], row["objective"] or 0.0) for row in trials]
        style: dict[str, Any] = {"linestyle": "", "markersize": 3.8, "clip_on": False}
        if trials:
            axes.plot([r["place"] for r in trials], heights, marker=marker, color=colour, label=name, **style)
        for row in trials if not lost else []:
            if is_number(row["low"]) and is_number(row["high"]):
                axes.plot(
                    [row["place"]] * 2, [row["low"], row["high"]], color=colour, linewidth=0.7, alpha=0.7
                )
    axes.grid(axis="y")
    last = max(row["place"] for row in rows)
    axes.set(ylim=limits, xlim=(0, last + 1), xlabel="trial of the study", ylabel=f"validation {metric}, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_search(results: Results) -> Exhibit:
    """Return the figure of the search, a panel per study."""
    title, rows = "The search", results.sql(QUERY)
    if not rows:
        return Exhibit("search", title, missing="No trial is finished.")
    kept = [row["objective"] for row in rows if row["objective"] is not None and row["state"] != "FAIL"]
    values = sorted(kept) or [0.0, 1.0]
    low = values[int(0.05 * (len(values) - 1))]  # a few bad trials do not flatten the rest
    pad = max(0.01, 0.12 * (values[-1] - low))
    limits, studies = (max(0.0, low - pad), min(1.0, values[-1] + pad)), grouped(rows, "study")
    panels = [
        panel(
            f"search-{slug(study)}",
            study,
            draw_search(group, limits, results.metric),
            _seen(group),
        )
        for study, group in studies.items()
    ]
    interval = any(row["is_interval"] for row in rows)
    bars = f"its {results.confidence:.0%} interval over seeds" if interval else "the range of its seeds"
    caption = (
        f"Mean validation {results.metric} over the selection seeds, trial by trial, with {bars} (bar; none "
        "with one seed), and the best complete trial so far. A trial that was stopped early shows the value "
        "of its last rung. A trial that diverged or failed, or a value below the axis, stands at the "
        "bottom. The best of many noisy values is too good: see the optimism gap."
    )
    columns = ("study", "place", "kind", "label", "state", "objective", "low", "high", "seeds", "best")
    says = "; ".join(p.alt for p in panels)
    return Exhibit(
        "search", title, caption, results.shown(QUERY), panels, numbers(rows, columns), says=f"{says}."
    )


def _seen(rows: Sequence[Row]) -> str:
    """Return what is seen: how many trials of each kind, and the best value."""
    kinds = [
        f"{len(group)} {TRIAL_LOOKS[key][0]}"
        for key, group in grouped([{**r, "as": look_of(r)} for r in rows], "as").items()
    ]
    best = rows[-1]["best"]
    return f"{count(len(rows), 'trial')} ({', '.join(kinds)})" + (
        f", best {percent(best)}%" if best is not None else ""
    )
