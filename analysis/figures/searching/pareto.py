"""Several objectives of a search: the Pareto front of its configurations."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from ...look.marks import draw_intervals
from ...look.page import Exhibit, Table
from ...look.style import GREY, INK, PALETTE, Figure, blank, drawing, legend_below, percent_axis
from ...look.words import bracket, listing, percent, size
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import panels_by_title
from ..exhibits import Draft
from ..rows import Column, filled, grouped
from .objectives import Objective, objectives, settings_cell


def query_of(wanted: Sequence[Objective]) -> str:
    """Return the SQL of all complete contrast and search trials of the searched studies, with the objectives.

    `low` and `high` are the interval of the first one over seeds, where it is an accuracy; `test`, `test_low`
    and `test_high` its values on test, of a confirmed trial. `front`: no other trial of the study is at least
    as good in all objectives and better in one, among those that break no constraint.
    """
    names, first = [aim.name for aim in wanted], wanted[0]
    columns = ", ".join(f"{aim.value} AS {aim.name}" for aim in wanted)
    signs = {aim.name: "<" if aim.order == "ASC" else ">" for aim in wanted}
    as_good = " AND ".join(f"q.{name} {sign}= p.{name}" for name, sign in signs.items())
    better_in_one = " OR ".join(f"q.{name} {sign} p.{name}" for name, sign in signs.items())
    return f"""WITH points AS (
  SELECT study, scenario, method, trial, label, params, violated, {columns} FROM trials
  WHERE kind IN ('contrast', 'search') AND state = 'COMPLETE'
    AND study IN (SELECT study FROM trials WHERE kind = 'search')
), known AS (SELECT * FROM points WHERE {" AND ".join(f"isfinite({name}::DOUBLE)" for name in names)}),
confirmed AS (
  SELECT t.scenario, t.method, t.params, any_value(e.mean) AS test,
    any_value(coalesce(e.low_both, e.low)) AS test_low, any_value(coalesce(e.high_both, e.high)) AS test_high
  FROM trials t LEFT JOIN estimates e ON e.trial = t.trial AND e.kind = 'confirm' AND e.split = 'test'
    AND e.metric = '{first.name}'
  WHERE t.kind = 'confirm' GROUP BY ALL
)
SELECT p.study, p.scenario, p.label, p.params, {", ".join(f"p.{name}" for name in names)}, e.low, e.high,
  coalesce(p.violated, '') = '' AND NOT EXISTS (FROM known q WHERE q.study = p.study
    AND coalesce(q.violated, '') = '' AND {as_good} AND ({better_in_one})) AS front,
  c.scenario IS NOT NULL AS confirmed, c.test, c.test_low, c.test_high
FROM known p LEFT JOIN confirmed c USING (scenario, method, params)
  LEFT JOIN estimates e ON e.trial = p.trial AND e.kind IN ('contrast', 'search') AND e.split = 'validation'
    AND e.metric = '{first.name}'
ORDER BY p.study, p.{first.name} {first.order}, p.trial"""


def table_pareto(results: Results) -> list[Row]:
    """Return the rows of `query_of`; [] where the search had one objective."""
    wanted = objectives(results)
    return results.sql(query_of(wanted)) if len(wanted) > 1 else []


@drawing
def draw_pareto(rows: Sequence[Row], wanted: Sequence[Objective], metric: Metric) -> Figure:
    """Draw one study on its first two objectives: trials grey, the front joined, confirmed points framed."""
    figure, axes = blank(3.1)
    y, x = wanted[:2]

    def places(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
        return [row[x.name] for row in rows], [row[y.name] for row in rows]

    front = sorted((row for row in rows if row["front"]), key=lambda row: row[x.name])
    beaten = [row for row in rows if not row["front"]]
    axes.plot(*places(beaten), "o", color=GREY, markersize=3, label="beaten by another")
    draw_intervals(axes, places(front)[0], front, PALETTE[0], 0.8, alpha=0.7)
    axes.plot(*places(front), "-o", color=PALETTE[0], markersize=4.2, linewidth=0.9, label="front")
    confirmed = [row for row in front if row["confirmed"]]
    if confirmed:
        frame: dict[str, Any] = {"markeredgecolor": INK, "markersize": 8.5, "markeredgewidth": 1.2}
        axes.plot(*places(confirmed), "o", color="none", label="confirmed on fresh seeds", **frame)
    axes.grid()
    axes.set(xlabel=x.axis(metric), ylabel="\n".join(textwrap.wrap(y.axis(metric), 28)))
    for axis, aim in ((axes.xaxis, x), (axes.yaxis, y)):
        if aim.is_fraction:
            percent_axis(axis)
    if x.name.startswith("bytes"):
        axes.locator_params("x", nbins=3)
        axes.xaxis.set_major_formatter(lambda value, _: size(value))
    legend_below(figure, axes)
    return figure


def exhibit(results: Results) -> Exhibit | None:
    """Return the figure of the fronts, a panel per study; None where the search had one objective."""
    wanted, metric = objectives(results), results.metric
    draft = Draft(results, "pareto", "Pareto front of the search")
    if len(wanted) < 2:
        return None
    rows = table_pareto(results)
    if not rows:
        return draft.missing("No trial of the search has all of its objectives.")

    def seen(rows: list[Row]) -> str:
        front = [row for row in rows if row["front"]]
        values = [", ".join(aim.said(row[aim.name]) for aim in wanted[:2]) for row in front[:6]]
        return f"{len(front)} of {len(rows)} trials on the front, {'; '.join(values)}"

    directions = {"minimize": "least", "maximize": "most"}
    aims = listing([f"{aim.words(metric)} ({directions[aim.direction]})" for aim in wanted])
    hidden = f"The axes show two of {len(wanted)} objectives: a point of the front may look beaten here. "
    caption = (
        f"Complete contrast and search trials on validation, by {aims}. Blue: no other trial of the study "
        f"is at least as good in all and better in one; bars are {results.confidence:.0%} intervals over "
        f"seeds (none with one seed). {hidden if len(wanted) > 2 else ''}The front consists of the luckiest "
        "of many noisy values; the table has the values on fresh seeds."
    )
    by_study = grouped(rows, "study")
    panels = panels_by_title(by_study, "pareto", lambda r: draw_pareto(r, wanted, metric), seen)
    columns = ("study", "label", *(aim.name for aim in wanted), "low", "high")
    front, query = [row for row in rows if row["front"]], query_of(wanted)
    return draft.exhibit(panels, front, columns, query, caption)


def table(results: Results) -> Table | None:
    """Return the points of the front in all objectives, with the values on test of the confirmed ones."""
    wanted, front = objectives(results), [row for row in table_pareto(results) if row["front"]]
    if not front:
        return None
    first, metric = wanted[0], results.metric

    def leading(row: Row) -> str:
        interval = bracket(row["low"], row["high"], percent) or "(one seed)"
        return f"{first.form(row[first.name])} {interval if first.is_fraction else ''}".rstrip()

    def test(row: Row) -> str:
        if not row["confirmed"]:
            return "not confirmed"
        return f"{first.form(row['test'])} {bracket(row['test_low'], row['test_high'], first.form)}"

    columns: list[Column] = [
        "study",
        ("configuration", itemgetter("label")),
        (first.axis(metric), leading),
        *((aim.axis(metric), lambda row, aim=aim: aim.form(row[aim.name])) for aim in wanted[1:]),
        (f"test: {first.axis(metric)}", test),
        ("set", lambda row: settings_cell(row["params"])),
    ]
    names, body = filled(front, columns)
    caption = (
        f"Mean and {results.confidence:.0%} interval on validation; on the test split with fresh seeds "
        "where the configuration was confirmed."
    )
    source = results.shown(query_of(wanted))
    return Table(names, body, caption, source, key="table-pareto", title="The front")
