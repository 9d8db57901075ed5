"""Trials after the search, on fresh seeds and the test split: confirmations, and winners elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raysim.search.constraints import meets
from raysim.search.plans.planned_trial import Block, PlannedTrial
from raysim.search.plans.stages import TUNED_TRIALS
from raysim.search.plans.valid_rows import has_final_result
from raysim.search.studies.ranking import is_complete, score
from raysim.search.studies.study import ANCHOR, Study
from raysim.storage.trials import TrialRow

UNTUNED, TUNED = "untuned", "tuned"
SELECTED, FRONT = "selected", "front"  # roles beside the anchor and the rivals


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A configuration that is confirmed.

    Attributes:
        role: What it is in its study; configurations of one role are confirmed together in all scenarios.
        name: Its name, without what stands behind it.
        overrides: Overrides of the study's base.
        tuning: What stands behind it: `tuned`, `best of N trials` or `untuned`.
    """

    role: str
    name: str
    overrides: Mapping[str, Any]
    tuning: str

    @property
    def label(self) -> str:
        """The name, and what stands behind it in brackets."""
        return f"{self.name} ({self.tuning})"


def declared_trials_of(study: Study) -> int:
    """Return the number of search trials after which a study is called tuned."""
    limit = study.limit()
    if study.levels:
        return len(study.levels)
    if limit is not None and study.options.trials is not None:
        return limit
    return TUNED_TRIALS if limit is None else min(limit, TUNED_TRIALS)


def tuning_of(study: Study, candidates: int, params: Mapping[str, Any]) -> str:
    """Return what stands behind the best configuration of a study.

    A study is tuned after its declared number of search trials, if its anchor was tried too. A trial counts
    that has ended by the rules: complete, pruned or diverged, but not one whose process died.

    Args:
        study: The study.
        candidates: Number of complete trials that were compared.
        params: What the best of them sets. Only one that sets nothing is untuned: a study whose anchor failed
            may have a single trial, and it is not the anchor.
    """
    if study.options.constraints and not candidates:  # none of the configurations meets them
        return UNTUNED
    ended = [row for row in study.rows if has_final_result(row)]
    searched = sum(row["kind"] == "search" for row in ended)
    anchor_tried = not study.is_main or any(row["label"] == ANCHOR for row in ended)
    if 0 < declared_trials_of(study) <= searched and anchor_tried:
        return TUNED
    if candidates > 1:
        return f"best of {candidates} trials"
    return "best of 1 trial" if params else UNTUNED


def selected_configurations(study: Study, studies: Mapping[str, Study]) -> list[Configuration]:
    """Return what is confirmed of a study: winner, anchor and rivals; an entry of a recipe; or nothing.

    Args:
        study: The study.
        studies: All studies by name; those of tuned rivals give the rivals' configurations.
    """
    if study.is_rival or study.options.design:
        return []
    best = study.best()
    params = {} if best is None else dict(json.loads(best["params"]))
    tuning = tuning_of(study, len(study.complete_rows()), params)
    if study.entry is not None:
        return [Configuration(role=study.scenario, name=study.entry, overrides=params, tuning=tuning)]
    if study.function is None:
        return [
            Configuration(role=study.scenario, name=label, overrides=dict(overrides), tuning=UNTUNED)
            for label, overrides in study.space.grid.items()
        ]
    name = study.base.method.name
    anchor = Configuration(role=ANCHOR, name=name, overrides={}, tuning=UNTUNED)
    selected = []
    if best is not None:
        # the anchor itself may have won: then one trial confirms both
        role = SELECTED if params else ANCHOR
        selected.append(Configuration(role=role, name=name, overrides=params, tuning=tuning))
    fronts = [
        Configuration(
            role=FRONT,
            name=f"{name}, front {index + 2}",
            overrides=dict(json.loads(row["params"])),
            tuning=tuning,
        )
        for index, row in enumerate(study.front())
    ]
    rivals = [
        _rival_configuration(study, label, dict(overrides), studies)
        for label, overrides in study.space.rivals.items()
    ]
    return [*([anchor] if params or best is None else []), *selected, *fronts, *rivals]


def _rival_configuration(
    study: Study, label: str, overrides: dict[str, Any], studies: Mapping[str, Study]
) -> Configuration:
    """Return a rival's best configuration: of its own search and of its trial at the anchor."""
    rival = studies.get(f"{study.space.name} {label} | {study.scenario}")
    objectives = study.options.objectives
    if rival is None:
        return Configuration(role=label, name=label, overrides=overrides, tuning=UNTUNED)
    at_anchor = [
        row
        for row in study.rows
        if row["kind"] == "rival"
        and row["label"] == label
        and is_complete(row, objectives)
        and meets(row, study.options.constraints)
    ]
    own, best = rival.complete_rows(), rival.best()
    others = [row for row in at_anchor if row["runs"] not in [found["runs"] for found in own]]
    params = {} if best is None else dict(json.loads(best["params"]))
    if best is None or any(_is_better(row, best, study) for row in at_anchor):
        params = {}
    return Configuration(
        role=label,
        name=label,
        overrides={**overrides, **params},
        tuning=tuning_of(rival, len(own) + len(others), params),
    )


def _is_better(row: TrialRow, other: TrialRow, study: Study) -> bool:
    return score(row, study.options.objectives) > score(other, study.options.objectives)


def confirmation_blocks(studies: Mapping[str, Study]) -> list[Block]:
    """Return the selected configurations of every study: all anchors, all winners, then rival by rival."""
    roles: dict[str, list[PlannedTrial]] = {}
    for study in studies.values():
        plain = study.entry is None and study.function is None  # a recipe's entries are what they are
        for chosen in selected_configurations(study, studies):
            trial = PlannedTrial(
                study=study,
                kind="confirm",
                label=chosen.name if plain else chosen.label,
                overrides=chosen.overrides,
                tuning=chosen.tuning,
            )
            roles.setdefault(chosen.role, []).append(trial)
    first = [role for role in (ANCHOR, SELECTED, FRONT) if role in roles]
    return [Block(stage="confirm", name=role, trials=roles[role]) for role in dict.fromkeys([*first, *roles])]


def transfer_blocks(studies: Mapping[str, Study]) -> Iterator[Block]:
    """Yield every study's winner in the other scenarios of its space, a block per winner."""
    for source in (study for study in studies.values() if study.is_main):
        best = source.best()
        if best is None:
            continue
        params = dict(json.loads(best["params"]))
        tuning = tuning_of(source, len(source.complete_rows()), params)
        yield Block(
            stage="transfer",
            name=source.scenario,
            trials=[
                PlannedTrial(
                    study=other,
                    kind="transfer",
                    label=f"{source.base.method.name} from {source.scenario} ({tuning})",
                    overrides=params,
                    level=source.scenario,
                    tuning=tuning,
                )
                for other in studies.values()
                if other is not source and other.space is source.space and other.entry is None
            ],
        )
