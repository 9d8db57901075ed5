"""Optimism gap: the value of a chosen configuration in the search, on fresh seeds, and on the test split."""

from __future__ import annotations

from ...look.page import Exhibit
from ...look.words import percent
from ...read.results import Results, Row
from ..estimates import basis, entries_of, limits, sort
from ..exhibits import Draft
from ..lines import Axis, draw_lines, lines_of, panels_of
from ..rows import grouped

STAGES = {
    "search": "validation,\nselection seeds",
    "validation": "validation,\nfresh seeds",
    "test": "test,\nfresh seeds",
}
# The chosen trial has the settings of the tuned configuration; where none has the same, it is the best one.
# A tuned rival has a study of its own. Every trial measures the floors beside itself; one row is shown.
QUERY = r"""WITH tuned AS (
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


def exhibit_optimism(results: Results) -> Exhibit:
    """Return the figure of the optimism gap, a panel per scenario."""
    draft, rows = Draft(results, "optimism", "Optimism gap"), sort(results, results.sql(QUERY))
    if not rows:
        return draft.missing("No tuned configuration is confirmed on fresh seeds, so the gap is not known.")
    axis = Axis("", f"{results.metric}, %", limits(rows), names=list(STAGES.values()))
    panels = panels_of(rows, "optimism", lambda r: draw_lines(lines_of(r), axis, height=2.9), _seen)
    caption = (
        f"The configuration that the search chose: the {results.metric} that made it win (left), the same "
        "settings on seeds that the search never saw (middle), and on the test split with those seeds "
        "(right). The fall from left to middle is the cost of choosing the best of many noisy values; it "
        "also holds chance, because selection and fresh seeds differ. The thin lines are what no method "
        f"should fall below. Bars: {basis(rows, results.confidence)}."
    )
    columns = ("scenario", "label", "chosen", "stage", "mean", "low", "high", "seeds")
    return draft.exhibit(panels, rows, columns, QUERY, caption)


def _seen(rows: list[Row]) -> str:
    """Return what is seen: the three values of each configuration."""
    texts = []
    for label, group in grouped(entries_of(rows), "label").items():
        value = {row["stage"]: f"{row['stage']} {percent(row['mean'])}%" for row in group}
        texts.append(f"{label} {', '.join(value[stage] for stage in STAGES if stage in value)}")
    return "; ".join(texts)
