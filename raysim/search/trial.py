"""A trial's runs: a configuration on its seeds, in lockstep, and the numbers that come of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from raysim.core.errors import Diverged, OutOfTime, UserError, first_cause
from raysim.core.types import MEASURED, TOTALS, RoundRecord, Row
from raysim.experiment.records import Experiment
from raysim.simulation.engine import Engine
from raysim.simulation.rounds import Simulation
from raysim.storage.files import hold
from raysim.storage.store import Store

TWIN_SECONDS = 24 * 3600


class SeedGroup:
    """The runs of one trial, one per seed, advanced in lockstep from rung to rung."""

    def __init__(
        self,
        experiments: Sequence[Experiment],
        folder: Path,
        pool: Engine,
        thresholds: Mapping[int, float],
        test: bool,
        limit_s: float | None = None,
    ) -> None:
        self.thresholds, self.test, self.limit_s, self.begun = thresholds, test, limit_s, time.monotonic()
        self.total, self.every = experiments[0].total_rounds, experiments[0].evaluation.every
        self.round = 0
        self.curve: list[tuple[int, float]] = []
        folders = [folder / "runs" / experiment.id for experiment in experiments]
        self._locks = [
            hold(path, TWIN_SECONDS) for path in sorted(folders)
        ]  # an equal trial may be under way: its result is taken over
        stores = [
            Store(path, experiment, folder / "tables")
            for path, experiment in zip(folders, experiments, strict=True)
        ]
        self.simulations = [
            Simulation(experiment, pool, store, resume=True)
            for experiment, store in zip(experiments, stores, strict=True)
        ]
        self._rounds = [simulation.rounds() for simulation in self.simulations]

    def advance(self) -> tuple[str, int]:
        """On to the next evaluation: the state (RUNNING, PRUNED, COMPLETE) and the round."""
        self.round = min(self.total, self.round + self.every)
        lost: list[BaseException] = []
        for simulation, rounds in zip(self.simulations, self._rounds, strict=True):
            try:
                self._advance(simulation, rounds)
            except Exception as error:
                if not isinstance(cause := first_cause(error), Diverged):
                    raise
                lost.append(cause)  # the others go on to this rung: one seed of five is not all of them
        if lost and len(self.simulations) == 1:
            raise lost[0]
        if lost:
            raise Diverged(f"{len(lost)} of {len(self.simulations)} seeds: {lost[0]}")
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
            if self.limit_s is not None and time.monotonic() - self.begun > self.limit_s:
                raise OutOfTime(
                    f"not done within {self.limit_s:g} s, at round {simulation.state.round} of {self.total}"
                )
        if self.round == self.total:
            list(rounds)

    def close(self) -> None:
        """Let go of the folders."""
        for lock in self._locks:
            lock.release()

    def drop_networks(self) -> None:
        """Clients' own networks are not kept beyond a trial: those of a hundred runs would fill the disk."""
        for simulation in self.simulations:
            simulation.store.drop_vault()

    def numbers(self, state: str) -> Row:
        """The trial's row, as far as it is known here."""
        results = [simulation.result() for simulation in self.simulations]
        tests = (
            [simulation.open_test() for simulation in self.simulations]
            if self.test and state == "COMPLETE"
            else []
        )
        row: Row = {name: [_number(result[name]) for result in results] for name in MEASURED}
        row |= {
            f"test_{name}": [_number(test[name]) for test in tests] if tests else None for name in MEASURED
        }
        for name in (*TOTALS, "bytes_setup"):
            row[name] = float(np.mean([result[name] for result in results]))
        row["patches"] = self.simulations[0].first.patches
        row["shared_parameters"] = sum(tensor.numel() for tensor in self.simulations[0].state.shared.values())
        return row


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
