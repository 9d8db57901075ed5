"""Learning curves of the configurations of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.page import Exhibit, Panel
from ...look.style import Figure
from ...read.results import Results, Row
from ..estimates import ONE_FLOOR, floors_of, limits, sort
from ..exhibits import Draft
from ..lines import Axis, draw_lines, ends_said, lines_of, panels_of
from ..rows import grouped

# In the folder of one run: that run, under empty names.
RUN = """run_of AS (
  SELECT '' AS scenario, '' AS label, '' AS method, 'run' AS kind, run, 0 AS seed
  FROM (SELECT DISTINCT run FROM rounds)
)"""
# The drawn runs: those of confirmed configurations, or of the anchors while nothing is confirmed.
RUNS = """drawn AS (
  SELECT *, if(kind = 'confirm', label, method || ' ' || label) AS name FROM trials
  WHERE (kind = 'confirm' OR (kind = 'contrast' AND factor IS NULL)) AND state <> 'PRUNED'
  QUALIFY (kind = 'confirm') = bool_or(kind = 'confirm') OVER ()
), run_of AS (
  SELECT scenario, name AS label, method, kind, unnest(runs) AS run, unnest(seeds) AS seed FROM drawn
)"""
FLOORS = f"""SELECT scenario, label, kind, metric, mean FROM estimates
WHERE kind = 'floor' AND split = 'validation' AND metric = 'acc_personal_own'
{ONE_FLOOR}
ORDER BY ALL"""
SHOWN = ("scenario", "label", "measure", "round", "mean", "low", "high", "seeds")


def runs_of(results: Results) -> str:
    """Return the start of a query: `run_of` holds the drawn runs with scenario, label and seed."""
    return RUN if results.kind == "run" else RUNS


def query_of_rounds(results: Results, *columns: str) -> str:
    """Return the SQL of columns of the rounds table by scenario, configuration and round, on validation."""
    measured = ", ".join(f"{column}::DOUBLE AS {column}" for column in columns)
    return f"""WITH {runs_of(results)}, measured AS (
  FROM (SELECT run, round, {measured} FROM rounds WHERE split = 'validation')
  UNPIVOT (value FOR measure IN ({", ".join(columns)}))
)
SELECT scenario, label, any_value(method) AS method, any_value(kind) AS kind, measure, round, round AS x,
  avg(value) AS mean, min(value) AS low, max(value) AS high, count(*) AS seeds
FROM run_of JOIN measured USING (run) WHERE isfinite(value)
GROUP BY scenario, label, measure, round ORDER BY ALL"""


def table_curves(results: Results, *columns: str) -> list[Row]:
    """Return columns of the rounds table by scenario, configuration and round.

    Returns:
        Rows with scenario, label, method, look, measure (the column), round and x, mean over seeds, low and
        high (the lowest and the highest seed), and seeds. Rounds without evaluation are left out.
    """
    return sort(results, results.sql(query_of_rounds(results, *columns)))


def panels_of_curves(results: Results, rows: Sequence[Row], key: str, floors: bool = True) -> list[Panel]:
    """Return a panel per scenario, or several where one would hold too many lines."""
    frame, known = limits(rows), grouped(results.sql(FLOORS), "scenario") if floors else {}

    def draw(shown: list[Row]) -> Figure:
        axis = Axis("round", f"validation {results.metric}, %", frame)
        lines = sorted(lines_of(shown, band=True), key=lambda line: -line.rows[-1]["mean"])
        return draw_lines(lines, axis, floors_of(known.get(shown[0]["scenario"], [])))

    return panels_of(rows, key, draw, ends_said)


def exhibit_curves(results: Results) -> Exhibit:
    """Return the figure of the learning curves, a panel per scenario."""
    draft, rows = Draft(results, "curves", "Learning curves"), table_curves(results, "acc_personal_own")
    if not rows:
        return draft.missing("No evaluated round of an anchor or a confirmed configuration is on disk.")
    confirmed = any(row["kind"] == "confirm" for row in rows)
    which = "configurations confirmed on fresh seeds" if confirmed else "the anchors (nothing is confirmed)"
    caption = (
        f"Validation {results.metric} (personal, own distribution) after each evaluated round, of {which}: "
        "mean over seeds, and the range from the lowest to the highest seed (band; no interval). A curve "
        "that ends early diverged. Dashed lines and hollow marks: untuned; a single mark: no training. The "
        "thin grey lines are what no method should fall below."
    )
    panels, query = panels_of_curves(results, rows, draft.key), query_of_rounds(results, "acc_personal_own")
    several = len({row["scenario"] for row in rows}) > 1
    said = "; ".join(panel.alt for panel in panels) if several else ends_said(rows)
    says = f"First to last round: {said}."
    return draft.exhibit(panels, rows, SHOWN, query, caption, says)
