"""The search: trial by trial, what tuning tried, the optimism gap, and the table of all trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...look.entries import base_label, looks_of
from ...look.marks import draw_intervals
from ...look.page import Cell, Exhibit, Table
from ...look.style import INK, Figure, Look, blank, drawing, integer_axis
from ...look.words import count, listing, percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import accuracy_text, basis, entries_of, floors_of, is_number, limits, sort
from ..exhibits import Draft, finished, panels_by_title
from ..lines import Axis, Line, draw_lines, lines_of, panels_of, put_lines
from ..outcomes.curves import FLOORS
from ..rows import Column, grouped, place_in, scenario_order
from .pareto import settings_cell

STAGES = {
    "search": "validation,\nselection seeds",
    "validation": "validation,\nfresh seeds",
    "test": "test,\nfresh seeds",
}
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
# The chosen trial has the settings of the tuned configuration; where none has the same, it is the best one.
# A tuned rival has a study of its own. Every trial measures the floors beside itself; one row is shown.
OPTIMISM = r"""WITH tuned AS (
  SELECT trial, study, scenario, method, params,
    regexp_replace(label, ' \((tuned|best of .*)\)$', '') AS entry
  FROM trials WHERE kind = 'confirm' AND regexp_matches(label, ' \((tuned|best of .*)\)$')
), tried AS (
  SELECT t.trial AS winner, s.trial, s.label AS chosen, s.params = t.params AS exact, s.objective
  FROM tuned t JOIN trials s ON s.method = t.method AND s.kind IN ('contrast', 'search')
    AND s.state = 'COMPLETE' AND coalesce(s.violated, '') = ''
    AND s.study IN (t.study, replace(t.study, ' | ', ' ' || t.entry || ' | '))
  QUALIFY row_number() OVER (PARTITION BY t.trial ORDER BY exact DESC, s.objective DESC) = 1
)
SELECT t.scenario, if(e.kind = 'floor', e.label, t.entry) AS label, t.method,
  if(e.kind = 'floor', 'floor', 'confirm') AS kind,
  if(e.kind = 'floor', NULL, c.chosen || if(c.exact, '', ' (best; no trial has exactly these settings)'))
    AS chosen,
  if(e.trial = c.trial, 'search', e.split) AS stage,
  list_position(['search', 'validation', 'test'], stage) - 1 AS x,
  e.mean, e.low, e.high, len(e.seeds) AS seeds
FROM tried c JOIN tuned t ON t.trial = c.winner
  JOIN estimates e ON e.trial = c.winner OR (e.trial = c.trial AND e.split = 'validation')
WHERE e.metric = 'acc_personal_own' AND isfinite(e.mean)
QUALIFY e.kind <> 'floor'
  OR row_number() OVER (PARTITION BY t.scenario, e.label, stage ORDER BY len(e.seeds) DESC, e.trial) = 1
ORDER BY ALL"""
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
# Search trials that set one number; `edge`: the best level is the smallest or the largest of several tried
# ones.
TUNING = """WITH tried AS (
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
TRIAL_LOOKS = {  # kind -> name, marker, colour; what diverged or failed or was stopped has a look of its own
    "contrast": ("contrast", "o", "#7a7a7a"),
    "search": ("search", "o", "#0072B2"),
    "PRUNED": ("stopped early", "x", "#B87A00"),
    "BREAKS": ("with a broken constraint", "d", "#CC79A7"),
    "FAIL": ("diverges or failed", "X", "#D55E00"),
}


@drawing
def draw_search(rows: Sequence[Row], frame: tuple[float, float], metric: Metric) -> Figure:
    """Draw the trials of one study with their intervals, failed ones at the bottom, and the best so far."""
    figure, axes = blank(2.9)
    best = {row["place"]: row["best"] for row in rows if row["best"] is not None}
    axes.step(list(best), list(best.values()), where="post", color=INK, linewidth=1.2, label="best so far")
    trials_by_look = grouped(rows, "shown_as")
    for key in (key for key in TRIAL_LOOKS if key in trials_by_look):
        (name, marker, colour), trials, lost = TRIAL_LOOKS[key], trials_by_look[key], key == "FAIL"
        places = [row["place"] for row in trials]
        heights = [frame[0] if lost else max(frame[0], row["objective"] or 0.0) for row in trials]
        style: dict[str, Any] = {"linestyle": "", "markersize": 3.8, "clip_on": False, "label": name}
        axes.plot(places, heights, marker=marker, color=colour, **style)
        if not lost:
            draw_intervals(axes, places, trials, colour, 0.7, alpha=0.7)
    integer_axis(axes.xaxis)
    reach: dict[str, Any] = {"ylim": frame, "xlim": (0, max(row["place"] for row in rows) + 1)}
    names = {"xlabel": "trial of the study", "ylabel": f"validation {metric}, %"}
    return finished(figure, axes, "y", "y", **reach, **names)


def exhibit_search(results: Results) -> Exhibit:
    """Return the figure of the search, a panel per study."""
    draft, rows = Draft(results, "search", "The search"), results.sql(QUERY)
    if not rows:
        return draft.missing("No trial is finished.")
    kept = [row["objective"] for row in rows if row["objective"] is not None and row["state"] != "FAIL"]
    values = sorted(kept) or [0.0, 1.0]
    low = values[int(0.05 * (len(values) - 1))]  # a few bad trials do not flatten the rest
    pad = max(0.01, 0.12 * (values[-1] - low))
    frame = max(0.0, low - pad), min(1.0, values[-1] + pad)
    by_study, metric = grouped(rows, "study"), results.metric
    panels = panels_by_title(by_study, draft.key, lambda r: draw_search(r, frame, metric), _seen)
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
    kinds = [f"{len(group)} {TRIAL_LOOKS[key][0]}" for key, group in grouped(rows, "shown_as").items()]
    best = f", best {percent(rows[-1]['best'])}%" if rows[-1]["best"] is not None else ""
    return f"{count(len(rows), 'trial')} ({', '.join(kinds)}){best}"


def exhibit_optimism(results: Results) -> Exhibit:
    """Return the figure of the optimism gap, a panel per scenario."""
    draft, rows = Draft(results, "optimism", "Optimism gap"), sort(results, results.sql(OPTIMISM))
    if not rows:
        return draft.missing("No tuned configuration is confirmed on fresh seeds, so the gap is not known.")
    axis = Axis("", f"{results.metric}, %", limits(rows), names=list(STAGES.values()))
    panels = panels_of(rows, draft.key, lambda r: draw_lines(lines_of(r), axis, height=2.9), _stages_seen)
    caption = (
        f"The configuration that the search chose: the {results.metric} that made it win (left), the same "
        "settings on seeds that the search never saw (middle), and on the test split with those seeds "
        "(right). The fall from left to middle is the cost of choosing the best of many noisy values; it "
        "also holds chance, because selection and fresh seeds differ. The thin lines are what no method "
        f"should fall below. Bars: {basis(rows, results.confidence)}."
    )
    columns = ("scenario", "label", "chosen", "stage", "mean", "low", "high", "seeds")
    return draft.exhibit(panels, rows, columns, OPTIMISM, caption)


def _stages_seen(rows: list[Row]) -> str:
    texts = []
    for label, group in grouped(entries_of(rows), "label").items():
        value = {row["stage"]: f"{row['stage']} {percent(row['mean'])}%" for row in group}
        texts.append(f"{label} {', '.join(value[stage] for stage in STAGES if stage in value)}")
    return "; ".join(texts)


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
    rows = [{**row, "entry": row["entry"].removeprefix(space)} for row in results.sql(TUNING)]
    return sorted(
        rows, key=lambda r: (place_in(scenarios, r["scenario"]), place_in(grid, r["entry"]), r["level"])
    )


@drawing
def draw_tuning(rows: Sequence[Row], axis: Axis, floors: Sequence[Row]) -> Figure:
    """Draw a line per entry, with a hollow mark at its best level, and the floors."""
    lines = lines_of(rows)
    figure = draw_lines(lines, axis, floors_of(floors))
    looks = [Look(line.look.colour, "o", "", hollow=True) for line in lines]
    best = [[row for row in line.rows if row["best"]] for line in lines]
    marks = [Line("", look, group) for look, group in zip(looks, best, strict=True)]
    put_lines(figure.axes[0], marks, axis)
    return figure


def exhibit_tuning(results: Results) -> Exhibit | None:
    """Return the figure of the tuning, a panel per scenario; None where no entry was tuned so."""
    rows = table_tuning(results)
    measured = [row for row in rows if is_number(row["mean"])]
    if not measured:
        return None
    looks = looks_of({row["entry"]: row["method"] for row in measured})
    measured = [{**row, "label": row["entry"], "look": looks[row["entry"]]} for row in measured]
    floors, path = grouped(results.sql(FLOORS), "scenario"), measured[0]["path"]
    frame = limits([*measured, *(row for group in floors.values() for row in group)])
    levels = sorted({row["level"] for row in measured})
    axis = Axis(path, f"validation {results.metric}, %", frame, values=levels)

    def draw(shown: list[Row]) -> Figure:
        return draw_tuning(shown, axis, floors.get(shown[0]["scenario"], ()))

    lost = len(rows) - len(measured)
    missing = f"{count(lost, 'trial')} not drawn: diverged, failed or stopped. " if lost else ""
    caption = (
        f"Mean validation {results.metric} (personal, own distribution) over the selection seeds at every "
        f"tried {path}, with its {results.confidence:.0%} interval over seeds (bar; none with one seed); all "
        "entries were tried at the same values. The hollow mark is the value that was confirmed on fresh "
        f"seeds. The thin lines are what no method should fall below. {missing}{edges(rows)}"
    ).strip()
    columns = ("scenario", "entry", "path", "level", "state", "mean", "low", "high", "seeds", "best", "edge")
    panels = panels_of(measured, "tuning", draw, _levels_seen)
    return Draft(results, "tuning", "Tuning").exhibit(panels, rows, columns, TUNING, caption)


def _levels_seen(rows: list[Row]) -> str:
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


def table_trials(results: Results) -> Table | None:
    """Return all trials with their state and values, folded; None where there is no trial."""
    columns: list[Column] = [
        *("trial", "scenario", "kind", "label"),
        ("state", _state),
        ("reason", lambda row: row["reason"] or ""),
        ("validation, %", lambda row: accuracy_text(row["validation"]) or "\u2013"),
        ("test, %", lambda row: accuracy_text(row["test"])),
        *("seeds", "rounds", "seconds"),
        ("set", lambda row: settings_cell(row["params"])),
    ]
    rows, draft = results.sql(TRIALS), Draft(results, "trials", "Trials")
    caption = (
        f"Personal {results.metric} on the client's own distribution, mean [{results.confidence:.0%} "
        "interval]: over seeds and images where images were kept, else over seeds."
    )
    return draft.plain_table(rows, columns, TRIALS, caption, f"All {len(rows)} trials")


def _state(row: Row) -> Cell:
    lost = [outcome for outcome in row["outcomes"] or [] if outcome in ("diverged", "failed")]
    if "diverged" in lost or (row["reason"] or "").startswith("diverged"):
        return Cell(f"diverges ({len(lost) or row['seeds']} of {row['seeds']} seeds)", "diverges")
    if row["violated"]:
        return Cell(f"breaks {row['violated']}", "undecided")
    looks = {"FAIL": Cell("failed", "diverges"), "PRUNED": Cell("stopped early", "undecided")}
    return looks.get(row["state"], Cell("complete"))
