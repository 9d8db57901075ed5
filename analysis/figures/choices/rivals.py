"""Against whom a method's lead is measured: its strongest rival, tuned as the method is where that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...look.entries import bare
from ...read.results import Results, Row, by_seed, finished, params, standing

Values = Mapping[int, float]


@dataclass(frozen=True)
class Rival:
    """A rival of one study.

    Attributes:
        label: `RIVAL (tuned)` or `RIVAL (untuned)`.
        values: Seed -> value on validation, on the seeds of the contrasts.
        why: How it was picked, in words.
    """

    label: str
    values: Values
    why: str


def strongest(results: Results, study: str, scenario: str, metric: str) -> Rival | None:
    """The strongest rival of a study; of tuned ones where there are any.

    Strength is the mean validation on fresh seeds where every candidate is confirmed, so that the lead on the
    seeds of the contrasts is not that of a chosen one; else the mean on those seeds, which makes the rival
    look a little too good.
    """
    found = {f"{label} (tuned)": values for label, values in _tuned(results, study, scenario, metric).items()}
    word = "tuned with a search of its own, so picked as the best of many"
    if not found:
        rivals = [t for t in finished(results.trials, "rival") if t["study"] == study]
        found, word = (
            {f"{t['label']} (untuned)": by_seed(t, metric) for t in rivals},
            "untuned, no rival is tuned",
        )
    found = {label: values for label, values in found.items() if values}
    if not found:
        return None
    fresh = {
        t["label"]: _mean(by_seed(t, metric))
        for t in finished(results.trials, "confirm")
        if t["study"] == study
    }
    known = all(label in fresh for label in found)
    best = max(found, key=lambda label: fresh[label] if known else _mean(found[label]))
    how = (
        "" if len(found) == 1 else f", strongest of {len(found)} on {'fresh' if known else 'the same'} seeds"
    )
    return Rival(best, found[best], word + how)


def _tuned(results: Results, study: str, scenario: str, metric: str) -> dict[str, Values]:
    """Rival -> values of its tuned configuration on the seeds of its search."""
    head = study.removesuffix(f" | {scenario}")
    searched: dict[str, list[Row]] = {}
    for trial in finished(results.trials, "search"):
        of = trial["study"].removesuffix(f" | {scenario}")
        if trial["scenario"] == scenario and of.startswith(f"{head} "):
            searched.setdefault(of.removeprefix(f"{head} "), []).append(trial)
    confirmed = [t for t in finished(results.trials, "confirm") if t["study"] == study]
    chosen = {bare(t["label"]): t for t in confirmed if standing(t["label"]) == "tuned"}
    found: dict[str, Values] = {}
    for label, trials in searched.items():
        if confirmed and label not in chosen:  # its search was cut short
            continue
        tuned = chosen.get(label)
        same = [t for t in trials if tuned is not None and params(t) == params(tuned)]
        best = max(same or trials, key=lambda t: float(t.get("objective") or 0.0))
        found[label] = by_seed(best, metric)
    return found


def home(results: Results, trial: Row) -> str:
    """The study in which a confirmed configuration was searched: a tuned rival has one of its own."""
    own = str(trial["study"]).removesuffix(f" | {trial['scenario']}")
    rival = f"{own} {bare(trial['label'])} | {trial['scenario']}"
    return rival if any(t["study"] == rival for t in results.trials) else str(trial["study"])


def _mean(values: Values | Sequence[float]) -> float:
    numbers = list(values.values()) if isinstance(values, Mapping) else list(values)
    return sum(numbers) / len(numbers) if numbers else float("-inf")
