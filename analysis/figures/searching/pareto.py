"""Objectives of a search: their values in SQL and in words, the Pareto front, the race for the last place."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from ...look.marks import draw_intervals
from ...look.page import Cell, Exhibit, Table
from ...look.style import GREY, INK, PALETTE, Figure, blank, drawing
from ...look.words import TITLES, bracket, count, listing, percent, points, size
from ...read.metric import Metric
from ...read.results import OBJECTIVE, Results, Row
from ..exhibits import Draft, finished, panels_by_title
from ..rows import Column, grouped

DECISIVE_SEEDS = 2  # from which the race, not the search, decides which configuration is taken
OBJECTIVE_NAMES = {"bytes_up": "bytes sent up", "bytes_down": "bytes sent down", "flops": "FLOPs"}


@dataclass(frozen=True)
class Objective:
    """An objective by the name of its column; `direction` is `maximize` or `minimize`."""

    name: str
    direction: str

    @property
    def is_fraction(self) -> bool:
        """Whether its values are fractions, one of each seed."""
        return self.name.startswith(("acc_", "worst_client_", "p10_", "test_acc_"))

    @property
    def value(self) -> str:
        """The SQL of a trial's value, the mean over its seeds, where a lost seed counts as 0."""
        if not self.is_fraction:
            return self.name
        lost = "outcomes[i] IN ('diverged', 'failed')"
        return f"list_avg([if({lost}, 0, value) FOR value, i IN {self.name}])"

    @property
    def order(self) -> str:
        """The SQL order with the best value first."""
        return "ASC" if self.direction == "minimize" else "DESC"

    def form(self, value: float | None) -> str:
        """Write a value."""
        if self.is_fraction or value is None:
            return percent(value)
        return size(value) if self.name.startswith("bytes") else f"{value:.4g}"

    def words(self, metric: Metric) -> str:
        """Name it in words, without its unit."""
        if self.name in TITLES:
            return f"{metric} ({TITLES[self.name]})"
        return OBJECTIVE_NAMES.get(self.name, self.name.replace("_", " "))

    def axis(self, metric: Metric) -> str:
        """Name it in words, with its unit."""
        return self.words(metric) + (", %" if self.is_fraction else "")


def objectives(results: Results) -> list[Objective]:
    """Return the objectives of the search, the leading one first; by default the accuracy of all sweeps."""
    declared = (results.meta.get("search") or {}).get("objectives") or []
    aims = [Objective(aim["name"], aim["direction"]) for aim in declared]
    return aims or [Objective(OBJECTIVE, "maximize")]


def settings_cell(params: str | None) -> Cell:
    """Return the settings that a trial changed (JSON text), as one cell."""
    text = " ".join(f"{path}={value}" for path, value in json.loads(params or "{}").items())
    return Cell(text or "nothing: the anchor", "code")


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
    fractions = "".join(name for name, aim in {"x": x, "y": y}.items() if aim.is_fraction)
    names = {"xlabel": x.axis(metric), "ylabel": "\n".join(textwrap.wrap(y.axis(metric), 28))}
    if x.name.startswith("bytes"):
        axes.locator_params("x", nbins=3)
        axes.xaxis.set_major_formatter(lambda value, _: size(value))
    return finished(figure, axes, "both", fractions, **names)


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
        units = [(aim, "%" if aim.is_fraction else "") for aim in wanted[:2]]
        values = [", ".join(aim.form(row[aim.name]) + unit for aim, unit in units) for row in front[:6]]
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
    panels = panels_by_title(by_study, draft.key, lambda r: draw_pareto(r, wanted, metric), seen)
    columns = ("study", "label", *(aim.name for aim in wanted), "low", "high")
    front, query = [row for row in rows if row["front"]], query_of(wanted)
    return draft.exhibit(panels, front, columns, query, caption)


def table(results: Results) -> Table | None:
    """Return the points of the front in all objectives, with the values on test of the confirmed ones."""
    wanted, front = objectives(results), [row for row in table_pareto(results) if row["front"]]
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
    caption = (
        f"Mean and {results.confidence:.0%} interval on validation; on the test split with fresh seeds "
        "where the configuration was confirmed."
    )
    return Draft(results, "pareto", "The front").plain_table(front, columns, query_of(wanted), caption)


def query_of_race(aim: Objective) -> str:
    """Return the SQL of the race: a row per configuration, those that stayed longest first.

    `looks` are race seeds, `lost` those without a number, `low` and `high` the smallest and largest value,
    `gap` is the mean minus the leader's on common seeds, and `most` the seeds of the one that stayed longest.
    `taken`: its settings were confirmed as the tuned ones; `ended`: those of its study were.
    """
    best = "min" if aim.direction == "minimize" else "max"
    return f"""WITH raced AS (
  SELECT study, scenario, method, label, params, seeds[1] AS seed, trial,
    if(state = 'COMPLETE' AND isfinite({aim.value}), {aim.value}, NULL) AS value
  FROM trials WHERE kind = 'race'
), configurations AS (
  SELECT study, scenario, method, label, any_value(params) AS params, count(DISTINCT seed) AS looks,
    count(DISTINCT seed) - count(value) AS lost, avg(value) AS mean, min(value) AS low, max(value) AS high
  FROM raced GROUP BY study, scenario, method, label
), leaders AS (
  SELECT study, arg_{best}(label, mean) AS leader FROM (
    FROM configurations WHERE lost = 0 QUALIFY looks = max(looks) OVER (PARTITION BY study)
  ) GROUP BY study
), gaps AS (
  SELECT r.study, r.label, avg(r.value - b.value) AS gap
  FROM raced r JOIN leaders l USING (study) JOIN raced b ON b.study = r.study AND b.seed = r.seed AND b.label
  = l.leader
  GROUP BY ALL
), tuned AS (
  SELECT scenario, method, params FROM trials
  WHERE kind = 'confirm' AND tuning IS DISTINCT FROM 'untuned' AND NOT ends_with(label, '(untuned)')
)
SELECT c.*, if(c.label = leader, NULL, gap) AS gap, max(looks) OVER (PARTITION BY c.study) AS most,
  coalesce(c.label = leader, false) AS leads,
  (c.scenario, c.method, c.params) IN (SELECT (scenario, method, params) FROM tuned) AS taken,
  (c.scenario, c.method) IN (SELECT (scenario, method) FROM tuned) AS ended
FROM configurations c LEFT JOIN leaders l ON l.study = c.study
  LEFT JOIN gaps g ON g.study = c.study AND g.label = c.label
ORDER BY c.study, looks DESC, mean {aim.order}, c.label"""


def fate(row: Row) -> str:
    """Return what became of a configuration, as the rows say: what was confirmed is what was taken."""
    if row["lost"]:
        return f"diverges or failed on {row['lost']} of {count(row['looks'], 'seed')}"
    out = f"out after {count(row['looks'], 'seed')}"
    if not row["ended"]:
        return "racing" if row["looks"] >= row["most"] - 1 else out
    if row["taken"]:
        few = f", not decided: {count(row['most'], 'seed')}"
        return f"taken{few if row['most'] < DECISIVE_SEEDS else ''}"
    return out if row["looks"] < row["most"] else "left at the end"


def table_race(results: Results) -> Table | None:
    """Return the race as a table, with its rule in words; None where nothing was raced."""
    aim = objectives(results)[0]  # it decides the race

    def value(row: Row) -> str:
        seeds = bracket(row["low"], row["high"], aim.form) if row["looks"] > 1 else "(one seed)"
        return "\u2013" if row["mean"] is None else f"{aim.form(row['mean'])} {seeds}"

    def gap(row: Row) -> str:
        return "the leader" if row["leads"] else (points if aim.is_fraction else aim.form)(row["gap"])

    columns: list[Column] = [
        "study",
        ("configuration", itemgetter("label")),
        ("race seeds", itemgetter("looks")),
        (f"validation{', %' if aim.is_fraction else ''}", value),
        (f"minus the leader{', points' if aim.is_fraction else ''}", gap),
        ("outcome", fate),
        ("set", lambda row: settings_cell(row["params"])),
    ]
    query = query_of_race(aim)
    rows = results.sql(query)
    rule = str((results.meta.get("race") or {}).get("rule") or "The rule is not recorded.")
    direction = " (less is better)" if aim.direction == "minimize" else ""
    caption = (
        f"Rule: {rule} Validation: {aim.words(results.metric)}{direction} on the race's seeds alone, mean "
        "[lowest, highest seed], and the mean difference to the leader on common seeds. The rule decides; "
        "these numbers are no verdicts."
    )
    if any("not decided" in fate(row) for row in rows):
        caption += " A race that ended after one seed decides nothing: the best of the search was taken."
    draft = Draft(results, "racing", "The race for the last place")
    return draft.plain_table(rows, columns, query, caption)
