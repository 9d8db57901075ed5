"""Runs of a trial: a configuration on its seeds, advanced together, and the columns that they fill."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import numpy as np

from raysim.core.columns import MEASURED_COLUMNS, TOTAL_COLUMNS
from raysim.core.errors import Diverged, OutOfTime, UserError, first_cause
from raysim.core.types import RoundRecord
from raysim.experiment.records import Experiment
from raysim.simulation.engine import Engine
from raysim.simulation.rounds import Simulation
from raysim.storage.files import lock_folder
from raysim.storage.store import Store
from raysim.storage.trials import SeedOutcome, TrialOutcome

LOCK_SECONDS = 24 * 3600  # longest wait for another trial that has the same run
UNMEASURED = (
    "no client can be measured: their classes have no validation image; use classes of at least 5 images"
)


class Stopped(Exception):
    """The time of the whole sweep is over; the runs can be continued from their last rounds."""


class SeedGroup:
    """The runs of one trial, one per seed, advanced together from evaluation to evaluation.

    A seed whose run diverges, or has no finite accuracy, is lost. The others run on to their end.

    Attributes:
        simulations: The runs, in the order of the seeds.
        round: Round of the last evaluation.
        curve: Rounds of the evaluations, and the mean validation accuracy over the seeds; a lost seed counts
            as 0.
        lost: Place of each lost seed -> why it was lost.
        startup_seconds: Seconds from the start until the first run has measured its state before training.
    """

    def __init__(
        self,
        experiments: Sequence[Experiment],
        folder: Path,
        pool: Engine,
        thresholds: Mapping[int, float],
        test: bool,
        limit_s: float | None = None,
        deadline: float | None = None,
    ) -> None:
        """Open or resume the runs.

        Args:
            experiments: The configuration on each of its seeds.
            folder: The result folder of the sweep.
            pool: The engine that trains the clients.
            thresholds: Round -> validation accuracy below which the trial is pruned.
            test: Whether the test split is opened at the end.
            limit_s: Seconds after which the trial fails; None = no limit.
            deadline: Time, in seconds since 1970, at which the trial is stopped; None = never.
        """
        self.thresholds, self.test = thresholds, test
        self.limit_s, self.deadline, self._start = limit_s, deadline, time.monotonic()
        self.lost: dict[int, Exception] = {}
        self.startup_seconds = 0.0
        self.total, self.every = experiments[0].total_rounds, experiments[0].evaluation.every
        self.round = 0
        self.curve: list[tuple[int, float]] = []
        folders = [folder / "runs" / experiment.id for experiment in experiments]
        # a run of another trial may be the same experiment: it ends first, and its result is used here too
        with ExitStack() as locks:  # what cannot be opened is unlocked at once: other trials wait for it
            for path in sorted(folders):
                locks.callback(lock_folder(path, LOCK_SECONDS).release)
            stores = [
                Store(path, experiment, folder / "tables")
                for path, experiment in zip(folders, experiments, strict=True)
            ]
            self.simulations = [
                Simulation(experiment, pool, store).open(resume=True, measures_only=True, test=test)
                for experiment, store in zip(experiments, stores, strict=True)
            ]
            self._locks = locks.pop_all()
        self._rounds = [simulation.rounds() for simulation in self.simulations]

    def advance(self) -> tuple[str, int]:
        """Go on to the next evaluation.

        Returns:
            state: RUNNING, PRUNED, COMPLETE, or FAIL where at least half of the seeds are lost at the end.
            round: Round of the evaluation.

        Raises:
            UserError: No client can be measured, on any seed.
            OutOfTime: The time limit of the trial has passed.
            Stopped: The deadline has passed.
        """
        self.round = min(self.total, self.round + self.every)
        values = [self._value(seed) for seed in range(len(self.simulations))]
        if self.failed and len(self.lost) == len(self.simulations):
            if all(isinstance(cause, UserError) for cause in self.lost.values()):
                raise UserError(UNMEASURED)
            return "FAIL", self.round
        self.curve.append((self.round, float(np.mean(values))))
        if self.round == self.total:
            return ("FAIL" if self.failed else "COMPLETE"), self.round
        is_behind = self.curve[-1][1] < self.thresholds.get(self.round, -np.inf)
        # a trial that has lost half of its seeds has failed, and would be mistaken for a pruned one
        return ("PRUNED" if is_behind and not self.failed else "RUNNING"), self.round

    @property
    def failed(self) -> bool:
        """Whether at least half of the seeds are lost."""
        return 2 * len(self.lost) >= len(self.simulations)

    @property
    def failure(self) -> Exception | None:
        """Why the trial has failed; None while it has not."""
        if not self.failed:
            return None
        first = next(iter(self.lost.values()))
        count = len(self.simulations)
        return first if count == 1 else type(first)(f"{len(self.lost)} of {count} seeds: {first}")

    def outcomes(self, state: str) -> list[SeedOutcome]:
        """Return how each seed has ended.

        Args:
            state: COMPLETE, PRUNED or FAIL.
        """
        ended: SeedOutcome = "pruned" if state == "PRUNED" else "complete"
        if state == "FAIL" and not (self.failed and self._at_end()):  # an error has ended all seeds
            ended = "failed"
        return [
            ("diverged" if isinstance(self.lost[seed], Diverged) else "failed")
            if seed in self.lost
            else ended
            for seed in range(len(self.simulations))
        ]

    def _at_end(self) -> bool:
        """Return whether every seed is lost or has run to its end."""
        return all(
            seed in self.lost or simulation.finished for seed, simulation in enumerate(self.simulations)
        )

    def _value(self, seed: int) -> float:
        """Advance a seed, and return its validation accuracy; 0 if it is lost."""
        if seed in self.lost:
            return 0.0
        try:
            self._advance(self.simulations[seed], self._rounds[seed])
        except Exception as error:
            if not isinstance(cause := first_cause(error), Diverged):
                raise
            self.lost[seed] = cause
            return 0.0
        value = self.simulations[seed].history[self.round]
        if not np.isfinite(value):
            self.lost[seed] = UserError(UNMEASURED)
            return 0.0
        return value

    def _advance(self, simulation: Simulation, rounds: Iterator[RoundRecord]) -> None:
        while simulation.state.round < self.round:
            next(rounds)
            self.startup_seconds = self.startup_seconds or time.monotonic() - self._start
            if self.limit_s is not None and time.monotonic() - self._start > self.limit_s:
                raise OutOfTime(
                    f"not done within {self.limit_s:g} s, at round {simulation.state.round} of {self.total}"
                )
            if self.deadline is not None and time.time() > self.deadline:
                raise Stopped(f"at round {simulation.state.round} of {self.total}")
        if self.round == self.total:
            list(rounds)

    def close(self) -> None:
        """Unlock the folders of the runs."""
        self._locks.close()

    def drop_networks(self) -> None:
        """Delete the clients' own networks, because those of a hundred runs would fill the disk."""
        for simulation in self.simulations:
            simulation.store.drop_vault()

    def curve_columns(self) -> TrialOutcome:
        """Return the columns of the objective; none before the first evaluation."""
        return {"objective": self.curve[-1][1], "curve": json.dumps(self.curve)} if self.curve else {}

    def measure_columns(self, state: str) -> TrialOutcome:
        """Return the columns of the measures, after opening the test split if the trial does so.

        Lists have NaN at a seed that was lost. Means are over the other seeds; over all where all are lost.

        Args:
            state: COMPLETE, PRUNED or FAIL; a pruned trial never opens the test split.
        """
        ended = [seed for seed in range(len(self.simulations)) if seed not in self.lost]
        results = {seed: self.simulations[seed].result() for seed in ended or range(len(self.simulations))}
        opens = self.test and state != "PRUNED"
        tests = {seed: self.simulations[seed].open_test() for seed in ended if opens}
        columns: dict[str, Any] = {}
        for name in MEASURED_COLUMNS:
            columns[name] = self._by_seed({seed: results[seed][name] for seed in ended})
            by_seed = {seed: test[name] for seed, test in tests.items()}
            columns[f"test_{name}"] = self._by_seed(by_seed) if opens else None
        for name in (*TOTAL_COLUMNS, "bytes_setup"):
            columns[name] = float(np.mean([result[name] for result in results.values()]))
        columns["patches"] = self.simulations[0].initial.patches
        columns["shared_parameters"] = sum(
            tensor.numel() for tensor in self.simulations[0].state.shared.values()
        )
        return cast(TrialOutcome, columns)

    def _by_seed(self, values: Mapping[int, float | None]) -> list[float]:
        """Return a value per seed; NaN where there is none."""
        found = [values.get(seed) for seed in range(len(self.simulations))]
        return [float("nan") if value is None else float(value) for value in found]
