"""What a sweep runs, in which order: contrasts beside the rivals, search, a race, then the chosen configurations on fresh seeds. No ray.

Or, as a mode of its own, the points of a design. The plan is a function of the spaces, the options and the
finished rows alone. So a sweep that was killed is continued by asking the plan again and handing it the rows
that are already there.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from raysim.core.errors import UserError
from raysim.core.types import Row
from raysim.experiment.records import Resources
from raysim.search import designs
from raysim.search.spaces import Space, changes_of, level_name
from raysim.search.spec import BATCH, Kind, Options, Spec
from raysim.search.standing import settled
from raysim.search.study import Study, studies

PHASES = (
    "design",
    "search",
    "race",
    "confirm",
)  # the first holds contrasts, rivals and interactions too: whatever is declared
LEVELS = 4  # of a parameter in a Morris design
MARGIN = 1.2  # a phase is started only if its predicted time fits with this margin


class Plan:
    """Hands out specs and takes rows; knows what is finished, running and still to come."""

    WAIT = "wait"

    def __init__(
        self,
        spaces: list[Space],
        options: Options,
        stored: Mapping[str, Row] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lay the plan out.

        Args:
            spaces: What is studied.
            options: How large the sweep is.
            stored: Rows by key that an earlier start has finished: time decides nothing about them.
            clock: Seconds.

        Raises:
            UserError: a study is asked for twice; a design that the budget cannot hold.
        """
        self.options, self.clock = options, clock
        self.stored = dict(stored or {})
        self.studies = [study for space in spaces for study in studies(space, options)]
        self._by_name = {study.name: study for study in self.studies}
        names = [study.name for study in self.studies]
        if len(self._by_name) < len(names):
            raise UserError(
                f"the study '{max(names, key=names.count)}' was asked for twice; name each space once"
            )
        if len({study.base.resources for study in self.studies}) > 1:
            raise UserError(
                "resources differ between the spaces; give them on the command line, for example "
                "resources.workers=1"
            )
        if len(spaces) > 1 and (recipes := [space.name for space in spaces if space.grid]):
            raise UserError(
                f"'{recipes[0]}' is a recipe: its table and figures are of one set of runs; run it in a "
                "sweep of its own"
            )
        self.phase = PHASES[0]
        self.queue: deque[Spec] = deque()
        self.running: dict[str, Spec] = {}
        self.finished: list[Row] = []
        self.dropped = 0
        self.designed: dict[str, Any] | None = None
        self._count = 0
        self._started = clock()
        self._elapsed_before = 0.0
        if options.design:
            self._queue_design()
        else:
            self._queue_declared()
            for study in self.studies:
                self.finished += study.adopt(
                    sorted(self.stored.values(), key=lambda row: int(row.get("trial") or 0))
                )
        searched = [study for study in self.studies if not study.closed and study.name in options.extended]
        if (
            options.extend
            and searched
            and all((study.limit() or 0) <= options.extended[study.name][-2] for study in searched)
        ):
            raise UserError(
                f"--extend {options.extend}: every point of the grid has been searched; a wider range "
                "has more"
            )

    @property
    def resources(self) -> Resources:
        """Of each trial."""
        return self.studies[0].base.resources

    def continue_from(self, elapsed: float) -> None:
        """Begin to count time, from what an earlier, interrupted start of this sweep has used."""
        self._elapsed_before, self._started = elapsed, self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds this sweep has taken, over all its starts."""
        return self._elapsed_before + self.clock() - self._started

    @property
    def asked(self) -> dict[str, int]:
        """Search trials by study, so far."""
        return {study.name: study.asked for study in self.studies if study.sample is not None}

    def next(self) -> Spec | str | None:
        """The next trial; `WAIT` while others must finish first; None when everything is done."""
        while True:
            self._drop_what_does_not_fit()
            if self.queue:
                spec = self.queue.popleft()
                self.running[spec.key] = spec
                return spec
            if (self.phase == "search" and self._ask()) or (self.phase == "race" and self._race()):
                continue
            if self.running:
                return self.WAIT
            if self.phase == "confirm":
                return None
            self.phase = PHASES[PHASES.index(self.phase) + 1]
            if self.phase == "confirm" and not self.options.design:
                self._queue_confirmations()

    def tell(self, spec: Spec, row: Row) -> None:
        """A trial has ended."""
        del self.running[spec.key]
        self.finished.append(row)
        study = self._by_name[spec.study]
        study.open.discard(spec.key)
        study.tell(spec, row)

    def seconds_left(self) -> float | None:
        """A prediction for people: of what is queued and running, or of the time limit."""
        if self.phase != "confirm" and self.options.minutes is not None:
            return max(0.0, self.options.minutes * 60 - self.elapsed)
        if self._cost(None) is None:
            return None
        seconds = sum(self._of(self._by_name[spec.study]) for spec in self.queue)
        seconds += sum(self._of(self._by_name[spec.study]) for spec in self.running.values()) / 2
        if self.phase != "confirm":
            seconds += sum(
                ((study.limit() or 0) - study.asked) * self._of(study)
                for study in self.studies
                if not study.closed
            )
            seconds += self._chosen_seconds()
        return seconds / self.options.slots

    def planned(self) -> dict[str, int | None]:
        """Numbers of trials by kind, as declared."""
        queued = [*self.queue, *self.running.values()]
        first = {
            kind: sum(row["kind"] == kind for row in self.finished)
            + sum(spec.kind == kind for spec in queued)
            for kind in (
                "contrast",
                "rival",
                *(("interaction",) if any(s.space.interactions for s in self.studies) else ()),
            )
        }
        if self.options.design:
            return {"design": sum(row["kind"] == "design" for row in self.finished) + len(queued)}
        limits = [study.limit() for study in self.studies if study.sample is not None]
        levels = sum(len(study.levels) for study in self.studies)
        search = None if None in limits else sum(limit or 0 for limit in limits) + levels
        return {**first, "search": search, "confirm": sum(len(self._chosen(study)) for study in self.studies)}

    def _queue_declared(self) -> None:
        """Every scenario's anchor and rivals first, then level by level over all scenarios, so that an early end leaves whole levels."""
        for study in self.studies:
            for level in study.levels:
                self._add(
                    study, "search", ", ".join(f"{path}={value}" for path, value in level.items()), level
                )
        methods = [
            study
            for study in self.studies
            if study.sample is not None and not study.rival and self.options.contrasts
        ]
        for study in methods:
            self._add(study, "contrast", "anchor", {})
        for study in methods:
            for label, changes in study.space.rivals.items():
                self._add(study, "rival", label, changes)
        factors: dict[str, list[Any]] = {}
        for study in methods:
            for factor, own in study.space.contrasts.items():
                known = factors.setdefault(factor, [])
                known += [level for level in own if level not in known]
        for factor, levels in factors.items():
            for level in levels:
                for study in methods:
                    if level in study.space.contrasts.get(factor, ()):
                        name = level_name(factor, level)
                        self._add(
                            study,
                            "contrast",
                            f"{factor}={name}",
                            changes_of(factor, level),
                            factor=factor,
                            level=name,
                        )
        for study in methods:
            for pair in study.space.interactions:
                self._add_interaction(study, *pair)

    def _add_interaction(self, study: Study, first: str, second: str) -> None:
        """Two factors moved together, each to its last level."""
        levels = [study.space.contrasts[factor][-1] for factor in (first, second)]
        changes = {**changes_of(first, levels[0]), **changes_of(second, levels[1])}
        names = [level_name(factor, level) for factor, level in zip((first, second), levels, strict=True)]
        label = f"{first}={names[0]} & {second}={names[1]}"
        self._add(
            study,
            "interaction",
            label,
            changes,
            factor=first,
            level=names[0],
            factor2=second,
            level2=names[1],
        )

    def _queue_design(self) -> None:
        """The points of each method's design, point by point over the scenarios."""
        kind, seed = str(self.options.design), self.studies[0].base.seed
        points: list[list[tuple[Study, int, tuple[float, ...], dict[str, Any]]]] = []
        self.designed = {
            "kind": kind,
            "budget": self.options.budget,
            "seed": seed,
            "second_order": False,
            "levels": LEVELS,
        }
        self.designed |= {"factors": {}, "N": {}}
        for study in self.studies:
            if study.sample is None:
                raise UserError(
                    f"'{study.space.name}' has no space(trial): a design needs parameters with ranges"
                )
            factors = designs.discover(study.draw)
            unit_NK, blocks = _points(kind, len(factors), self.options.budget, seed)
            self.designed["factors"][study.name] = [factor.json() for factor in factors]
            self.designed["N"][study.name] = blocks
            rows = []
            for index, unit in enumerate(unit_NK):
                trial = designs.UnitTrial(factors, unit)
                rows.append((study, index, tuple(float(u) for u in unit), study.drawn(trial, "design")[0]))
            points.append(rows)
        for index in range(max(map(len, points))):
            for study, point, unit, params in (rows[index] for rows in points if index < len(rows)):
                self._add(study, "design", f"{kind} {point}", params, point=point, unit=unit)

    def _add(self, study: Study, kind: Kind, label: str, changes: Mapping[str, Any], **more: Any) -> None:
        experiments = study.group(changes, kind)
        method = experiments[0].method.name
        self.queue.append(
            Spec(
                self._count,
                study.name,
                study.scenario,
                method,
                kind,
                label,
                experiments,
                dict(changes),
                **more,
            )
        )
        self._count += 1

    def _take(self, study: Study, specs: list[Spec]) -> bool:
        self._count += len(specs)
        study.open |= {spec.key for spec in specs}
        self.queue.extend(specs)
        return bool(specs)

    def _ask(self) -> bool:
        """Ask studies whose last batch is complete; whether any gave trials."""
        asked = False
        for study in self.studies:
            if study.closed or study.open:
                continue
            limit = study.limit()
            known = [row["kind"] for row in self.stored.values() if row["study"] == study.name]
            late = study.asked >= known.count("search") and ("confirm" in known or not self._fits(study))
            if (limit is not None and study.asked >= limit) or (self.options.minutes is not None and late):
                study.closed = True
                continue
            specs = study.ask(self._count)
            study.closed = not specs
            asked |= self._take(study, specs)
        return asked

    def _race(self) -> bool:
        """Another seed for what is in question, study by study; whether any is."""
        asked = False
        for study in self.studies:
            if study.race_over or study.open:
                continue
            specs = study.race(self._count)
            begun = any(spec.key in self.stored for spec in specs)
            if (
                not begun
                and self.options.minutes is not None
                and not self._fits(study, len(specs) / self.options.seeds)
            ):
                study.race_over = True
                continue
            asked |= self._take(study, specs)
        return asked

    def _chosen(self, study: Study) -> list[tuple[str, dict[str, Any]]]:
        """What meets the test split: the winner, the anchor and the rivals; or a recipe's grid."""
        if study.rival or self.options.design:
            return []
        best = study.best()
        params = dict(json.loads(best["params"])) if best is not None else {}
        if study.entry is not None:
            tried = sum(row["kind"] == "search" and settled(row) for row in study.rows)
            words = "tuned" if best is not None and tried == len(study.levels) else "untuned"
            return [(f"{study.entry} ({words})", params)]
        if study.sample is None:
            return [(label, dict(changes)) for label, changes in study.space.grid.items()]
        name = study.base.method.name
        chosen = [] if best is None else [(f"{name} (tuned)", params)]
        chosen += [
            (f"{name} (front {index + 2})", dict(json.loads(row["params"])))
            for index, row in enumerate(study.front())
        ]
        if params or best is None:
            chosen.append((f"{name} (untuned)", {}))
        return chosen + [
            self._chosen_rival(study, label, dict(changes)) for label, changes in study.space.rivals.items()
        ]

    def _chosen_rival(self, study: Study, label: str, changes: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        own = self._by_name.get(f"{study.space.name} {label} | {study.scenario}")
        best = own.best() if own is not None else None
        if own is None or best is None or own.asked < (own.limit() or 0):
            return f"{label} (untuned)", changes
        return f"{label} (tuned)", {**changes, **json.loads(best["params"])}

    def _queue_confirmations(self) -> None:
        for study in self.studies:
            for label, changes in self._chosen(study):
                self._add(study, "confirm", label, changes)
        for source in (study for study in self.studies if study.sample is not None and not study.rival):
            best = source.best()
            for other in self.studies:
                if (
                    best is not None
                    and other is not source
                    and other.space is source.space
                    and other.entry is None
                ):
                    label = f"{source.base.method.name} tuned on {source.scenario}"
                    self._add(other, "transfer", label, json.loads(best["params"]), level=source.scenario)

    def _drop_what_does_not_fit(self) -> None:
        """With a time limit, contrasts that would take the time of the confirmations are not run; the report says how many.

        Nor are they once their study's search has begun, which would not have known of them.
        """
        if self.phase != PHASES[0] or not self.queue or self.queue[0].key in self.stored:
            return
        searched = {row["study"] for row in self.stored.values() if row["kind"] == "search" and row["space"]}
        late = not self._fits(self._by_name[self.queue[0].study], 1)
        gone = ("contrast", "interaction", "design") if late else ("contrast",)
        if late or (self.queue[0].kind == "contrast" and self.queue[0].study in searched):
            kept = [
                spec
                for spec in self.queue
                if spec.key in self.stored or not (spec.kind in gone and (late or spec.study in searched))
            ]
            self.dropped += len(self.queue) - len(kept)
            self.queue = deque(kept)

    def _fits(self, study: Study, trials: float | None = None) -> bool:
        """Whether so many more trials of this study (a batch of each study by default), then all that is chosen, end in time."""
        if self.options.minutes is None or self._cost(None) is None:
            return True
        batch = (
            sum(BATCH * self._of(other) for other in self.studies if not other.closed)
            if trials is None
            else trials * self._of(study)
        )
        return (
            self.elapsed + MARGIN * (batch + self._chosen_seconds()) / self.options.slots
            < self.options.minutes * 60
        )

    def _chosen_seconds(self) -> float:
        """Of the confirmations, of winners in other scenarios, and of two seeds of the races, by what trials took so far."""
        seconds = sum(len(self._chosen(study)) * self._of(study) for study in self.studies)
        searched = [study for study in self.studies if study.sample is not None and not study.rival]
        pairs = [pair for pair in combinations(searched, 2) if pair[0].space is pair[1].space]
        seconds += sum(
            self._of(first) + self._of(second) for first, second in pairs if self.options.design is None
        )
        each = 2 * self.options.race.candidates / self.options.seeds
        return seconds + sum(
            each * self._of(study)
            for study in self.studies
            if not study.race_over and self.phase != "confirm"
        )

    def _of(self, study: Study) -> float:
        return self._cost(study) or 0.0

    def _cost(self, study: Study | None) -> float | None:
        """Mean seconds of a trial, of this study where it has had any, else of all; a resumed sweep knows what it took before."""
        known = {**self.stored, **{row["key"]: row for row in self.finished}}.values()
        own = [
            row["wall_seconds"]
            for row in known
            if row["state"] == "COMPLETE"
            and row["kind"] != "race"
            and (study is None or row["study"] == study.name)
        ]
        return float(np.mean(own)) if own else None if study is None else self._cost(None)


def _points(kind: str, k: int, budget: int, seed: int) -> tuple[np.ndarray, int]:
    return designs.sobol(k, budget, seed) if kind == "sobol" else designs.morris(k, budget, seed, LEVELS)
