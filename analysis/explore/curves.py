"""Learning curves for the explore page: a curve per run, on validation."""

from __future__ import annotations

from typing import Any

from ..look.words import count
from ..read.results import Results, Row
from .columns import measured, number, title_of

MAX_NUMBERS = 150_000  # of all curves together: about 1.2 MB
METRICS = ("acc_personal_own", "acc_personal_global", "acc_shared_own", "acc_shared_global")


def curves_of(results: Results) -> Row:
    """Return the learning curves of all runs, also of those that are under way.

    Returns:
        `runs`: a record per run with `run`, `trials` (positions of the trials that it belongs to; none for a
        single run, or one whose trial has not ended), `seed`, `round` and `values` (metric -> numbers, of the
        same length), and label, scenario and method where there is no trial; `titles` of the metrics;
        `notes`: what was left out.
    """
    owners = owners_of(results)
    by_run = _rounds(results)
    metrics = [
        name for name in (*METRICS, "loss") if any(name in row for rows in by_run.values() for row in rows)
    ]
    most = max(2, MAX_NUMBERS // max(1, len(by_run) * (len(metrics) + 1)))
    runs = []
    for run, rows in by_run.items():
        kept = [rows[i] for i in spread(len(rows), most)]
        places, seed = owners.get(run, ([], None))
        runs.append(
            {
                "run": run,
                "trials": places,
                "seed": seed,
                **({} if places else _names(results, run)),
                "round": [row["round"] for row in kept],
                "values": {name: [row.get(name) for row in kept] for name in metrics},
            }
        )
    longest = max(map(len, by_run.values()), default=0)
    notes = []
    if longest > most:
        notes.append(
            f"At most {most} of up to {longest} evaluated rounds of a run are on this page, evenly spread."
        )
    return {
        "runs": runs,
        "titles": {
            name: "training loss" if name == "loss" else title_of(name, results.metric) for name in metrics
        },
        "notes": notes,
    }


def _rounds(results: Results) -> dict[str, list[Row]]:
    """Return run -> its evaluated rounds on validation, in order; a row written again counts once."""
    table = results.table("rounds", columns=["run", "round", "split", "loss", *METRICS])
    names = measured(table.column_names)
    unique: dict[tuple[str, int], Row] = {}
    for row in table.to_pylist():
        values = {name: number(row.get(name)) for name in (*names, "loss") if name in row}
        if row.get("split", "validation") == "validation" and any(
            values.get(name) is not None for name in names
        ):
            unique[str(row.get("run") or ""), row["round"]] = {"round": row["round"], **values}
    by_run: dict[str, list[Row]] = {}
    for run, round_ in sorted(unique):
        by_run.setdefault(run, []).append(unique[run, round_])
    return by_run


def owners_of(results: Results) -> dict[str, tuple[list[int], Any]]:
    """Return run -> the positions of its trials, and its seed; equal configurations share their runs."""
    owners: dict[str, tuple[list[int], Any]] = {}
    for place, row in enumerate(results.trials):
        for run, seed in zip(row.get("runs") or [], row.get("seeds") or [], strict=False):
            owners.setdefault(str(run), ([], seed))[0].append(place)
    return owners


def _names(results: Results, run: str) -> dict[str, Any]:
    """Return label, scenario and method of a run that belongs to no ended trial."""
    meta = results.meta if results.kind == "run" else results.run_meta(run)
    experiment = meta.get("experiment") or {}
    label = str(meta.get("label") or run)
    return {
        "label": label if results.kind == "run" else f"{label} (in no ended trial)",
        "scenario": str(meta.get("scenario_label") or ""),
        "method": str((experiment.get("method") or {}).get("name") or ""),
    }


def spread(length: int, most: int) -> list[int]:
    """Return at most `most` (2 or more) positions of a list of this length, evenly spread, with both ends."""
    if length <= most:
        return list(range(length))
    return [round(i * (length - 1) / (most - 1)) for i in range(most)]


def left_out(kept: int, of: int, noun: str) -> list[str]:
    """Return a sentence on how many of something are on the page; none where all are."""
    return [] if kept >= of else [f"{count(kept, noun)} of {of:,} are on this page, evenly spread."]
