"""Data of the explore page: trials, learning curves and clients, as columns of numbers that JSON can say."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..figures.rows import grouped
from ..look.words import TITLES, count
from ..read.metric import Metric
from ..read.results import Results, Row, flatten, json_object, space_of

MEASURED = ("acc_personal_own", "acc_personal_global", "acc_shared_own", "acc_shared_global", "loss")
SKEW = ("images", "classes", "largest", "js")
WORDS = ("label", "scenario", "method", "kind", "reason")
MAX_NUMBERS = 150_000  # of all curves together: about 1.2 MB
MAX_POINTS = 20_000  # clients of all runs together: about 1.5 MB
MAX_PER_RUN = 500  # clients of one run
LOG_RATIO = 100  # a parameter whose positive values span this ratio gets a logarithmic axis
DIGITS = 6  # significant digits; a point of a figure shows fewer
ACCURACIES = {
    **TITLES,
    "p10_client_accuracy": "tenth percentile of clients",
    "acc_shared_newcomers": "shared alone, new clients",
    "acc_personal_newcomers": "personal, new clients",
    "acc_base": "base classes",
    "acc_novel": "novel classes",
    "acc_harmonic": "harmonic mean of base and novel",
    "acc_majority_own": "most frequent class, own distribution",
    "acc_majority_global": "most frequent class, global split",
    "acc_majority_newcomers": "most frequent class, new clients",
    "acc_zeroshot_own": "zero-shot, own distribution",
    "acc_zeroshot_global": "zero-shot, global split",
    "acc_zeroshot_newcomers": "zero-shot, new clients",
}
COSTS = {
    "bytes_up": "bytes up, all clients",
    "bytes_down": "bytes down, all clients",
    "flops": "FLOPs of a run",
    "seconds": "seconds of a run",
}
OTHERS = {
    "objective": "objective (validation)",
    "images": "training images",
    "classes": "classes with training images",
    "largest": "share of the most frequent class",
    "js": "label divergence from all clients (Jensen-Shannon, bits)",
    "loss": "training loss",
    **COSTS,
}


def titles_of(columns: Iterable[str], metric: Metric) -> dict[str, str]:
    """Return the words for columns of tables."""
    return {name: f"{metric}, {ACCURACIES[name]}" if name in ACCURACIES else OTHERS[name] for name in columns}


def finite(*columns: str) -> str:
    """Return columns as SQL; what is no finite number is missing."""
    return ", ".join(f"if(isfinite({name}), {name}, NULL) AS {name}" for name in columns)


def filled(rows: Sequence[Row], columns: Iterable[str], prefix: str = "") -> dict[str, list[Any]]:
    """Return the columns that have a value in some row; in the rows their names begin with `prefix`."""
    lists = {name: [row[prefix + name] for row in rows] for name in columns}
    return {name: values for name, values in lists.items() if any(value is not None for value in values)}


def tidy(data: Any) -> Any:
    """Return plain data as JSON can say it: numbers with `DIGITS` significant digits, None for no number."""
    if isinstance(data, dict):
        return {key: tidy(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [tidy(value) for value in data]
    if isinstance(data, float):
        return float(f"{data:.{DIGITS}g}") if math.isfinite(data) else None
    return data


def spread(rows: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` (2 or more) of these rows, evenly spread, with the first and the last one."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def _means(prefix: str = "", condition: str = "true") -> str:
    """Return the means of all accuracies over the seeds that have one, as SQL."""
    form = "if({2}, list_avg([x for x in {0}{1} if isfinite(x)]), NULL) AS mean_{0}{1}"
    return ", ".join(form.format(prefix, name, condition) for name in ACCURACIES)


TRIALS = f"""SELECT trial, {", ".join(f"coalesce({name}, '') AS {name}" for name in WORDS)},
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
    rows, spaces = results.sql(TRIALS), [str(name) for name in results.meta.get("spaces") or []]
    names = ("trial", *WORDS, "state", *(("case", "level") if results.kind == "stress" else ()))
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
CURVES = f"""SELECT coalesce(run, '') AS run, round, {finite(*MEASURED)} FROM rounds
WHERE coalesce(split, 'validation') = 'validation' AND ({" OR ".join(f"isfinite({m})" for m in MEASURED[:4])})
ORDER BY run, round"""


def curves_of(results: Results) -> Row:
    """Return the learning curves of all runs, also of those that are under way.

    Returns:
        `runs`: a record per run with `run`, `trials` (positions of the trials that it belongs to; none for a
        single run, or one whose trial has not ended), `seed`, `round` and `values` (metric -> numbers, of the
        same length), and label, scenario and method where there is no trial; `titles` of the metrics;
        `notes`: what was left out.
    """
    rows = results.sql(CURVES)
    owners = {row["run"]: row for row in results.sql(f"WITH {OWNERS} SELECT run, trials, seed FROM owners")}
    by_run, metrics = grouped(rows, "run"), list(filled(rows, MEASURED))
    most = max(2, MAX_NUMBERS // max(1, len(by_run) * (len(metrics) + 1)))
    runs = []
    for run, evaluated in by_run.items():
        kept = spread(evaluated, most)
        values = {name: [row[name] for row in kept] for name in metrics}
        about = owners.get(run) or _of_no_trial(results, run)
        runs.append({**about, "round": [row["round"] for row in kept], "values": values})
    longest = max(map(len, by_run.values()), default=0)
    note = f"At most {most} of up to {longest} evaluated rounds of a run are on this page, evenly spread."
    notes = [note] if longest > most else []
    return {"runs": runs, "titles": titles_of(metrics, results.metric), "notes": notes}


def _of_no_trial(results: Results, run: str) -> Row:
    """Return label, scenario and method of a run that belongs to no ended trial."""
    alone = results.kind == "run"
    meta = results.meta if alone else results.run_meta(run)
    method = (meta.get("experiment") or {}).get("method") or {}
    return {
        "run": run,
        "trials": [],
        "seed": None,
        "label": str(meta.get("label") or run) + ("" if alone else " (in no ended trial)"),
        "scenario": str(meta.get("scenario_label") or ""),
        "method": str(method.get("name") or ""),
    }


LAST = f"""last AS (
  SELECT run, coalesce(split, 'validation') AS split, round, client, examples,
    {finite(*MEASURED)}
  FROM clients
  WHERE acc_personal_own IS NOT NULL
  QUALIFY clients.round = max(clients.round) OVER (PARTITION BY run, coalesce(clients.split, 'validation'))
)"""
EVALUATIONS = f"""WITH {LAST}, {OWNERS}
SELECT run, split, coalesce(any_value(trials), []) AS trials, any_value(seed) AS seed, count(*) AS clients
FROM last LEFT JOIN owners USING (run) WHERE split = 'validation' OR tested OR run = $alone
GROUP BY run, split ORDER BY any_value(place) NULLS LAST, split = 'test', run"""
# js: the Jensen-Shannon divergence between the classes of a client and those of all clients, in bits; 0 where
# they are the same, 1 where they share nothing.
CLIENTS = f"""WITH {LAST}, counts AS (
  SELECT coalesce(run, $alone) AS run, client, label, count(*) AS images FROM partition GROUP BY ALL
), shares AS (
  SELECT *, images / sum(images) OVER (PARTITION BY run, client) AS p,
    sum(images) OVER (PARTITION BY run, label) / sum(images) OVER (PARTITION BY run) AS q
  FROM counts WHERE run IN $runs
), skew AS (
  SELECT run, client, sum(images)::BIGINT AS images, count(*) AS classes, max(p) AS largest,
    greatest(0, sum(p * log2(2 * p / (p + q)) + q * log2(2 * q / (p + q))) + 1 - sum(q)) / 2 AS js
  FROM shares GROUP BY ALL
)
SELECT last.*, skew.* EXCLUDE (run, client) FROM last LEFT JOIN skew USING (run, client)
WHERE run IN $runs ORDER BY run, split, client"""


def clients_of(results: Results) -> Row:
    """Return the clients of runs at their last evaluation.

    Returns:
        `groups`: a record per run and split with `run`, `trials` (positions of its trials), `seed`, `split`,
        `round`, `columns` (name -> number per client; `client` is its number), `names` of the clients
        where they exist, and `notes`; `titles` of the columns; `notes`: which runs were left out.
    """
    alone = str(results.meta.get("id") or "") if results.kind == "run" else ""
    evaluations = results.sql(EVALUATIONS, alone=alone)
    points = itertools.accumulate(min(row.pop("clients"), MAX_PER_RUN) for row in evaluations)
    kept = [row for row, total in zip(evaluations, list(points), strict=True) if total <= MAX_POINTS]
    runs = sorted({row["run"] for row in kept})
    clients = grouped(results.sql(CLIENTS, runs=runs, alone=alone) if runs else [], "run", "split")
    groups, notes = list[Row](), list[str]()
    for row in kept:
        meta = results.meta if results.kind == "run" else results.run_meta(row["run"])
        groups.append({**row, **_group(clients[row["run"], row["split"]], meta.get("client_names"))})
    if len(kept) < len(evaluations):
        notes.append(
            f"Clients of {count(len(kept), 'evaluation')} of {len(evaluations):,} are on this page, tested "
            "configurations and first seeds before others. All clients are in tables/clients."
        )
    names = [name for name in (*SKEW, "loss", *ACCURACIES) if any(name in g["columns"] for g in groups)]
    return {"groups": groups, "titles": titles_of(names, results.metric), "notes": notes}


def _group(rows: Sequence[Row], names: Any) -> Row:
    """Return the columns of one run and split, what was left out, and the names of clients that exist."""
    kept, notes = spread(rows, MAX_PER_RUN), list[str]()
    if len(kept) < len(rows):
        notes.append(f"{count(len(kept), 'client')} of {len(rows):,} are on this page, evenly spread.")
    if not any(row["images"] for row in rows):
        kept = [{**row, "images": row["examples"]} for row in kept]
        notes.append("The file partition.parquet of this run is missing or damaged, so skew is not shown.")
    columns = filled(kept, ("client", *MEASURED, *SKEW))
    group = {"round": rows[0]["round"], "columns": columns, "notes": notes}
    if isinstance(names, list) and all(client < len(names) for client in columns["client"]):
        group["names"] = [str(names[client]) for client in columns["client"]]
    return group
