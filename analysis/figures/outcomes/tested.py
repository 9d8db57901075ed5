"""Whatever the test split measured of a confirmed configuration, by seed: the columns of the rounds table that trials do not hold."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.entries import LATEST
from ...read.queries import parts
from ...read.results import Results, Row, by_seed
from ...stats.intervals import t_interval

GROUPS = ("head", "medium", "tail")
SCOPES = {"personal": "", "shared": " with the shared model alone"}
PLACES = {
    "own": "on the clients' own distributions",
    "global": "on the global split",
    "class_mean": "in the mean over classes",
    **{group: f"on {group} classes" for group in GROUPS},
}
MEASURED = {
    f"acc_{scope}_{place}": text + where for scope, where in SCOPES.items() for place, text in PLACES.items()
}
GROUPING = (
    "Head, medium and tail classes are thirds of the classes by their training images over all clients; "
    "each counts its classes alike, on "
    "the global split."
)


def title_of(metric: str) -> str:
    """`Shared accuracy on tail classes`, for a panel."""
    _, scope, place = metric.split("_", 2)
    return f"{scope.capitalize()} accuracy {PLACES[place]}"


def table_tested(results: Results, compared: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """The rows of `methods.table_methods` for other metrics, from what the trials or else their runs measured on test.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        metrics: Of `MEASURED`.

    Returns:
        Rows with label, method, look, scenario, metric, values (by seed), interval, mean, low, high, seeds
        and trial; by scenario, configuration and metric. Metrics that were not measured are left out.
    """
    rows = []
    for row in {(r["scenario"], r["label"]): r for r in compared}.values():
        for metric in metrics:
            values = by_seed(row["trial"], f"test_{metric}") or _by_run(results, row["trial"], metric)
            interval = t_interval(list(values.values()), results.confidence)
            if interval:
                rows.append(
                    {
                        **{k: row[k] for k in ("label", "method", "look", "scenario", "trial")},
                        "metric": metric,
                        "values": values,
                        "interval": interval,
                        "mean": interval.mean,
                        "low": interval.low,
                        "high": interval.high,
                        "seeds": interval.n,
                    }
                )
    return rows


def _by_run(results: Results, trial: Row, metric: str) -> dict[int, float]:
    runs = zip(trial.get("seeds") or [], trial.get("runs") or [], strict=False)
    return {
        seed: float(value)
        for seed, run in runs
        if (value := results.tested.get(run, {}).get(metric)) is not None
    }


def query_of_tested(metrics: Sequence[str], rest: str) -> str:
    """SQL over `tested`, the numbers by scenario, label, seed and metric.

    Args:
        metrics: Of `MEASURED`; runs must have measured them.
        rest: What follows the definition of `tested`.
    """
    columns = ", ".join(f"{name}::DOUBLE AS {name}" for name in metrics)
    return f"""{LATEST.format(where="kind = 'confirm'")}, run_of AS (
  SELECT scenario, label, unnest(runs) AS run, unnest(seeds) AS seed FROM latest
), measured AS (
  FROM (SELECT DISTINCT run, {columns} FROM {parts("rounds")} WHERE split = 'test')
  UNPIVOT (value FOR metric IN ({", ".join(metrics)}))
), tested AS (SELECT scenario, label, seed, metric, value FROM run_of JOIN measured USING (run) WHERE isfinite(value))
{rest}"""
