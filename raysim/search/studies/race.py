"""Race among the best configurations of a study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from raysim.experiment.overrides import override
from raysim.experiment.records import Experiment
from raysim.search.racing import RaceRule, survivors
from raysim.search.seeds import drawn_seeds
from raysim.search.studies.ranking import is_complete, score
from raysim.storage.trials import TrialRow


class StudyRace:
    """The race of one study: its candidates, and their values by seed.

    Attributes:
        candidates: Label -> the row by which the configuration was chosen; None before the race.
        is_over: Whether no more seeds are run.
    """

    def __init__(self, base: Experiment, rule: RaceRule, objectives: Sequence[str], is_over: bool) -> None:
        """Describe a race that has not started.

        Args:
            base: The study's base experiment.
            rule: The rule.
            objectives: The first one decides.
            is_over: Whether there is no race.
        """
        self.base, self.rule, self.objectives = base, rule, objectives
        self.is_over = is_over
        self.candidates: dict[str, TrialRow] | None = None

    def start(self, rows: Sequence[TrialRow]) -> None:
        """Choose the candidates from complete rows; of equal experiments only the best row.

        Which seeds a row has does not matter: it is its configuration that races.
        """
        by_experiment = {
            override(self.base, json.loads(row["params"])).id: row for row in sorted(rows, key=self._score)
        }
        best = sorted(by_experiment.values(), key=self._score, reverse=True)[: self.rule.candidates]
        self.candidates = {row["label"]: row for row in best}

    def next_labels(self, rows: Sequence[TrialRow]) -> tuple[list[str], int]:
        """Return the candidates that get one more seed, and that seed; no candidate when the race is over.

        Args:
            rows: All rows of the study.
        """
        values = self._values_by_seed(rows)
        labels = self._survivors(values) if values else list(self.candidates or {})
        seeds_run = max((len(by_seed) for by_seed in values.values()), default=0)
        if len(labels) < 2 or seeds_run >= self.rule.seeds:
            self.is_over = True
            return [], 0
        return labels, drawn_seeds(self.base.seed, "race", seeds_run + 1)[-1]

    def winner(self, rows: Sequence[TrialRow]) -> TrialRow | None:
        """Return the row of the leader; None before every survivor has two seeds, or if it failed on all."""
        values = self._values_by_seed(rows)
        labels = self._survivors(values)
        if not self.candidates or not labels or min(len(values[label]) for label in labels) < 2:
            return None
        return self.candidates[labels[0]] if np.isfinite(list(values[labels[0]].values())).any() else None

    def _score(self, row: TrialRow) -> float:
        return score(row, self.objectives)

    def _survivors(self, values: dict[str, dict[int, float]]) -> list[str]:
        return survivors(values, replace(self.rule, candidates=len(self.candidates or {})))

    def _values_by_seed(self, rows: Sequence[TrialRow]) -> dict[str, dict[int, float]]:
        """Return candidate -> race seed -> value, in the order of the seeds."""
        values: dict[str, dict[int, float]] = {}
        for row in rows:
            if row["kind"] == "race" and row["label"] in (self.candidates or {}):
                value = self._score(row) if is_complete(row, self.objectives) else float("nan")
                values.setdefault(row["label"], {})[row["seeds"][0]] = value
        return {label: dict(sorted(by_seed.items())) for label, by_seed in values.items()}
