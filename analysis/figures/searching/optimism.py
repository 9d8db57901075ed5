"""Optimism gap: the value of a chosen configuration in the search, on fresh seeds, and on the test split."""

from __future__ import annotations

from ...look.page import Exhibit, numbers
from ...look.words import percent
from ...read.results import Results, Row
from ..estimates import basis, limits, sort
from ..lines import Axis, draw_lines, lines_of, panels_of
from ..rows import grouped

STAGES = {
    "search": "validation,\nselection seeds",
    "validation": "validation,\nfresh seeds",
    "test": "test,\nfresh seeds",
}
# The chosen trial has the settings of the tuned configuration; where none has the same, it is the best one.
# A tuned rival has a study of its own.
QUERY = r"""WITH tuned AS (
  SELECT trial, study, scenario, method, label, params,
    regexp_replace(label, ' \((tuned|best of .*)\)$', '') AS entry
  FROM trials WHERE kind = 'confirm' AND regexp_matches(label, ' \((tuned|best of .*)\)$')
), tried AS (
  SELECT t.trial AS winner, s.trial, s.label AS chosen, s.params = t.params AS exact, s.objective
  FROM tuned t JOIN trials s ON s.method = t.method AND s.kind IN ('contrast', 'search')
    AND s.state = 'COMPLETE'
    AND s.study IN (t.study, replace(t.study, ' | ', ' ' || t.entry || ' | '))
  QUALIFY row_number() OVER (PARTITION BY t.trial ORDER BY exact DESC, s.objective DESC) = 1
), stages AS (
  SELECT winner, winner AS trial, 'validation' AS split, 'validation' AS stage, 1 AS x FROM tried
  UNION ALL SELECT winner, winner, 'test', 'test', 2 FROM tried
  UNION ALL SELECT winner, trial, 'validation', 'search', 0 FROM tried
)
SELECT t.scenario, t.entry || ' under ' || t.scenario AS label, t.method, 'confirm' AS kind, t.entry,
  c.chosen || if(c.exact, '', ' (best; no trial has exactly these settings)') AS chosen, s.stage, s.x,
  e.metric, e.mean, e.low, e.high, false AS over_images, len(e.seeds) AS seeds
FROM stages s JOIN tuned t ON t.trial = s.winner JOIN tried c ON c.winner = s.winner
  JOIN estimates e ON e.trial = s.trial AND e.split = s.split
WHERE e.metric = 'acc_personal_own' AND isfinite(e.mean) AND e.kind IN ('contrast', 'search', 'confirm')
ORDER BY ALL"""


def exhibit_optimism(results: Results) -> Exhibit:
    """Return the figure of the optimism gap."""
    title, rows = "Optimism gap", sort(results, results.sql(QUERY))
    if not rows:
        missing = "No tuned configuration is confirmed on fresh seeds, so the gap is not known."
        return Exhibit("optimism", title, missing=missing)
    axis = Axis("", f"{results.metric}, %", limits(rows), names=list(STAGES.values()))
    many = len({row["label"] for row in rows}) > 5
    if many:
        rows = [{**row, "label": row["entry"]} for row in rows]
    placed = [{**row, "panel": row["scenario"] if many else "Chosen configurations"} for row in rows]
    panels = panels_of(
        placed,
        "optimism",
        lambda shown: draw_lines(lines_of(shown), axis, height=2.9),
        _seen,
        "panel",
    )
    caption = (
        f"The configuration that the search chose: the {results.metric} that made it win (left), the same "
        "settings on seeds that the search never saw (middle), and on the test split with those seeds "
        "(right). The fall from left to middle is the cost of choosing the best of many noisy values; it "
        "also holds chance, because selection and fresh seeds differ. Bars: "
        f"{basis(rows, results.confidence)}."
    )
    table, says = (
        numbers(rows, ("scenario", "entry", "chosen", "stage", "mean", "low", "high", "seeds")),
        _seen(rows),
    )
    return Exhibit("optimism", title, caption, results.shown(QUERY), panels, table, says=f"{says}.")


def _seen(rows: list[Row]) -> str:
    """Return what is seen: the three values of each configuration."""
    texts = []
    for label, group in grouped(rows, "label").items():
        value = {row["stage"]: f"{percent(row['mean'])}%" for row in group}
        texts.append(
            f"{label}: " + ", ".join(f"{stage} {value[stage]}" for stage in STAGES if stage in value)
        )
    return "; ".join(texts)
