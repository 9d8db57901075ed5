"""Trials for the explore page: what they set, how they ended, what they reached and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..read.results import TESTED, Results, Row, flatten, json_object, space_of
from .columns import COSTS, filled, level, mean, measured, title_of

LOG_RATIO = 100  # a parameter whose positive values span this ratio gets a logarithmic axis
STATES = {"COMPLETE": "complete", "PRUNED": "pruned"}


def trials_of(results: Results) -> Row:
    """Return every trial that has ended, as columns.

    Returns:
        `count`; `columns` (words: trial, label, scenario, method, kind, state, ...); `seeds` and `lost`
        (numbers of seeds); `parameters` (records of path, log and values; None where a trial has no such
        parameter);
        `fixed` (path -> value of what no trial changed); `validation` and `test` (accuracies, means over the
        seeds that have one; the test split of confirmed trials only); `costs`; `titles` of the columns.
    """
    rows = results.trials
    spaces = [str(name) for name in results.meta.get("spaces") or []]
    columns = {
        "trial": [row.get("trial") for row in rows],
        "label": [str(row.get("label") or "") for row in rows],
        "scenario": [str(row.get("scenario") or "") for row in rows],
        "method": [str(row.get("method") or "") for row in rows],
        "kind": [str(row.get("kind") or "") for row in rows],
        "state": [state_of(row) for row in rows],
        "reason": [str(row.get("reason") or "") for row in rows],
    }
    if len(spaces) > 1:
        columns["space"] = [space_of(str(row.get("study")), spaces) or str(row.get("space")) for row in rows]
    if results.kind == "stress":
        columns["case"] = [str(row.get("factor") or "") for row in rows]
        columns["level"] = [str(row.get("level") or "") for row in rows]
    names = measured({name for row in rows for name in row})
    validation = filled({name: [mean(row.get(name)) for row in rows] for name in ("objective", *names)})
    test = filled({name: [_tested(row, name) for row in rows] for name in names})
    costs = filled({name: [mean(row.get(name)) for row in rows] for name in COSTS})
    parameters, fixed = parameters_of(rows, results.meta.get("factors") or [])
    return {
        "count": len(rows),
        "columns": columns,
        "seeds": [len(row.get("seeds") or []) for row in rows],
        "lost": [lost_seeds(row) for row in rows],
        "runs": [[str(run) for run in row.get("runs") or []] for row in rows],
        "parameters": parameters,
        "fixed": fixed,
        "validation": validation,
        "test": test,
        "costs": costs,
        "titles": {name: title_of(name, results.metric) for name in (*validation, *costs)},
    }


def state_of(row: Row) -> str:
    """Return how a trial ended: complete, pruned, diverged, or failed for another reason."""
    state = str(row.get("state") or "")
    if state in STATES:
        return STATES[state]
    return "diverged" if str(row.get("reason") or "").startswith("diverged") else "failed"


def lost_seeds(row: Row) -> int:
    """Return how many seeds of a trial gave no accuracy; 0 where the table does not say it."""
    return sum(outcome in ("diverged", "failed") for outcome in row.get("outcomes") or [])


def _tested(row: Row, name: str) -> Any:
    """Return the accuracy on the test split, which only confirmed configurations have."""
    return mean(row.get(f"test_{name}")) if row.get("kind") in TESTED else None


def parameters_of(rows: Sequence[Row], factors: Sequence[Row]) -> tuple[list[Row], Row]:
    """Return what the trials set.

    A trial's value is the one that its experiment had, so a contrast also has the anchor's values. Where the
    experiment has no such parameter (another method), the value is None.

    Args:
        rows: Rows of `tables/trials`.
        factors: The factors of `run.json`; they say which parameters are searched on a logarithm.

    Returns:
        The parameters that differ between trials, in the order in which trials set them; and path -> value of
        the others.
    """
    changes = [json_object(row.get("params")) for row in rows]
    settings = [flatten(json_object(row.get("experiment"))) for row in rows]
    searched = {str(f.get("path")): str(f.get("search") or "") for f in factors}
    parameters, fixed = [], {}
    for path in dict.fromkeys(path for change in changes for path in change):
        values = [_value(path, c, s) for c, s in zip(changes, settings, strict=True)]
        if len(set(values)) > 1:
            log = searched.get(path, "").startswith("log") or _wide(values)
            parameters.append({"path": path, "log": log and _positive(values), "values": values})
        else:
            fixed[path] = values[0]
    return parameters, fixed


def _value(path: str, change: Row, setting: Mapping[str, Any]) -> float | int | str | None:
    for source, key in ((setting, path), (setting, f"{path}.name"), (change, path)):
        if key in source:
            return level(source[key])
    return None


def _numbers(values: Sequence[Any]) -> list[float]:
    return [value for value in values if isinstance(value, int | float)]


def _positive(values: Sequence[Any]) -> bool:
    return all(value > 0 for value in _numbers(values))


def _wide(values: Sequence[Any]) -> bool:
    numbers = _numbers(values)
    return len(numbers) > 2 and _positive(values) and max(numbers) >= LOG_RATIO * min(numbers)
