"""Table of all trials."""

from __future__ import annotations

from ...look.page import Cell, Table
from ...read.results import Results, Row
from ..estimates import accuracy_text
from .pareto import settings_cell

ENDS = """mean, coalesce(low_both, low) AS low, coalesce(high_both, high) AS high, len(seeds) AS seeds,
    seeds_planned, lost"""
TRIALS = f"""WITH measured AS (
  SELECT trial, kind, split, {ENDS} FROM estimates WHERE metric = 'acc_personal_own' AND kind <> 'floor'
)
SELECT t.trial, t.scenario, t.kind, t.label, t.state, t.outcomes, t.reason,
  if(v.trial IS NULL, NULL, {{'mean': v.mean, 'low': v.low, 'high': v.high, 'seeds': v.seeds,
    'seeds_planned': v.seeds_planned, 'lost': v.lost}}) AS validation,
  if(s.trial IS NULL, NULL, {{'mean': s.mean, 'low': s.low, 'high': s.high, 'seeds': s.seeds,
    'seeds_planned': s.seeds_planned, 'lost': s.lost}}) AS test,
  len(t.seeds) AS seeds, t.rounds, round(t.seconds, 1) AS seconds, t.params
FROM trials t LEFT JOIN measured v ON v.trial = t.trial AND v.kind = t.kind AND v.split = 'validation'
  LEFT JOIN measured s ON s.trial = t.trial AND s.kind = t.kind AND s.split = 'test'
ORDER BY t.trial"""
COLUMNS = (
    *("trial", "scenario", "kind", "label", "state", "reason", "validation, %", "test, %", "seeds", "rounds"),
    *("seconds", "set"),
)


def table_trials(results: Results) -> Table | None:
    """Return all trials with their state and values, folded; None where there is no trial."""
    rows = results.sql(TRIALS)
    body = [
        [
            *(row[key] for key in ("trial", "scenario", "kind", "label")),
            Cell(*_state(row)),
            row["reason"] or "",
            _validation(row),
            accuracy_text(row["test"]),
            *(row[key] for key in ("seeds", "rounds", "seconds")),
            settings_cell(row["params"]),
        ]
        for row in rows
    ]
    caption = (
        f"Personal {results.metric} on the client's own distribution, mean [{results.confidence:.0%} "
        "interval]: over seeds and images where images were kept, else over seeds."
    )
    folded, source = f"All {len(body)} trials", results.shown(TRIALS)
    return Table(COLUMNS, body, caption, source, folded, key="table-trials", title="Trials") if rows else None


def _validation(row: Row) -> str:
    """Return the validation accuracy of a trial; one that was stopped early has none of all its rounds."""
    stopped = row["state"] == "PRUNED" and (row["validation"] or {}).get("mean") is None
    return "\u2013" if stopped else accuracy_text(row["validation"]) or "\u2013"


def _state(row: Row) -> tuple[str, str]:
    """Return the state of a trial in words, and its look."""
    lost = [outcome for outcome in row["outcomes"] or [] if outcome in ("diverged", "failed")]
    if "diverged" in lost or (row["reason"] or "").startswith("diverged"):
        return f"diverges ({len(lost) or row['seeds']} of {row['seeds']} seeds)", "diverges"
    return {"FAIL": ("failed", "diverges"), "PRUNED": ("stopped early", "undecided")}.get(
        row["state"], ("complete", "")
    )
