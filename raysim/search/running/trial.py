"""Runs of a trial: a configuration on its seeds, advanced together, and the columns that they fill."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
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
from raysim.storage.trials import TrialOutcome

LOCK_SECONDS = 24 * 3600  # longest wait for another trial that has the same run


class SeedGroup:
    """The runs of one trial, one per seed, advanced together from evaluation to evaluation.

    Attributes:
        simulations: The runs, in the order of the seeds.
        round: Round of the last evaluation.
        curve: Rounds of the evaluations, and the mean validation accuracy over the seeds.
    """

    def __init__(
        self,
        experiments: Sequence[Experiment],
        folder: Path,
        pool: Engine,
        thresholds: Mapping[int, float],
        test: bool,
        limit_s: float | None = None,
    ) -> None:
        """Open or resume the runs.

        Args:
            experiments: The configuration on each of its seeds.
            folder: The result folder of the sweep.
            pool: The engine that trains the clients.
            thresholds: Round -> validation accuracy below which the trial is pruned.
            test: Whether the test split is opened at the end.
            limit_s: Seconds after which the trial fails; None = no limit.
        """
        self.thresholds, self.test, self.limit_s, self._start = thresholds, test, limit_s, time.monotonic()
        self.total, self.every = experiments[0].total_rounds, experiments[0].evaluation.every
        self.round = 0
        self.curve: list[tuple[int, float]] = []
        folders = [folder / "runs" / experiment.id for experiment in experiments]
        # a run of another trial may be the same experiment: it ends first, and its result is used here too
        self._locks = [lock_folder(path, LOCK_SECONDS) for path in sorted(folders)]
        stores = [
            Store(path, experiment, folder / "tables")
            for path, experiment in zip(folders, experiments, strict=True)
        ]
        self.simulations = [
            Simulation(experiment, pool, store).open(resume=True)
            for experiment, store in zip(experiments, stores, strict=True)
        ]
        self._rounds = [simulation.rounds() for simulation in self.simulations]

    def advance(self) -> tuple[str, int]:
        """Go on to the next evaluation.

        Returns:
            state: RUNNING, PRUNED or COMPLETE.
            round: Round of the evaluation.

        Raises:
            Diverged: A seed diverged; the other seeds have reached the evaluation too.
            OutOfTime: The time limit has passed.
        """
        self.round = min(self.total, self.round + self.every)
        failures: list[Diverged] = []
        for simulation, rounds in zip(self.simulations, self._rounds, strict=True):
            try:
                self._advance(simulation, rounds)
            except Exception as error:
                if not isinstance(cause := first_cause(error), Diverged):
                    raise
                failures.append(cause)
        if failures and len(self.simulations) == 1:
            raise failures[0]
        if failures:
            raise Diverged(f"{len(failures)} of {len(self.simulations)} seeds: {failures[0]}")
        value = float(np.mean([simulation.history[self.round] for simulation in self.simulations]))
        if not np.isfinite(value):
            raise UserError(
                "no client can be measured: their classes have no validation image; use classes of at "
                "least 5 images"
            )
        self.curve.append((self.round, value))
        if self.round == self.total:
            return "COMPLETE", self.round
        return ("PRUNED" if value < self.thresholds.get(self.round, -np.inf) else "RUNNING"), self.round

    def _advance(self, simulation: Simulation, rounds: Iterator[RoundRecord]) -> None:
        while simulation.state.round < self.round:
            next(rounds)
            if self.limit_s is not None and time.monotonic() - self._start > self.limit_s:
                raise OutOfTime(
                    f"not done within {self.limit_s:g} s, at round {simulation.state.round} of {self.total}"
                )
        if self.round == self.total:
            list(rounds)

    def close(self) -> None:
        """Unlock the folders of the runs."""
        for lock in self._locks:
            lock.release()

    def drop_networks(self) -> None:
        """Delete the clients' own networks, because those of a hundred runs would fill the disk."""
        for simulation in self.simulations:
            simulation.store.drop_vault()

    def curve_columns(self) -> TrialOutcome:
        """Return the columns of the objective; none before the first evaluation."""
        return {"objective": self.curve[-1][1], "curve": json.dumps(self.curve)} if self.curve else {}

    def measure_columns(self, state: str) -> TrialOutcome:
        """Return the columns of the measures, after opening the test split if the trial does so.

        Args:
            state: COMPLETE or PRUNED; a pruned trial never opens the test split.
        """
        results = [simulation.result() for simulation in self.simulations]
        tests = (
            [simulation.open_test() for simulation in self.simulations]
            if self.test and state == "COMPLETE"
            else []
        )
        columns: dict[str, Any] = {}
        for name in MEASURED_COLUMNS:
            columns[name] = [_number(result[name]) for result in results]
            columns[f"test_{name}"] = [_number(test[name]) for test in tests] if tests else None
        for name in (*TOTAL_COLUMNS, "bytes_setup"):
            columns[name] = float(np.mean([result[name] for result in results]))
        columns["patches"] = self.simulations[0].initial.patches
        columns["shared_parameters"] = sum(
            tensor.numel() for tensor in self.simulations[0].state.shared.values()
        )
        return cast(TrialOutcome, columns)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
