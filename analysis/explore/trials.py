"""Trials for the explore page: what they set, how they ended, what they reached and what they cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..read.results import Results, Row, flatten, json_object, space_of
from .columns import ACCURACIES, COSTS, filled, finite, titles_of

LOG_RATIO = 100  # a parameter whose positive values span this ratio gets a logarithmic axis
WORDS = ("label", "scenario", "method", "kind", "reason")
COLUMNS = ("trial", *WORDS, "state")


def _means(prefix: str = "", condition: str = "true") -> str:
    """Return the means of all accuracies over the seeds that have one, as SQL."""
    form = "if({2}, list_avg([x for x in {0}{1} if isfinite(x)]), NULL) AS mean_{0}{1}"
    return ", ".join(form.format(prefix, name, condition) for name in ACCURACIES)


QUERY = f"""SELECT trial, {", ".join(f"coalesce({name}, '') AS {name}" for name in WORDS)},
  CASE state WHEN 'COMPLETE' THEN 'complete' WHEN 'PRUNED' THEN 'pruned'
    ELSE if(starts_with(reason, 'diverged'), 'diverged', 'failed') END AS state,
  study, space, coalesce(factor, '') AS case, coalesce(level, '') AS level, coalesce(runs, []) AS runs,
  coalesce(len(seeds), 0) AS seeds,
  len([x for x in coalesce(outcomes, []) if x IN ('diverged', 'failed')]) AS lost,
  {_means()}, {_means("test_", "kind IN ('confirm', 'transfer')")}, {finite("objective", *COSTS)},
FROM trials ORDER BY trials.trial, number, finished, study"""


def trials_of(results: Results) -> Row:
    """Return every trial that has ended, as columns.

    Returns:
        `count`; `columns` (words: trial, label, scenario, method, kind, state, ...); `seeds` and `lost`
        (numbers of seeds); `parameters` (records of path, log and values; None where a trial has no such
        parameter);
        `fixed` (path -> value of what no trial changed); `validation` and `test` (accuracies, means over the
        seeds that have one; the test split of confirmed trials only); `costs`; `titles` of the columns.
    """
    rows, spaces = results.sql(QUERY), [str(name) for name in results.meta.get("spaces") or []]
    names = (*COLUMNS, *(("case", "level") if results.kind == "stress" else ()))
    columns = {name: [row[name] for row in rows] for name in names}
    if len(spaces) > 1:
        columns["space"] = [space_of(str(row["study"]), spaces) or str(row["space"]) for row in rows]
    validation = filled(rows, ("objective",)) | filled(rows, ACCURACIES, "mean_")
    costs = filled(rows, COSTS)
    parameters, fixed = parameters_of(results.trials, results.meta.get("factors") or [])
    return {
        "count": len(rows),
        "columns": columns,
        **{name: [row[name] for row in rows] for name in ("seeds", "lost", "runs")},
        "parameters": parameters,
        "fixed": fixed,
        "validation": validation,
        "test": filled(rows, ACCURACIES, "mean_test_"),
        "costs": costs,
        "titles": titles_of((*validation, *costs), results.metric),
    }


def parameters_of(rows: Sequence[Row], factors: Sequence[Row]) -> tuple[list[Row], Row]:
    """Return the parameters that differ between trials, in the order in which they are set, and the others.

    A trial's value is the one that its experiment had, so a contrast also has the anchor's values. Where the
    experiment has no such parameter (another method), the value is None. The factors of `run.json` say which
    parameters are searched on a logarithm. The others are path -> value.
    """
    changes = [json_object(row.get("params")) for row in rows]
    settings = [flatten(json_object(row.get("experiment"))) for row in rows]
    searched = {str(f.get("path")): str(f.get("search") or "") for f in factors}
    parameters, fixed = [], {}
    for path in dict.fromkeys(path for change in changes for path in change):
        values = [_value(path, c, s) for c, s in zip(changes, settings, strict=True)]
        if len(set(values)) > 1:
            log = _is_logarithmic(values, searched.get(path, "").startswith("log"))
            parameters.append({"path": path, "log": log, "values": values})
        else:
            fixed[path] = values[0]
    return parameters, fixed


def _value(path: str, change: Mapping[str, Any], setting: Mapping[str, Any]) -> float | int | str | None:
    """Return the value of a parameter in a trial: a number, or what it is called (`none`, `true`, JSON)."""
    for source, key in ((setting, path), (setting, f"{path}.name"), (change, path)):
        if key in source:
            value = source[key]
            if value is None or isinstance(value, bool):
                return {None: "none", True: "true", False: "false"}[value]
            plain = isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value))
            return value if plain else json.dumps(value)
    return None


def _is_logarithmic(values: Sequence[Any], declared: bool) -> bool:
    """Return whether a parameter gets a logarithmic axis: it is declared so, or spans a wide range."""
    numbers = [value for value in values if isinstance(value, int | float)]
    wide = len(numbers) > 2 and max(numbers) >= LOG_RATIO * min(numbers)
    return all(number > 0 for number in numbers) and (declared or wide)
