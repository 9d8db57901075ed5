"""The search, trial by trial, and the table of all trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...look.marks import draw_intervals
from ...look.page import Cell, Exhibit, Table
from ...look.style import INK, Figure, blank, drawing, integer_axis, legend_below, percent_axis
from ...look.words import count, percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import accuracy_text, panels_by_title
from ..exhibits import Draft
from ..rows import Column, filled, grouped
from .objectives import settings_cell

QUERY = """SELECT t.study, t.scenario, t.method, t.trial, t.label, t.kind, t.state,
  if(t.violated <> '', 'BREAKS', if(t.state IN ('PRUNED', 'FAIL'), t.state, t.kind)) AS shown_as,
  row_number() OVER (PARTITION BY t.study ORDER BY t.trial) AS place,
  if(isfinite(t.objective), t.objective, NULL) AS objective,
  max(if(isfinite(t.objective), t.objective, NULL))
    FILTER (t.state = 'COMPLETE' AND coalesce(t.violated, '') = '')
    OVER (PARTITION BY t.study ORDER BY t.trial) AS best,
  coalesce(e.low, list_min(t.acc_personal_own)) AS low,
  coalesce(e.high, list_max(t.acc_personal_own)) AS high,
  e.low IS NOT NULL AS is_interval, len(t.seeds) AS seeds
FROM trials t LEFT JOIN estimates e ON e.trial = t.trial AND e.split = 'validation'
  AND e.metric = 'acc_personal_own' AND e.kind IN ('contrast', 'search')
WHERE t.kind IN ('contrast', 'search')
ORDER BY t.study, t.trial"""
TRIALS = """WITH measured AS (
  SELECT trial, kind, split, {'mean': mean, 'low': coalesce(low_both, low), 'high': coalesce(high_both, high),
    'seeds': len(seeds), 'seeds_planned': seeds_planned, 'lost': lost} AS accuracy
  FROM estimates WHERE metric = 'acc_personal_own' AND kind <> 'floor'
)
SELECT t.trial, t.scenario, t.kind, t.label, t.state, t.outcomes, t.reason, t.violated,
  if(t.state = 'PRUNED' AND v.accuracy.mean IS NULL, NULL, v.accuracy) AS validation, s.accuracy AS test,
  len(t.seeds) AS seeds, t.rounds, round(t.seconds, 1) AS seconds, t.params
FROM trials t LEFT JOIN measured v ON v.trial = t.trial AND v.kind = t.kind AND v.split = 'validation'
  LEFT JOIN measured s ON s.trial = t.trial AND s.kind = t.kind AND s.split = 'test'
ORDER BY t.trial"""
TRIAL_LOOKS = {  # kind -> name, marker, colour; what diverged or failed or was stopped has a look of its own
    "contrast": ("contrast", "o", "#7a7a7a"),
    "search": ("search", "o", "#0072B2"),
    "PRUNED": ("stopped early", "x", "#B87A00"),
    "BREAKS": ("with a broken constraint", "d", "#CC79A7"),
    "FAIL": ("diverges or failed", "X", "#D55E00"),
}


@drawing
def draw_search(rows: Sequence[Row], limits: tuple[float, float], metric: Metric) -> Figure:
    """Draw the trials of one study as points with their intervals, and the best so far as a step line.

    Failed trials stand at the lower end of the y axis.
    """
    figure, axes = blank(2.9)
    best = {row["place"]: row["best"] for row in rows if row["best"] is not None}
    axes.step(list(best), list(best.values()), where="post", color=INK, linewidth=1.2, label="best so far")
    trials_by_look = grouped(rows, "shown_as")
    for key in (key for key in TRIAL_LOOKS if key in trials_by_look):
        (name, marker, colour), trials, lost = TRIAL_LOOKS[key], trials_by_look[key], key == "FAIL"
        places = [row["place"] for row in trials]
        heights = [limits[0] if lost else max(limits[0], row["objective"] or 0.0) for row in trials]
        style: dict[str, Any] = {"linestyle": "", "markersize": 3.8, "clip_on": False, "label": name}
        axes.plot(places, heights, marker=marker, color=colour, **style)
        if not lost:
            draw_intervals(axes, places, trials, colour, 0.7, alpha=0.7)
    axes.grid(axis="y")
    last = max(row["place"] for row in rows)
    axes.set(ylim=limits, xlim=(0, last + 1), xlabel="trial of the study", ylabel=f"validation {metric}, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_search(results: Results) -> Exhibit:
    """Return the figure of the search, a panel per study."""
    draft, rows = Draft(results, "search", "The search"), results.sql(QUERY)
    if not rows:
        return draft.missing("No trial is finished.")
    kept = [row["objective"] for row in rows if row["objective"] is not None and row["state"] != "FAIL"]
    values = sorted(kept) or [0.0, 1.0]
    low = values[int(0.05 * (len(values) - 1))]  # a few bad trials do not flatten the rest
    pad = max(0.01, 0.12 * (values[-1] - low))
    limits = max(0.0, low - pad), min(1.0, values[-1] + pad)
    by_study, metric = grouped(rows, "study"), results.metric
    panels = panels_by_title(by_study, "search", lambda r: draw_search(r, limits, metric), _seen)
    interval = any(row["is_interval"] for row in rows)
    bars = f"its {results.confidence:.0%} interval over seeds" if interval else "the range of its seeds"
    caption = (
        f"Mean validation {results.metric} over the selection seeds, trial by trial, with {bars} (bar; none "
        "with one seed), and the best complete trial so far. A trial that was stopped early shows the value "
        "of its last rung. A trial that diverged or failed, or a value below the axis, stands at the "
        "bottom. The best of many noisy values is too good: see the optimism gap."
    )
    columns = ("study", "place", "kind", "label", "state", "objective", "low", "high", "seeds", "best")
    return draft.exhibit(panels, rows, columns, QUERY, caption)


def _seen(rows: Sequence[Row]) -> str:
    """Return what is seen: how many trials of each kind, and the best value."""
    kinds = [f"{len(group)} {TRIAL_LOOKS[key][0]}" for key, group in grouped(rows, "shown_as").items()]
    best = f", best {percent(rows[-1]['best'])}%" if rows[-1]["best"] is not None else ""
    return f"{count(len(rows), 'trial')} ({', '.join(kinds)}){best}"


def table_trials(results: Results) -> Table | None:
    """Return all trials with their state and values, folded; None where there is no trial."""
    columns: list[Column] = [
        *("trial", "scenario", "kind", "label"),
        ("state", lambda row: Cell(*_state(row))),
        ("reason", lambda row: row["reason"] or ""),
        ("validation, %", lambda row: accuracy_text(row["validation"]) or "\u2013"),
        ("test, %", lambda row: accuracy_text(row["test"])),
        *("seeds", "rounds", "seconds"),
        ("set", lambda row: settings_cell(row["params"])),
    ]
    names, body = filled(results.sql(TRIALS), columns)
    caption = (
        f"Personal {results.metric} on the client's own distribution, mean [{results.confidence:.0%} "
        "interval]: over seeds and images where images were kept, else over seeds."
    )
    folded, source = f"All {len(body)} trials", results.shown(TRIALS)
    return Table(names, body, caption, source, folded, key="table-trials", title="Trials") if body else None


def _state(row: Row) -> tuple[str, str]:
    """Return the state of a trial in words, and its look."""
    lost = [outcome for outcome in row["outcomes"] or [] if outcome in ("diverged", "failed")]
    if "diverged" in lost or (row["reason"] or "").startswith("diverged"):
        return f"diverges ({len(lost) or row['seeds']} of {row['seeds']} seeds)", "diverges"
    if row["violated"]:
        return f"breaks {row['violated']}", "undecided"
    looks = {"FAIL": ("failed", "diverges"), "PRUNED": ("stopped early", "undecided")}
    return looks.get(row["state"], ("complete", ""))
