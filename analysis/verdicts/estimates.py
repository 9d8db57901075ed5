"""Every accuracy of a report: a row per trial, metric and split, and for the rules without training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

from ..read.columns import ACCURACIES, COUNTS, GROUPS, SPECIAL
from ..read.results import Results, Row, space_of
from ..stats.comparisons import Pool, estimate
from .samples import FLOORS, OWN, PERSONAL, Samples, Side
from .study import FINAL, pool_name

METRICS = (*ACCURACIES, "worst_client_accuracy", *SPECIAL, *GROUPS)
NO_ESTIMATE = ("design",)  # kinds of trials that nobody prints one by one
PoolOf = Callable[[str], Pool | None]


def estimates(results: Results, samples: Samples, pool: PoolOf) -> Iterator[Row]:
    """Yield the rows of the table, without their numbers.

    Args:
        results: The result folder.
        samples: Reader of samples.
        pool: The pooled noise of a group of trials, by its name (see `study.pool_name`).
    """
    for trial in all_trials(results):
        if trial["kind"] in NO_ESTIMATE:
            continue
        about = {
            "space": space_of_trial(results, trial),
            **{key: trial.get(key) for key in ("study", "scenario", "method", "kind", "label", "trial")},
            "seeds_planned": len(trial.get("seeds") or []),
        }
        for split in ("validation", "test") if trial.get(f"test_{OWN}") else ("validation",):
            counts = {name: _mean(trial, name, split) for name in COUNTS}
            for metric in METRICS:
                side = samples.side(str(trial["label"]), trial, metric, split)
                if side and (side.sample.kept or metric in PERSONAL or trial["kind"] == "stress"):
                    yield (
                        {**about, "metric": metric, "split": split}
                        | counts
                        | _numbers(side, pool(pool_of(results, trial, metric, split)), results.confidence)
                    )
            for floor, words in FLOORS.items():
                for metric in PERSONAL:
                    side = samples.side(words, trial, metric, split, floor)
                    if side:
                        floored = {**about, "kind": "floor", "label": words, "metric": metric, "split": split}
                        yield floored | counts | _numbers(side, None, results.confidence)


def _numbers(side: Side, pool: Pool | None, confidence: float) -> Row:
    """Return the columns of one estimate."""
    found = asdict(estimate(side.sample, pool, confidence))
    return {**found, "seeds": list(found["seeds"]), "values": list(found["values"])}


def _mean(trial: Row, column: str, split: str) -> float | None:
    """Return the mean of a count over the seeds."""
    listed = trial.get(f"test_{column}" if split == "test" else column) or []
    values = [value for value in listed if value is not None and value == value]
    return sum(values) / len(values) if values else None


def all_trials(results: Results) -> list[Row]:
    """Return the trials; of a folder of one run, the run as the only trial."""
    if results.kind != "run":
        return results.sql("FROM trials ORDER BY trial")
    meta = results.meta
    if not meta.get("result"):
        return []
    experiment = meta.get("experiment") or {}
    measured = {name: [value] for name, value in meta["result"].items()}
    tested = {f"test_{name}": [value] for name, value in (meta.get("test") or {}).items()}
    return [
        {
            "study": str(meta.get("label") or ""),
            "scenario": meta.get("scenario_label"),
            "method": (experiment.get("method") or {}).get("name"),
            "kind": "run",
            "label": str(meta.get("label") or ""),
            "trial": 0,
            "state": "COMPLETE",
            "seeds": [int(experiment.get("seed") or 0)],
            "runs": [str(meta.get("id"))],
            **measured,
            **tested,
        }
    ]


def space_of_trial(results: Results, trial: Row) -> str:
    """Return the space of a trial."""
    names = [str(name) for name in results.meta.get("spaces") or []]
    if trial["kind"] == "stress":
        return str(trial["study"]).split(" | ")[0]
    return space_of(str(trial["study"]), names) or str(results.meta.get("space") or "")


def pool_of(results: Results, trial: Row, metric: str, split: str) -> str:
    """Return the name of the group of trials whose noise this trial shares."""
    space = space_of_trial(results, trial)
    if trial["kind"] == "stress":
        return pool_name(space, str(trial["factor"]), "stress", metric, split)
    stage = "fresh seeds" if trial["kind"] in FINAL else "selection seeds"
    return pool_name(space, str(trial["scenario"]), stage, metric, split)
