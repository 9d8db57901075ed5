"""Several objectives of a search: the Pareto front of its configurations."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...look.page import Cell, Exhibit, Table, numbers, slug
from ...look.style import GREY, INK, PALETTE, blank, drawing, legend_below
from ...look.words import TITLES, bracket, listing, percent, size
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import panel
from ..rows import grouped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRACTIONS = ("acc_", "worst_client_", "p10_", "test_acc_")
OBJECTIVE_NAMES = {
    "bytes_up": "bytes sent up",
    "bytes_down": "bytes sent down",
    "flops": "FLOPs",
    "seconds": "seconds",
}
Objective = Mapping[str, str]


def objectives(results: Results) -> list[Objective]:
    """Return name and direction of each objective of the search, the leading one first."""
    return list((results.meta.get("search") or {}).get("objectives") or [])


def value_of(name: str) -> str:
    """Return the SQL of a trial's value of an objective, the mean over its seeds."""
    return f"list_avg({name})" if name.startswith(FRACTIONS) else name


def query_of(wanted: Sequence[Objective]) -> str:
    """Return the SQL of all complete contrast and search trials of the searched studies.

    Its columns are study, scenario, label, params, the objectives, low and high (interval of the first one
    over seeds, where it is an accuracy), front (no other trial of the study is at least as good in all
    objectives and better in one), and of a confirmed trial test, test_low and test_high (the first
    objective).
    """
    names = [objective["name"] for objective in wanted]
    better = {o["name"]: "<" if o["direction"] == "minimize" else ">" for o in wanted}
    columns = ", ".join(f"{value_of(name)} AS {name}" for name in names)
    as_good = " AND ".join(f"q.{name} {better[name]}= p.{name}" for name in names)
    better_in_one = " OR ".join(f"q.{name} {better[name]} p.{name}" for name in names)
    return f"""WITH points AS (
  SELECT study, scenario, method, trial, label, params, {columns} FROM trials
  WHERE kind IN ('contrast', 'search') AND state = 'COMPLETE'
    AND study IN (SELECT study FROM trials WHERE kind = 'search')
), known AS (SELECT * FROM points WHERE {" AND ".join(f"isfinite({name}::DOUBLE)" for name in names)}),
confirmed AS (
  SELECT t.scenario, t.method, t.params, any_value(e.mean) AS test,
    any_value(coalesce(e.low_both, e.low)) AS test_low, any_value(coalesce(e.high_both, e.high)) AS test_high
  FROM trials t LEFT JOIN estimates e ON e.trial = t.trial AND e.kind = 'confirm' AND e.split = 'test'
    AND e.metric = '{names[0]}'
  WHERE t.kind = 'confirm' GROUP BY ALL
)
SELECT p.study, p.scenario, p.label, p.params, {", ".join(f"p.{name}" for name in names)}, e.low, e.high,
  NOT EXISTS (FROM known q WHERE q.study = p.study AND {as_good} AND ({better_in_one})) AS front,
  c.scenario IS NOT NULL AS confirmed, c.test, c.test_low, c.test_high
FROM known p LEFT JOIN confirmed c USING (scenario, method, params)
  LEFT JOIN estimates e ON e.trial = p.trial AND e.kind IN ('contrast', 'search') AND e.split = 'validation'
    AND e.metric = '{names[0]}'
ORDER BY p.study, p.{names[0]} {"ASC" if better[names[0]] == "<" else "DESC"}, p.trial"""


def table_pareto(results: Results) -> list[Row]:
    """Return the rows of `query_of`; [] where the search had one objective."""
    wanted = objectives(results)
    return results.sql(query_of(wanted)) if len(wanted) > 1 else []


def form_of(name: str) -> Callable[[float | None], str]:
    """Return the function that writes a value of an objective."""
    if name.startswith(FRACTIONS):
        return percent
    return size if name.startswith("bytes") else lambda value: "\u2013" if value is None else f"{value:.4g}"


def named(name: str, metric: Metric) -> str:
    """Return an objective in words, with its unit."""
    words = (
        f"{metric} ({TITLES[name]})" if name in TITLES else OBJECTIVE_NAMES.get(name, name.replace("_", " "))
    )
    return words + (", %" if name.startswith(FRACTIONS) else "")


@drawing
def draw_pareto(rows: Sequence[Row], wanted: Sequence[Objective], metric: Metric) -> Figure:
    """Draw one study on its first two objectives: all trials grey, the front joined, confirmed points framed.

    Args:
        rows: Rows of `table_pareto` of one study.
        wanted: The objectives.
        metric: The metric of the sweep.
    """
    figure, axes = blank(3.1)
    y, x = (objective["name"] for objective in wanted[:2])
    x_scale, y_scale = (100.0 if name.startswith(FRACTIONS) else 1.0 for name in (x, y))

    def places(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
        return [x_scale * row[x] for row in rows], [y_scale * row[y] for row in rows]

    front = sorted((row for row in rows if row["front"]), key=lambda row: row[x])
    beaten = [row for row in rows if not row["front"]]
    axes.plot(*places(beaten), "o", color=GREY, markersize=3, label="beaten by another")
    for row in (row for row in front if row["low"] is not None):
        ends = [y_scale * row["low"], y_scale * row["high"]]
        axes.plot([x_scale * row[x]] * 2, ends, color=PALETTE[0], linewidth=0.8, alpha=0.7)
    axes.plot(*places(front), "-o", color=PALETTE[0], markersize=4.2, linewidth=0.9, label="front")
    confirmed = [row for row in front if row["confirmed"]]
    if confirmed:
        frame: dict[str, Any] = {"markeredgecolor": INK, "markersize": 8.5, "markeredgewidth": 1.2}
        axes.plot(*places(confirmed), "o", color="none", label="confirmed on fresh seeds", **frame)
    axes.grid()
    axes.set(xlabel=named(x, metric), ylabel="\n".join(textwrap.wrap(named(y, metric), 28)))
    if x.startswith("bytes"):
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size(value)))
    legend_below(figure, axes)
    return figure


def exhibit(results: Results) -> Exhibit | None:
    """Return the figure of the fronts, a panel per study; None where the search had one objective."""
    wanted, title, metric = objectives(results), "Pareto front of the search", results.metric
    if len(wanted) < 2:
        return None
    rows, names = table_pareto(results), [objective["name"] for objective in wanted]
    if not rows:
        return Exhibit("pareto", title, missing="No trial of the search has all of its objectives.")
    studies, panels = grouped(rows, "study"), []
    for study, group in studies.items():
        front = [row for row in group if row["front"]]
        seen = f"{len(front)} of {len(group)} trials on the front, " + "; ".join(
            ", ".join(form_of(name)(row[name]) for name in names[:2]) for row in front[:6]
        )
        figure = draw_pareto(group, wanted, metric)
        panels.append(panel(f"pareto-{slug(study)}", study, figure, seen))
    directions = {"minimize": "least", "maximize": "most"}
    aims = listing(
        [f"{named(o['name'], metric).removesuffix(', %')} ({directions[o['direction']]})" for o in wanted]
    )
    caption = (
        f"Complete contrast and search trials on validation, by {aims}. Blue: no other trial of the study "
        f"is at least as good in all and better in one; bars are {results.confidence:.0%} intervals over "
        "seeds (none with one seed)."
        + (
            f" The axes show two of {len(wanted)} objectives: a point of the front may look beaten here."
            * (len(wanted) > 2)
        )
        + " The front consists of the luckiest of many noisy values; the table has the values on fresh seeds."
    )
    table = numbers([row for row in rows if row["front"]], ("study", "label", *names, "low", "high"))
    return Exhibit("pareto", title, caption, results.shown(query_of(wanted)), panels, table)


def table(results: Results) -> Table | None:
    """Return the points of the front in all objectives, with the values on test of the confirmed ones."""
    wanted, front = objectives(results), [row for row in table_pareto(results) if row["front"]]
    if not front:
        return None
    names, metric, body = [objective["name"] for objective in wanted], results.metric, list[list[Any]]()
    for row in front:
        cells = [form_of(name)(row[name]) for name in names]
        if names[0].startswith(FRACTIONS):
            cells[0] += " " + (bracket(row["low"], row["high"], percent) or "(one seed)")
        test = "not confirmed"
        if row["confirmed"]:
            form = form_of(names[0])
            test = f"{form(row['test'])} {bracket(row['test_low'], row['test_high'], form)}"
        body.append([row["study"], row["label"], *cells, test, settings_cell(row["params"])])
    columns = ["study", "configuration", *(named(name, metric) for name in names)]
    columns += [f"test: {named(names[0], metric)}", "set"]
    caption = (
        f"Mean and {results.confidence:.0%} interval on validation; on the test split with fresh seeds "
        "where the configuration was confirmed."
    )
    source = results.shown(query_of(wanted))
    return Table(columns, body, caption, source, key="table-pareto", title="The front")


def settings_cell(params: str | None) -> Cell:
    """Return the settings that a trial changed (JSON text), as one cell."""
    text = " ".join(f"{path}={value}" for path, value in json.loads(params or "{}").items())
    return Cell(text or "nothing: the anchor", "code")
