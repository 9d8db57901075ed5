"""The race for the last place: which configurations got more seeds, and when the others left it."""

from __future__ import annotations

from operator import itemgetter

from ...look.page import Table
from ...look.words import bracket, count, points
from ...read.results import Results, Row
from ..rows import Column, filled
from .objectives import Objective, objectives, settings_cell

DECISIVE_SEEDS = 2  # from which the race, not the search, decides which configuration is taken


def query_of(aim: Objective) -> str:
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


def table(results: Results) -> Table | None:
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
    names, body = filled(results.sql(query_of(aim)), columns)
    rule = str((results.meta.get("race") or {}).get("rule") or "The rule is not recorded.")
    direction = " (less is better)" if aim.direction == "minimize" else ""
    caption = (
        f"Rule: {rule} Validation: {aim.words(results.metric)}{direction} on the race's seeds alone, mean "
        "[lowest, highest seed], and the mean difference to the leader on common seeds. The rule decides; "
        "these numbers are no verdicts."
    )
    if any("not decided" in line[5] for line in body):
        caption += " A race that ended after one seed decides nothing: the best of the search was taken."
    title, source = "The race for the last place", results.shown(query_of(aim))
    return Table(names, body, caption, source, key="table-racing", title=title) if body else None
