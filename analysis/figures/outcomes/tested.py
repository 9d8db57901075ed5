"""Values of the test split by seed that the trials table lacks: columns of the rounds table."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.entries import LATEST
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row, by_seed
from ...stats.intervals import t_interval
from ..rows import interval_columns

GROUPS = ("head", "medium", "tail")
SCOPE_SUFFIXES = {"personal": "", "shared": " with the shared model alone"}
SPLIT_WORDS = {
    "own": "on the clients' own distributions",
    "global": "on the global split",
    "class_mean": "in the mean over classes",
    **{group: f"on {group} classes" for group in GROUPS},
}
TESTED_METRICS = {
    f"acc_{scope}_{place}": text + suffix
    for scope, suffix in SCOPE_SUFFIXES.items()
    for place, text in SPLIT_WORDS.items()
}
GROUPING = (
    "Head, medium and tail classes are thirds of the classes, by their training images over all "
    "clients. Within a third every class has the same weight, on the global split."
)


def title_of(column: str, metric: Metric) -> str:
    """Return the title of a panel: `Shared accuracy on tail classes`."""
    _, scope, place = column.split("_", 2)
    return f"{scope.capitalize()} {metric} {SPLIT_WORDS[place]}"


def table_tested(results: Results, compared: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """Return the rows of `methods.table_methods` for other metrics of the test split.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        metrics: Some of `TESTED_METRICS`.

    Returns:
        Rows with label, method, look, scenario, metric, values (by seed), interval, mean, low, high, seeds
        and trial; by scenario, configuration and metric. Metrics that were not measured are left out.
    """
    rows = []
    for row in {(row["scenario"], row["label"]): row for row in compared}.values():
        copied = {key: row[key] for key in ("label", "method", "look", "scenario", "trial")}
        for metric in metrics:
            values = by_seed(row["trial"], f"test_{metric}") or _values_of_runs(results, row["trial"], metric)
            interval = t_interval(list(values.values()), results.confidence)
            if interval:
                rows.append({**copied, "metric": metric, "values": values, **interval_columns(interval)})
    return rows


def _values_of_runs(results: Results, trial: Row, metric: str) -> dict[int, float]:
    """Return seed -> value on the test split, from the rounds table of a trial's runs."""
    runs = zip(trial.get("seeds") or [], trial.get("runs") or [], strict=False)
    return {
        seed: float(value)
        for seed, run in runs
        if (value := results.tested.get(run, {}).get(metric)) is not None
    }


def query_of_tested(metrics: Sequence[str], rest: str) -> str:
    """Return SQL over `tested`, the values by scenario, label, seed and metric.

    Args:
        metrics: Some of `TESTED_METRICS` that runs have measured.
        rest: What follows the definition of `tested`.
    """
    columns = ", ".join(f"{name}::DOUBLE AS {name}" for name in metrics)
    return f"""{LATEST.format(where="kind = 'confirm'")}, run_of AS (
  SELECT scenario, label, unnest(runs) AS run, unnest(seeds) AS seed FROM latest
), measured AS (
  FROM (SELECT DISTINCT run, {columns} FROM {parts("rounds")} WHERE split = 'test')
  UNPIVOT (value FOR metric IN ({", ".join(metrics)}))
), tested AS (
  SELECT scenario, label, seed, metric, value FROM run_of JOIN measured USING (run) WHERE isfinite(value)
)
{rest}"""
