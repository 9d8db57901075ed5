"""What a stress run hands out, in which order, and what it leaves out when time is up. No ray.

The ends of every case come first, then what lies between them: an early end leaves a range for every breaking
point, not half a suite. The plan is a function of the spaces, the options and the finished rows: a killed run
is continued by handing it those rows.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raysim.core.config import suggest
from raysim.core.errors import UserError
from raysim.core.types import Row
from raysim.data import ANY_FOLDER, DRAWN, SEGMENTATION, catalogue
from raysim.experiment.overrides import override
from raysim.experiment.records import Experiment, Resources
from raysim.search.spaces import Space
from raysim.search.spec import Spec
from raysim.simulation.federation import Federation
from raysim.stress.suite import (
    ALONE,
    CASES,
    FEATURES_QUICK,
    GROUND,
    NETWORK_QUICK,
    PARTNERS,
    UNTRAINED,
    Case,
    Level,
    Overrides,
    mixed,
)

MARGIN = 1.2  # a level is started only if its predicted time fits with this margin
REFERENCES = {
    "zeroshot": UNTRAINED,
    "local": ALONE,
    "local_network": ALONE,
}  # method -> paths of a level that do not concern it


@dataclass(frozen=True)
class StressOptions:
    """How large a stress run is.

    Attributes:
        seeds: Seeds per trial.
        minutes: Time for everything; None = the cases' own budgets only.
        slots: Trials that run at once; used to predict time.
        quick: Two or three levels of each case, small federations.
        cases: Which; all by default.
    """

    seeds: int
    minutes: float | None
    slots: int
    quick: bool
    cases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """A level of a case for one space: what is started, or left out, together."""

    case: Case
    space: str
    level: Level
    specs: tuple[Spec, ...]

    @property
    def budget(self) -> tuple[str, str]:
        """Whose time it takes."""
        return self.case.name, self.space


class StressPlan:
    """Hands out the suite's trials and takes their rows; the protocol of `raysim.search.plan.Plan`."""

    WAIT = "wait"
    dropped = 0
    asked: Mapping[str, int] = {}  # nothing is searched

    def __init__(
        self,
        spaces: Sequence[Space],
        options: StressOptions,
        stored: Mapping[str, Row] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lay the plan out.

        Args:
            spaces: Whose methods are stressed.
            options: How large the run is.
            stored: Rows by key that an earlier start has finished: time decides nothing about their levels.
            clock: Seconds.

        Raises:
            UserError: an unknown case, a space whose scenario is set or whose pixels are classified, or one
                asked for twice.
        """
        self.options, self.clock, self.stored = options, clock, dict(stored or {})
        self.spaces = {space.name: space for space in spaces}
        if len(self.spaces) < len(spaces):
            raise UserError("a space was asked for twice; name each once")
        self.resources: Resources = spaces[0].base.resources
        self.cases: list[dict[str, Any]] = []  # as run.json has them: kept up to date
        self.queue: deque[Spec] = deque()
        self.running: dict[str, Spec] = {}
        self.finished: list[Row] = []
        self._cases = {case.name: case for case in chosen(spaces[0], options.cases)}
        self._units = deque(_ends_first(self._laid_out()))
        self._all = sum(len(unit.specs) for unit in self._units)
        self._started, self._elapsed_before = clock(), 0.0

    @property
    def elapsed(self) -> float:
        """Seconds this run has taken, over all its starts."""
        return self._elapsed_before + self.clock() - self._started

    def continue_from(self, elapsed: float) -> None:
        """Count time that an earlier, interrupted start has used."""
        self._elapsed_before = elapsed

    def specs(self) -> Iterator[Spec]:
        """Every trial that is not finished, left out or running."""
        yield from self.queue
        for unit in self._units:
            yield from unit.specs

    def next(self) -> Spec | str | None:
        """The next trial; `WAIT` while others are running and may decide what fits; None when everything is done."""
        while not self.queue and self._units:
            unit = self._units.popleft()
            reason = "" if any(spec.key in self.stored for spec in unit.specs) else self._too_late(unit)
            if reason:
                self._leave_out(unit, reason)
            else:
                self.queue.extend(unit.specs)
        if self.queue:
            spec = self.queue.popleft()
            self.running[spec.key] = spec
            return spec
        return self.WAIT if self.running else None

    def tell(self, spec: Spec, row: Row) -> None:
        """A trial has ended."""
        del self.running[spec.key]
        self.finished.append(row)

    def planned(self) -> dict[str, int | None]:
        """Trials by kind, as declared."""
        return {"stress": self._all}

    def seconds_left(self) -> float | None:
        """A prediction for people."""
        left = self.options.minutes * 60 - self.elapsed if self.options.minutes is not None else float("inf")
        each = self._mean(self.finished)
        if each is None:
            return None if left == float("inf") else max(0.0, left)
        trials = sum(1 for _ in self.specs()) + len(self.running) / 2
        return max(0.0, min(left, trials * each / self.options.slots))

    def _too_late(self, unit: Unit) -> str:
        """Why a level is not started; nothing where it fits. The first level of a case always fits the case's budget."""
        own = [row for row in self.finished if (row["factor"], _space_of(row)) == unit.budget]
        budget = self._budget(unit.case)
        each = self._mean(own)
        waiting = sum(
            (spec.factor, spec.study.split(" | ")[0]) == unit.budget for spec in self.running.values()
        ) + len(unit.specs)
        if each is not None and sum(row["wall_seconds"] for row in own) + MARGIN * waiting * each > budget:
            return f"time: it would not fit the {budget:g} s of this case"
        if self.options.minutes is not None:
            known = each or self._mean([row for row in self.finished if _space_of(row) == unit.space]) or 0.0
            if (
                self.elapsed + MARGIN * (len(unit.specs) + len(self.running)) * known / self.options.slots
                > self.options.minutes * 60
            ):
                return f"time: it would not fit the {self.options.minutes:g} minutes of the run"
        return ""

    def _leave_out(self, unit: Unit, reason: str) -> None:
        declared = next(case for case in self.cases if case["name"] == unit.case.name)
        declared["not_run"].append(
            {"space": unit.space, "level": unit.level.label, "label": "", "reason": reason}
        )

    def _budget(self, case: Case) -> float:
        return case.quick_seconds if self.options.quick else case.seconds

    def _mean(self, rows: Sequence[Row]) -> float | None:
        return float(np.mean([row["wall_seconds"] for row in rows])) if rows else None

    def _laid_out(self) -> list[list[Unit]]:
        """The units of every case and space, in the order of its levels; and the cases as run.json has them."""
        laid: list[list[Unit]] = []
        count = 0
        for case in self._cases.values():
            levels = [case.levels[i] for i in case.quick] if self.options.quick else list(case.levels)
            declared = _declared(case, levels, self._budget(case))
            self.cases.append(declared)
            for space in () if case.skipped else self.spaces.values():
                entries = entries_of(case, space, self.options.quick)
                declared["entries"][space.name] = list(entries)
                declared["metrics"][space.name] = {label: _metric(case, label) for label in entries}
                units = []
                for level in levels:
                    specs = []
                    for label, changes in entries.items():
                        try:
                            specs.append(self._spec(count, case, level, space, label, changes))
                            count += 1
                        except UserError as error:
                            reason = f"not possible: {error}"
                            declared["not_run"].append(
                                {"space": space.name, "level": level.label, "label": label, "reason": reason}
                            )
                    if specs:
                        units.append(Unit(case, space.name, level, tuple(specs)))
                laid.append(units)
        return laid

    def _spec(
        self, number: int, case: Case, level: Level, space: Space, label: str, changes: Overrides
    ) -> Spec:
        first = experiment_of(case, level, space, changes, self.options.quick)
        seeds = tuple(override(first, {"seed": first.seed + index}) for index in range(self.options.seeds))
        study = f"{space.name} | {case.name} | {level.label}"
        return Spec(
            number,
            study,
            first.scenario.label,
            first.method.name,
            "stress",
            label,
            seeds,
            dict(changes),
            case.name,
            level.label,
            space=space.name,
            limit_s=self._budget(case),
        )


def chosen(space: Space, names: Sequence[str]) -> list[Case]:
    """The suite, or some of its cases by name.

    Raises:
        UserError: an unknown name.
    """
    task = space.base.task
    others = [PARTNERS, ("scenes",)][task.dataset != "scenes"]
    found = {info.name for info, folder in catalogue() if folder is not None} | DRAWN
    fit = task.dataset not in ANY_FOLDER and "+" not in task.dataset
    suite = [
        *CASES,
        mixed(
            task.dataset,
            next((name for name in others if fit and name in found and name != task.dataset), None),
        ),
    ]
    known = [case.name for case in suite]
    for name in names:
        if name not in known:
            raise UserError(f"--cases: unknown case '{name}'{suggest(name, known)} Known: {', '.join(known)}")
    return [case for case in suite if not names or case.name in names]


def entries_of(case: Case, space: Space, quick: bool) -> dict[str, Overrides]:
    """The method, its references, its plain sibling (not with `quick`) and its variants, by label.

    Raises:
        UserError: the space is none that the suite can stress.
    """
    base = space.base
    if base.task.kind == "segmentation" or base.task.dataset in SEGMENTATION:
        raise UserError(
            f"space '{space.name}' classifies pixels; the stress suite knows image classification only"
        )
    if {"scenario", "scenario.name"} & set(space.fixed):
        raise UserError("scenario: the stress suite sets it, case by case; leave it out")
    network, name = _trains_network(base), base.method.name
    local, sibling = ("local_network", "fedavg") if network else ("local", "promptfl")
    plain = {"method": "zeroshot", **({"task.image_size": None, "task.views": 1} if network else {})}
    found: dict[str, Overrides] = {name: {}, "zeroshot": plain}
    if case.local:
        found[local] = {"method": local}
    if not quick:
        found[sibling] = {"method": sibling}
    variants = {
        label: changes
        for label, changes in case.variants.items()
        if not quick or label in case.quick_variants
    }
    return found | {f"{name}, {label}": changes for label, changes in variants.items()}


def experiment_of(case: Case, level: Level, space: Space, changes: Overrides, quick: bool) -> Experiment:
    """An entry at a level, on the first seed.

    Raises:
        UserError: it is not possible, with the reason.
    """
    sizes = (NETWORK_QUICK if _trains_network(space.base) else FEATURES_QUICK) if quick else {}
    blind = REFERENCES.get(str(changes.get("method")), ())
    found = override(space.base, {path: value for path, value in sizes.items() if path not in space.fixed})
    for step in (GROUND, case.ground, level.changes):
        found = override(found, {path: value for path, value in step.items() if not path.startswith(blind)})
    if case.paced and "faults." not in blind:
        found = override(found, {"faults.step_seconds": 1.0 / _median_steps(found)})
    return override(found, changes)


def _median_steps(experiment: Experiment) -> float:
    """Local steps of the median client in a round."""
    training = experiment.training
    sizes = np.array([len(shard) for shard in Federation.of(experiment).shards])
    return float(np.median(training.epochs * np.ceil(sizes / training.batch)))


def _trains_network(experiment: Experiment) -> bool:
    return hasattr(experiment.method, "network")


def _metric(case: Case, label: str) -> str:
    return (case.metric_local or case.metric) if label in ("local", "local_network") else case.metric


def _declared(case: Case, levels: Sequence[Level], budget: float) -> dict[str, Any]:
    return {
        "name": case.name,
        "title": case.title,
        "axis": case.axis,
        "unit": case.unit,
        "log": case.log,
        "note": case.note,
        "skipped": case.skipped,
        "levels": [{"label": level.label, "x": level.x} for level in levels],
        "entries": {},
        "metrics": {},
        "seconds": budget,
        "not_run": [],
    }


def _ends_first(laid: Sequence[Sequence[Unit]]) -> Iterator[Unit]:
    """The first level of every case, then the last one, then those in between, from the middle outwards."""
    for turn in range(max((len(units) for units in laid), default=0)):
        yield from (units[order[turn]] for units in laid if turn < len(order := _order(len(units))))


def _order(n: int) -> list[int]:
    """0, n - 1, then the middles of what is left between two that were taken, widest gap first."""
    order = list(range(min(n, 1))) + ([n - 1] if n > 1 else [])
    while len(order) < n:
        taken = sorted(order)
        low, high = max(itertools.pairwise(taken), key=lambda gap: gap[1] - gap[0])
        order.append((low + high) // 2)
    return order


def _space_of(row: Row) -> str:
    return str(row["study"]).split(" | ")[0]
