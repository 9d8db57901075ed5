"""A machine on which plans run without training: its clock, the time of trials, and the end of the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialRow
from tests.fakes.sweeps import toy_row

SEED_SECONDS = 4.0  # of one seed of the method, on a machine of speed 1
UNTRAINED_SECONDS = 0.4  # of one seed of a method that trains nothing
FOLDER_SECONDS = 0.2  # of a trial whose runs are all finished
REPORT_SECONDS = 6.0  # of the last report, and of the end of all processes


@dataclass
class Ended:
    """A trial that has ended, and what the plan knew when it was handed out.

    Attributes:
        spec: The trial.
        start: Time at which it was handed out.
        end: Time at which it ended.
        missing: Labels of the contrasts that were not handed out before it.
        is_stopped: Whether the time limit interrupted it.
    """

    spec: TrialSpec
    start: float
    end: float
    missing: list[str]
    is_stopped: bool


@dataclass
class Machine:
    """A machine.

    Attributes:
        slowness: How many times slower than speed 1 it is.
        slots: Trials that run at once.
        startup: Seconds more that the first trial of each slot takes.
        measured: Whether the rows say so.
        busy_from: Time from which everything takes three times as long.
        preparation: Seconds of the command before the first trial, at speed 1.
        now: The clock.
    """

    slowness: float = 1.0
    slots: int = 2
    startup: float = 3.0
    measured: bool = True
    busy_from: float = float("inf")
    preparation: float = 8.0
    now: float = 0.0
    ended: list[Ended] = field(default_factory=list)
    finished_runs: set[str] = field(default_factory=set)

    def clock(self) -> float:
        return self.now

    def run(self, make_plan: Callable[[Callable[[], float]], SweepPlan], elapsed: float = 0.0) -> SweepPlan:
        """Run a plan as a command does, from its start to the end of the last report.

        Args:
            make_plan: Takes the clock.
            elapsed: Seconds of earlier starts.
        """
        started = self.now
        plan = make_plan(self.clock)
        plan.budget.count_from(started, elapsed)
        self.now += self.preparation * self.slowness
        self._run(plan)
        self.now += REPORT_SECONDS * self._factor()
        return plan

    def kinds(self) -> list[str]:
        return [trial.spec.kind for trial in self.ended]

    def _run(self, plan: SweepPlan) -> None:
        running: list[tuple[float, float, TrialSpec, float, list[str]]] = []
        warm = 0
        while True:
            spec = plan.next() if len(running) < self.slots else "wait"
            if isinstance(spec, TrialSpec) and spec.key in plan.stored:
                plan.tell(spec, plan.stored[spec.key])
            elif isinstance(spec, TrialSpec):
                startup = self.startup if warm < self.slots else 0.0
                warm += 1
                seconds = startup + self._seconds(spec)
                missing = [
                    trial.label
                    for block in plan.agenda.blocks
                    if block.stage == "contrast"
                    for trial in block.trials
                ]
                running.append((self.now + seconds, self.now, spec, startup, missing))
            elif running:
                running.sort(key=lambda trial: trial[0])
                self._end(plan, *running.pop(0))
            else:
                return

    def _end(
        self, plan: SweepPlan, end: float, start: float, spec: TrialSpec, startup: float, missing: list[str]
    ) -> None:
        deadline = float("inf") if plan.budget.left is None else self.now + plan.budget.left
        is_stopped = end > deadline
        self.now = max(self.now, min(end, deadline))
        assert len(self.ended) < 2000, "the plan does not end"
        self.ended.append(Ended(spec, start, self.now, missing, is_stopped))
        plan.budget.keep_for_report(REPORT_SECONDS * self._factor())  # pages are written while trials run
        if is_stopped:
            plan.put_back(spec)
        else:
            self.finished_runs |= {experiment.id for experiment in spec.experiments}
            plan.tell(spec, self._row(spec, end - start, startup))

    def _row(self, spec: TrialSpec, seconds: float, startup: float) -> TrialRow:
        return toy_row(
            spec, wall_seconds=seconds, startup_seconds=startup if self.measured else 0.0, finished=self.now
        )

    def _seconds(self, spec: TrialSpec) -> float:
        trains = spec.experiments[0].method.traits.trains
        per_seed = SEED_SECONDS * spec.experiments[0].training.epochs if trains else UNTRAINED_SECONDS
        new = sum(experiment.id not in self.finished_runs for experiment in spec.experiments)
        return (FOLDER_SECONDS + per_seed * new) * self._factor()

    def _factor(self) -> float:
        return self.slowness * (3.0 if self.now >= self.busy_from else 1.0)
