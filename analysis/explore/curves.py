"""Learning curves for the explore page: a curve per run, on validation."""

from __future__ import annotations

from typing import Any

from ..figures.rows import grouped
from ..read.results import TESTED, Results, Row
from .columns import filled, finite, spread, titles_of

MAX_NUMBERS = 150_000  # of all curves together: about 1.2 MB
METRICS = ("acc_personal_own", "acc_personal_global", "acc_shared_own", "acc_shared_global", "loss")
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
    rows, owners = results.sql(QUERY), owners_of(results)
    by_run, metrics = grouped(rows, "run"), list(filled(rows, METRICS))
    most = max(2, MAX_NUMBERS // max(1, len(by_run) * (len(metrics) + 1)))
    runs = []
    for run, evaluated in by_run.items():
        kept = spread(evaluated, most)
        numbers = {"round": [row["round"] for row in kept],
                   "values": {name: [row[name] for row in kept] for name in metrics}}  # fmt: skip
        names = {} if run in owners else _names(results, run)
        runs.append({"run": run, **owner_of(owners, run), **names, **numbers})
    longest = max(map(len, by_run.values()), default=0)
    note = f"At most {most} of up to {longest} evaluated rounds of a run are on this page, evenly spread."
    notes = [note] if longest > most else []
    return {"runs": runs, "titles": titles_of(metrics, results.metric), "notes": notes}


def owners_of(results: Results) -> dict[str, Row]:
    """Return what is known of each run from its trials; equal configurations share their runs.

    Returns:
        Run -> `trials` (their positions), `seed`, `tested` (whether one opened the test split) and `order`:
        the first seeds come before others, and among them the tested trials.
    """
    owners: dict[str, Row] = {}
    for place, trial in enumerate(results.trials):
        tested = trial.get("kind") in TESTED
        pairs = zip(trial.get("runs") or [], trial.get("seeds") or [], strict=False)
        for rank, (run, seed) in enumerate(pairs):
            order = (rank, not tested, place)
            own = owners.setdefault(str(run), {"trials": [], "seed": seed, "tested": False, "order": order})
            own["trials"].append(place)
            own |= {"tested": own["tested"] or tested, "order": min(own["order"], order)}
    return owners


def owner_of(owners: dict[str, Row], run: str) -> dict[str, Any]:
    """Return the positions of the trials of a run, and its seed."""
    owner = owners.get(run, {})
    return {"trials": owner.get("trials", []), "seed": owner.get("seed")}


def _names(results: Results, run: str) -> dict[str, str]:
    """Return label, scenario and method of a run that belongs to no ended trial."""
    alone = results.kind == "run"
    meta = results.meta if alone else results.run_meta(run)
    experiment = meta.get("experiment") or {}
    return {
        "label": str(meta.get("label") or run) + ("" if alone else " (in no ended trial)"),
        "scenario": str(meta.get("scenario_label") or ""),
        "method": str((experiment.get("method") or {}).get("name") or ""),
    }
