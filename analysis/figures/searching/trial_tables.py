"""Table of all trials."""

from __future__ import annotations

from ...look.page import Cell, Table
from ...read.results import Results, Row
from ..estimates import accuracy_text
from ..rows import Column, filled
from .objectives import settings_cell

TRIALS = """WITH measured AS (
  SELECT trial, kind, split, {'mean': mean, 'low': coalesce(low_both, low), 'high': coalesce(high_both, high),
    'seeds': len(seeds), 'seeds_planned': seeds_planned, 'lost': lost} AS accuracy
  FROM estimates WHERE metric = 'acc_personal_own' AND kind <> 'floor'
)
SELECT t.trial, t.scenario, t.kind, t.label, t.state, t.outcomes, t.reason, v.accuracy AS validation,
  s.accuracy AS test, len(t.seeds) AS seeds, t.rounds, round(t.seconds, 1) AS seconds, t.params
FROM trials t LEFT JOIN measured v ON v.trial = t.trial AND v.kind = t.kind AND v.split = 'validation'
  LEFT JOIN measured s ON s.trial = t.trial AND s.kind = t.kind AND s.split = 'test'
ORDER BY t.trial"""


def table_trials(results: Results) -> Table | None:
    """Return all trials with their state and values, folded; None where there is no trial."""
    columns: list[Column] = [
        *("trial", "scenario", "kind", "label"),
        ("state", lambda row: Cell(*_state(row))),
        ("reason", lambda row: row["reason"] or ""),
        ("validation, %", _validation),
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
