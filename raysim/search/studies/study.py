"""Study: one method in one scenario, and its trials in the order in which they are asked for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from raysim.core.errors import UserError
from raysim.experiment.overrides import override
from raysim.experiment.records import Experiment
from raysim.search.constraints import meets
from raysim.search.options import OBJECTIVE, SweepOptions
from raysim.search.seeds import drawn_seeds
from raysim.search.spaces.function import SampleFunction, SpaceFunction
from raysim.search.spaces.record import Space
from raysim.search.studies.optuna_search import Learned, OptunaSearch
from raysim.search.studies.race import StudyRace
from raysim.search.studies.ranking import is_complete, pruning_thresholds, score, undominated_rows
from raysim.search.trial_spec import BATCH, TrialSpec
from raysim.storage.trials import TrialKind, TrialRow

ANCHOR = "anchor"  # label of the trial of the base experiment
MOST_FRONT_ROWS = 4  # largest number of other points of a Pareto front that are confirmed


class Study:
    """One method in one scenario.

    It is the space's own method, searched in batches; or an entry of a recipe, with its declared levels; or a
    rival, which is tuned with as many trials as the method.

    Attributes:
        name: `SPACE | SCENARIO`, or `SPACE ENTRY | SCENARIO`.
        base: The experiment that all configurations of the study change.
        entry: Label of the recipe's entry or of the rival; None for the space's own method.
        levels: Declared configurations of a recipe's entry.
        rows: Rows of the trials that have ended.
        pending: Keys of the trials of the current batch or race round that have not ended.
        is_closed: Whether no more search trials are asked for.
        function: The search space; None where nothing is searched.
        search: Optuna's side of the search; None where nothing is searched.
        race: The race among the best configurations.
    """

    def __init__(
        self,
        *,
        space: Space,
        scenario: str,
        base: Experiment,
        options: SweepOptions,
        entry: str | None = None,
        sample: SampleFunction | None = None,
        learned: Sequence[Learned] | None = None,
    ) -> None:
        """Describe the study.

        Args:
            space: The space or recipe.
            scenario: Label of the scenario.
            base: The base experiment in this scenario; of an entry or rival with its own overrides.
            options: How large the sweep is.
            entry: Label of the entry or of the rival.
            sample: The search space of the method or of the rival.
            learned: What the search of an earlier start has learned from contrasts; None where it has not
                begun.
        """
        self.space, self.scenario, self.base, self.options, self.entry = space, scenario, base, options, entry
        self.name = f"{space.name}{f' {entry}' if entry else ''} | {scenario}"
        tuned = entry is not None and sample is None and base.method.traits.trains
        combinations = itertools.product(*space.tune.values()) if tuned else []
        self.levels = [dict(zip(space.tune, values, strict=True)) for values in combinations]
        self.rows: list[TrialRow] = []
        self.pending: set[str] = set()
        self._experiments: dict[str, tuple[Experiment, ...]] = {}
        self.function = None if sample is None else SpaceFunction(sample)
        self.search = None
        if self.function is not None:
            anchors = space.anchors if entry is None else ()
            self.search = OptunaSearch(
                self.function, base, self.name, options, anchors, self.is_rival, learned
            )
        self.is_closed = sample is None or options.design is not None
        no_race = options.race_seeds == 0 or self.is_closed
        self.race = StudyRace(base, options.race, options.objectives, no_race)

    @property
    def is_rival(self) -> bool:
        """Whether this is the study of a rival that is tuned."""
        return self.entry is not None and self.function is not None

    @property
    def is_main(self) -> bool:
        """Whether this is the study of the method of a space that is searched."""
        return self.entry is None and self.function is not None

    @property
    def asked(self) -> int:
        """Number of search trials so far."""
        return 0 if self.search is None else self.search.asked

    @property
    def signature(self) -> str:
        """Digest of the search space's parameters and ranges; empty where nothing is searched."""
        return "" if self.function is None else self.function.signature

    def experiments(self, overrides: Mapping[str, Any], kind: TrialKind) -> tuple[Experiment, ...]:
        """Return a configuration on the seeds of its kind of trial; a recipe may be tuned on fewer seeds."""
        address = json.dumps([kind, overrides], default=str)
        if address not in self._experiments:
            self._experiments[address] = self._made(overrides, kind)
        return self._experiments[address]

    def _made(self, overrides: Mapping[str, Any], kind: TrialKind) -> tuple[Experiment, ...]:
        count = self.options.seeds
        if kind in ("confirm", "transfer"):
            seeds = drawn_seeds(self.base.seed, "confirmation", count)
        else:
            tunes_recipe = kind == "search" and self.entry is not None and self.function is None
            if tunes_recipe and self.space.tune_seeds is not None:
                count = min(count, self.space.tune_seeds)
            seeds = drawn_seeds(self.base.seed, "selection", count)
        return tuple(override(self.base, {**overrides, "seed": seed}) for seed in seeds)

    def limit(self) -> int | None:
        """Return the number of search trials in all; None = as many as the time allows.

        A rival has as many as the method has contrasts and search trials.
        """
        limit = self.options.trials
        if self.name in self.options.extended:
            limit = self.options.extended[self.name][-1]
        elif limit is not None and self.is_rival and self.options.contrasts:
            limit += 1 + sum(map(len, self.space.contrasts.values()))
        grid_size = None if self.search is None else self.search.grid_size
        return min((number for number in (limit, grid_size) if number is not None), default=None)

    def ask(self) -> list[TrialSpec]:
        """Return the next batch, whose trials all see the same completed rows.

        It is smaller where a grid or a stage of an extended search ends, and empty where nothing is left.
        """
        if self.search is None:
            return []
        self.search.learn_contrasts([row for row in self.rows if row["kind"] == "contrast"])
        limit = self.limit()
        stage_ends = [*self.options.extended.get(self.name, ()), *([] if limit is None else [limit])]
        left = [end - self.asked for end in stage_ends if end > self.asked]
        size = min([BATCH, *left]) if left or limit is None else 0
        thresholds = self._thresholds()
        return [self._suggest(self.search, thresholds) for _ in range(size)]

    def drawn_experiments(self, trial: Any, kind: TrialKind) -> tuple[dict[str, Any], tuple[Experiment, ...]]:
        """Return the overrides that the space gives to a trial, and the experiments.

        Raises:
            UserError: The space made a mistake or gave a value that is not allowed, with file and line.
        """
        assert self.function is not None
        params = self.function.overrides(trial)
        try:
            return params, self.experiments(params, kind)
        except UserError as error:
            raise self.function.user_error(error) from None

    def adopt(self, rows: Iterable[TrialRow]) -> list[TrialRow]:
        """Take over the study's search rows from an earlier form of the space, and return them.

        A range was widened since then. The trials count. Those that the space can no longer give are kept,
        but nothing is learned from them.

        Args:
            rows: Rows in the order of the plan.
        """
        if self.search is None:
            return []
        earlier = [
            row
            for row in rows
            if row["kind"] == "search" and row["study"] == self.name and row["space"] != self.signature
        ]
        for row in earlier:
            self.search.adopt(row)
        self.rows += earlier
        return earlier

    def tell(self, spec: TrialSpec, row: TrialRow) -> None:
        """Take the row of a trial that has ended; it replaces one of the same trial on fewer seeds."""
        self.pending.discard(spec.key)
        kept = [other for other in self.rows if not replaces(row, other)]
        # of equal configurations the first one of the plan wins, not the one that ended first
        self.rows = sorted([*kept, row], key=lambda row: row["trial"])
        if self.search is not None:
            self.search.tell(spec.key, row)

    def complete_rows(self) -> list[TrialRow]:
        """Return the candidates: complete rows of contrasts and search, the anchor among them.

        Those that break a constraint are no candidates.
        """
        return [
            row
            for row in self.rows
            if row["kind"] in ("contrast", "search")
            and is_complete(row, self.options.objectives)
            and meets(row, self.options.constraints)
        ]

    def best(self) -> TrialRow | None:
        """Return the winner of the race; without one, the best complete row of contrasts and search."""
        rows, objectives = self.complete_rows(), self.options.objectives
        return self.race.winner(self.rows) or max(rows, key=lambda row: score(row, objectives), default=None)

    def front(self) -> list[TrialRow]:
        """Return other rows of the Pareto front, the best in the first objective first."""
        best, objectives = self.best(), self.options.objectives
        if len(objectives) == 1 or best is None:
            return []
        front = undominated_rows(self.complete_rows(), objectives)
        others = [row for row in front if row["params"] != best["params"]]
        return sorted(others, key=lambda row: -score(row, objectives))[:MOST_FRONT_ROWS]

    def ask_race(self) -> list[TrialSpec]:
        """Return one more seed for each configuration in question; nothing when the race is over."""
        if self.race.candidates is None:
            self.race.start(self.complete_rows())
        labels, seed = self.race.next_labels(self.rows)
        specs = []
        for label in labels:
            params = json.loads((self.race.candidates or {})[label]["params"])
            specs.append(
                TrialSpec(
                    study=self.name,
                    scenario=self.scenario,
                    method=self.base.method.name,
                    kind="race",
                    label=label,
                    experiments=(override(self.base, {**params, "seed": seed}),),
                    params=params,
                )
            )
        return specs

    def _suggest(self, search: OptunaSearch, thresholds: Mapping[int, float]) -> TrialSpec:
        trial, label = search.suggest()
        params, experiments = self.drawn_experiments(trial, "search")
        spec = TrialSpec(
            study=self.name,
            scenario=self.scenario,
            method=self.base.method.name,
            kind="search",
            label=label,
            experiments=experiments,
            params=params,
            space=self.signature,
            thresholds=thresholds,
        )
        search.remember(spec.key, trial)
        return spec

    def _thresholds(self) -> dict[int, float]:
        """Return the pruning thresholds; none where the curve is not all that is searched for.

        With constraints, configurations that break them would prune those that meet them.
        """
        if self.options.objectives != (OBJECTIVE,) or self.options.constraints:
            return {}
        rows = [row for row in self.rows if row["kind"] in ("contrast", "search")]
        return pruning_thresholds(rows, self.base.total_rounds, self.base.evaluation.every)


def replaces(row: TrialRow, earlier: TrialRow) -> bool:
    """Return whether a row is of the same trial as an earlier one, on more seeds."""
    names: tuple[Literal["study", "kind", "label"], ...] = ("study", "kind", "label")
    return (
        row["kind"] in ("contrast", "rival", "interaction", "confirm", "transfer")
        and all(row[name] == earlier[name] for name in names)
        and len(row["seeds"]) > len(earlier["seeds"])
    )


def studies_of(space: Space, options: SweepOptions, learned: Mapping[str, Sequence[Learned]]) -> list[Study]:
    """Return the studies of a space: one per scenario, or one per scenario and tuned entry or rival.

    Args:
        space: The space.
        options: How large the sweep is.
        learned: Study -> what the search of an earlier start has learned from contrasts.
    """
    studies = []
    for scenario, base in space.experiments().items():
        if space.tune:
            studies += [
                Study(
                    space=space,
                    scenario=scenario,
                    base=override(base, overrides),
                    options=options,
                    entry=entry,
                )
                for entry, overrides in space.grid.items()
            ]
            continue
        studies.append(
            Study(
                space=space,
                scenario=scenario,
                base=base,
                options=options,
                sample=space.sample,
                learned=learned.get(f"{space.name} | {scenario}"),
            )
        )
        if options.trials is not None and options.design is None:
            studies += [
                Study(
                    space=space,
                    scenario=scenario,
                    base=override(base, space.rivals[rival]),
                    options=options,
                    entry=rival,
                    sample=sample,
                )
                for rival, sample in space.rival_spaces.items()
            ]
    return studies
