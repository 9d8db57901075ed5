"""Learning curves for the explore page: a curve per run, on validation."""

from __future__ import annotations

from ..figures.rows import grouped
from ..read.results import Results, Row
from .columns import filled, finite, spread, titles_of

MAX_NUMBERS = 150_000  # of all curves together: about 1.2 MB
METRICS = ("acc_personal_own", "acc_personal_global", "acc_shared_own", "acc_shared_global", "loss")
# Positions of the trials of each run (equal configurations share their runs), and the place of the run: first
# seeds come before others, and among them those of tested trials.
OWNERS = """owners AS (
  SELECT run, list(position ORDER BY position) AS trials, arg_min(seed, position) AS seed,
    bool_or(tested) AS tested, min([rank, if(tested, 0, 1), position]) AS place
  FROM (
    SELECT unnest(runs) AS run, unnest(seeds) AS seed, generate_subscripts(runs, 1) AS rank,
      kind IN ('confirm', 'transfer') AS tested,
      row_number() OVER (ORDER BY trial, number, finished, study) - 1 AS position
    FROM trials
  ) GROUP BY run
)"""
QUERY = f"""SELECT coalesce(run, '') AS run, round, {finite(*METRICS)} FROM rounds
WHERE coalesce(split, 'validation') = 'validation' AND ({" OR ".join(f"isfinite({m})" for m in METRICS[:4])})
ORDER BY run, round"""


def curves_of(results: Results) -> Row:
    """Return the learning curves of all runs, also of those that are under way.

    Returns:
        `runs`: a record per run with `run`, `trials` (positions of the trials that it belongs to; none for a
        single run, or one whose trial has not ended), `seed`, `round` and `values` (metric -> numbers, of the
        same length), and label, scenario and method where there is no trial; `titles` of the metrics;
        `notes`: what was left out.
    """
    rows = results.sql(QUERY)
    owners = {row["run"]: row for row in results.sql(f"WITH {OWNERS} SELECT run, trials, seed FROM owners")}
    by_run, metrics = grouped(rows, "run"), list(filled(rows, METRICS))
    most = max(2, MAX_NUMBERS // max(1, len(by_run) * (len(metrics) + 1)))
    runs = []
    for run, evaluated in by_run.items():
        kept = spread(evaluated, most)
        numbers = {"round": [row["round"] for row in kept],
                   "values": {name: [row[name] for row in kept] for name in metrics}}  # fmt: skip
        runs.append({**(owners.get(run) or _names(results, run)), **numbers})
    longest = max(map(len, by_run.values()), default=0)
    note = f"At most {most} of up to {longest} evaluated rounds of a run are on this page, evenly spread."
    notes = [note] if longest > most else []
    return {"runs": runs, "titles": titles_of(metrics, results.metric), "notes": notes}


def _names(results: Results, run: str) -> Row:
    """Return label, scenario and method of a run that belongs to no ended trial."""
    alone = results.kind == "run"
    meta = results.meta if alone else results.run_meta(run)
    experiment = meta.get("experiment") or {}
    return {
        "run": run,
        "trials": [],
        "seed": None,
        "label": str(meta.get("label") or run) + ("" if alone else " (in no ended trial)"),
        "scenario": str(meta.get("scenario_label") or ""),
        "method": str((experiment.get("method") or {}).get("name") or ""),
    }
