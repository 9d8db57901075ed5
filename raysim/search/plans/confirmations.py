"""Trials after the search, on fresh seeds and the test split: confirmations, and winners elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from raysim.search.plans.planned_trial import PlannedTrial
from raysim.search.plans.time_budget import TrialTimes
from raysim.search.plans.valid_rows import has_final_result
from raysim.search.studies.study import Study

Configuration = tuple[str, dict[str, Any]]  # label and overrides


def selected_configurations(study: Study, studies: Mapping[str, Study]) -> list[Configuration]:
    """Return what is confirmed of a study: winner, anchor and rivals; an entry of a recipe; or nothing.

    A label says `tuned` only where the search has taken place.

    Args:
        study: The study.
        studies: All studies by name; those of tuned rivals give the rivals' configurations.
    """
    if study.is_rival or study.options.design:
        return []
    best = study.best()
    params = {} if best is None else dict(json.loads(best["params"]))
    if study.entry is not None:
        tried = sum(row["kind"] == "search" and has_final_result(row) for row in study.rows)
        status = "tuned" if best is not None and tried == len(study.levels) else "untuned"
        return [(f"{study.entry} ({status})", params)]
    if study.function is None:
        return [(label, dict(overrides)) for label, overrides in study.space.grid.items()]
    name = study.base.method.name
    selected = [] if best is None else [(f"{name} (tuned)", params)]
    selected += [
        (f"{name} (front {index + 2})", dict(json.loads(row["params"])))
        for index, row in enumerate(study.front())
    ]
    if params or best is None:
        selected.append((f"{name} (untuned)", {}))
    return selected + [
        _rival_configuration(study, label, dict(overrides), studies)
        for label, overrides in study.space.rivals.items()
    ]


def _rival_configuration(
    study: Study, label: str, overrides: dict[str, Any], studies: Mapping[str, Study]
) -> Configuration:
    rival = studies.get(f"{study.space.name} {label} | {study.scenario}")
    best = None if rival is None else rival.best()
    if rival is None or best is None or rival.asked < (rival.limit() or 0):
        return f"{label} (untuned)", overrides
    return f"{label} (tuned)", {**overrides, **json.loads(best["params"])}


def confirmation_trials(studies: Mapping[str, Study]) -> Iterator[PlannedTrial]:
    """Yield the selected configurations of every study, then every winner in the other scenarios."""
    for study in studies.values():
        for label, overrides in selected_configurations(study, studies):
            yield PlannedTrial(study=study, kind="confirm", label=label, overrides=overrides)
    for source in (study for study in studies.values() if study.is_main):
        best = source.best()
        for other in studies.values():
            elsewhere = other is not source and other.space is source.space and other.entry is None
            if best is not None and elsewhere:
                yield PlannedTrial(
                    study=other,
                    kind="transfer",
                    label=f"{source.base.method.name} tuned on {source.scenario}",
                    overrides=json.loads(best["params"]),
                    level=source.scenario,
                )


def confirmation_seconds(studies: Mapping[str, Study], times: TrialTimes, races_too: bool) -> float:
    """Return the predicted seconds of the trials after the search, one after the other.

    Args:
        studies: All studies by name.
        times: Seconds that trials took so far.
        races_too: Whether two seeds of the races that are not over are counted.
    """
    seconds = sum(
        len(selected_configurations(study, studies)) * times.mean(study.name) for study in studies.values()
    )
    searched = [study for study in studies.values() if study.is_main and study.options.design is None]
    seconds += sum(
        times.mean(first.name) + times.mean(second.name)
        for first, second in combinations(searched, 2)
        if first.space is second.space
    )
    if races_too:
        seconds += sum(
            2 * study.options.race.candidates / study.options.seeds * times.mean(study.name)
            for study in studies.values()
            if not study.race.is_over
        )
    return seconds
