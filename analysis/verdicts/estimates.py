"""Every accuracy of a report: a row per trial, metric and split, and for the rules without training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

from ..read.columns import ACCURACIES, COUNTS, GROUPS, SPECIAL
from ..read.results import Results, Row
from ..stats.comparisons import Pool, estimate
from .samples import FLOORS, OWN, PERSONAL, Group, Samples
from .study import TEST, VALIDATION, all_trials, group_of, space_of_trial

METRICS = (*ACCURACIES, "worst_client_accuracy", *SPECIAL, *GROUPS)
ENTRIES = (
    *((metric, "") for metric in METRICS),
    *((metric, floor) for floor in FLOORS for metric in PERSONAL),
)
PoolOf = Callable[[Group, str, str], Pool | None]


def estimates(results: Results, samples: Samples, pool: PoolOf) -> Iterator[Row]:
    """Yield the rows of the table, without their numbers; the points of a design are not printed one by one.

    `pool` gives the noise of a group of trials on a metric and a split.
    """
    for trial in (trial for trial in all_trials(results) if trial["kind"] != "design"):
        about = {
            "space": space_of_trial(results, trial),
            **{key: trial.get(key) for key in ("study", "scenario", "method", "kind", "label", "trial")},
            "seeds_planned": len(trial.get("seeds") or []),
        }
        for split in (VALIDATION, TEST) if trial.get(f"test_{OWN}") else (VALIDATION,):
            about |= {name: _mean(trial.get(f"test_{name}" if split == TEST else name)) for name in COUNTS}
            for metric, floor in ENTRIES:
                words = FLOORS.get(floor, str(trial["label"]))
                side = samples.side(words, trial, metric, split, floor)
                if side and (side.sample.kept or metric in PERSONAL or trial["kind"] == "stress"):
                    named = {"kind": "floor", "label": words} if floor else {}
                    noise = pool(group_of(results, trial), metric, split)
                    numbers = asdict(estimate(side.sample, noise, results.confidence))
                    numbers["no_noise"] = side.sample.rule and side.sample.deterministic
                    yield {**about, **named, "metric": metric, "split": split, **numbers}


def _mean(listed: list[float] | None) -> float | None:
    """Return the mean of a count over the seeds that have one."""
    values = [value for value in listed or [] if value is not None and value == value]
    return sum(values) / len(values) if values else None
