"""The strongest rival of a method: tuned as the method is, where a rival was tuned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...look.entries import base_label
from ...read.results import Results, Row, by_seed, finished_trials, parameters_of, tuning_of

SeedValues = Mapping[int, float]


@dataclass(frozen=True)
class Rival:
    """A rival of one study.

    Attributes:
        label: `RIVAL (tuned)` or `RIVAL (untuned)`.
        values: Seed -> value on validation, on the seeds of the contrasts.
        why: In words, how it was chosen.
    """

    label: str
    values: SeedValues
    why: str


def strongest(results: Results, study: str, scenario: str, metric: str) -> Rival | None:
    """Return the strongest rival of a study, among the tuned ones where there are any.

    Where every candidate is confirmed, strength is the mean on validation and fresh seeds, so that the lead
    on the seeds of the contrasts is not that of a chosen maximum. Else it is the mean on those seeds, which
    makes the rival look a little too good.
    """
    tuned = _tuned(results, study, scenario, metric)
    candidates = {f"{label} (tuned)": values for label, values in tuned.items()}
    why = "tuned with a search of its own, so picked as the best of many"
    if not candidates:
        trials = [trial for trial in finished_trials(results.trials, "rival") if trial["study"] == study]
        candidates = {f"{trial['label']} (untuned)": by_seed(trial, metric) for trial in trials}
        why = "untuned, no rival is tuned"
    candidates = {label: values for label, values in candidates.items() if values}
    if not candidates:
        return None
    confirmed = [trial for trial in finished_trials(results.trials, "confirm") if trial["study"] == study]
    fresh_means = {trial["label"]: _mean(by_seed(trial, metric)) for trial in confirmed}
    on_fresh = all(label in fresh_means for label in candidates)
    means = fresh_means if on_fresh else {label: _mean(values) for label, values in candidates.items()}
    best = max(candidates, key=lambda label: means[label])
    if len(candidates) > 1:
        why += f", strongest of {len(candidates)} on {'fresh' if on_fresh else 'the same'} seeds"
    return Rival(best, candidates[best], why)


def _tuned(results: Results, study: str, scenario: str, metric: str) -> dict[str, SeedValues]:
    """Return rival -> values of its tuned configuration on the seeds of its search."""
    space = study.removesuffix(f" | {scenario}")
    trials_of: dict[str, list[Row]] = {}
    for trial in finished_trials(results.trials, "search"):
        searched_space = trial["study"].removesuffix(f" | {scenario}")
        if trial["scenario"] == scenario and searched_space.startswith(f"{space} "):
            trials_of.setdefault(searched_space.removeprefix(f"{space} "), []).append(trial)
    confirmed = [t for t in finished_trials(results.trials, "confirm") if t["study"] == study]
    chosen = {base_label(t["label"]): t for t in confirmed if tuning_of(t["label"]) == "tuned"}
    values_of: dict[str, SeedValues] = {}
    for label, trials in trials_of.items():
        if confirmed and label not in chosen:  # its search was cut short
            continue
        chosen_trial = chosen.get(label)
        same_trials = [
            t for t in trials if chosen_trial is not None and parameters_of(t) == parameters_of(chosen_trial)
        ]
        best = max(same_trials or trials, key=lambda t: float(t.get("objective") or 0.0))
        values_of[label] = by_seed(best, metric)
    return values_of


def home(results: Results, trial: Row) -> str:
    """Return the study in which a configuration was searched; a tuned rival has a study of its own."""
    space = str(trial["study"]).removesuffix(f" | {trial['scenario']}")
    rival_study = f"{space} {base_label(trial['label'])} | {trial['scenario']}"
    return rival_study if any(t["study"] == rival_study for t in results.trials) else str(trial["study"])


def _mean(values: SeedValues) -> float:
    return sum(values.values()) / len(values) if values else float("-inf")
