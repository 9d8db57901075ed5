"""What a run costs, from a few of its own rounds, in which the rows of a few images stand for all.

The rounds are real: clients train, the server aggregates, tables and checkpoints are written. Only, fewer
clients take part, and what the images show is not theirs. So seconds and bytes can be measured, accuracies
cannot.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from raysim.core.types import MicroCohort, Score, ServerState, Split, Update
from raysim.engines.serial import Serial
from raysim.experiment.overrides import override
from raysim.experiment.records import Experiment
from raysim.experiment.resources import Resources
from raysim.simulation.device import device_of
from raysim.simulation.federation import Federation
from raysim.simulation.images import Frozen
from raysim.simulation.rounds import Simulation
from raysim.simulation.sampled import stand_in
from raysim.storage.store import Store

CLIENTS = 48  # most clients of a measured round
ROUNDS = 2  # measured rounds, after one in which clients get their private states


@dataclass(frozen=True)
class Costs:
    """What was measured, and how often a run needs it. Seconds are CPU-seconds, on one thread.

    Attributes:
        client: Seconds of one client in one round.
        flops: Its floating-point operations.
        server: Seconds of a round beyond its clients: aggregation, the server's own work, files.
        evaluation: Seconds of one evaluation.
        once: Seconds that the first evaluation and the first round take longer than later ones.
        process: Seconds that a process takes to import and to load what it needs.
        memory: GiB that this process has had at most; a client actor needs as much.
        kept: Bytes that a client leaves with the driver or on its disk between two rounds.
        clients: Clients of a round of the run.
        rounds: Rounds of the run.
        evaluations: Evaluations of the run, with the one before training.
        measured: Clients of a measured round.
    """

    client: float
    flops: float
    server: float
    evaluation: float
    once: float
    process: float
    memory: float
    kept: float
    clients: int
    rounds: int
    evaluations: int
    measured: int

    @property
    def training(self) -> float:
        """CPU-seconds of all clients in all rounds."""
        return self.rounds * self.clients * self.client

    @property
    def total(self) -> float:
        """CPU-seconds of the run in one process, without its start."""
        return self.once + self.training + self.rounds * self.server + self.evaluations * self.evaluation

    def wall(self, workers: int) -> float:
        """Seconds of the run on so many free cores: the server's work waits for the clients'."""
        shared = (self.training + self.evaluations * self.evaluation) / workers
        return self.once + shared + self.rounds * self.server


class Timed(Serial):
    """The serial engine with a stopwatch for training and evaluation."""

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self.seconds, self.clients, self.flops = 0.0, 0, 0.0

    def train(
        self, experiment: str, state: ServerState, micro_cohorts: Iterable[MicroCohort]
    ) -> Iterator[Update]:
        """Train one micro-cohort after the other, and add up what they take."""
        updates = iter(super().train(experiment, state, micro_cohorts))
        while True:
            started = seconds_of(self.resources)
            update = next(updates, None)
            self.seconds += seconds_of(self.resources) - started
            if update is None:
                return
            self.clients, self.flops = self.clients + len(update.clients), self.flops + update.flops
            yield update

    def evaluate(
        self, experiment: str, state: ServerState, micro_cohorts: Iterable[MicroCohort], split: Split
    ) -> list[Score | None]:
        """Score, and add up what it takes."""
        started = seconds_of(self.resources)
        scores = super().evaluate(experiment, state, micro_cohorts, split)
        self.seconds += seconds_of(self.resources) - started
        return scores


def seconds_of(resources: Resources) -> float:
    """Return CPU-seconds of this process; with a GPU the seconds that went by, because the host waits."""
    if device_of(resources).type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def measure(experiment: Experiment, frozen: Frozen, process: float) -> Costs:
    """Run a few rounds of an experiment, and return what it costs.

    Args:
        experiment: The experiment; it trains something.
        frozen: Inputs of which a few images' rows stand for all (`simulation.sampled.sampled_frozen`).
        process: CPU-seconds that this process took to import and to load.

    Raises:
        Diverged: The training diverged on the rows of the sample.
        UserError: The experiment is not possible.
    """
    rounds = experiment.total_rounds
    few = {"rounds": ROUNDS + 2, "evaluation.every": ROUNDS + 2}  # no measured round evaluates
    trainers, device = len(Federation.of(experiment).trainers), device_of(experiment.resources)
    part = override(experiment, {**few, "participation": min(experiment.participation, CLIENTS / trainers)})
    with stand_in(experiment, device, frozen), tempfile.TemporaryDirectory() as folder:
        engine = Timed(experiment.resources)
        simulation = Simulation(part, engine, Store(Path(folder) / "run", part)).open()
        records, started = simulation.rounds(), seconds_of(experiment.resources)
        for _ in range(2):  # the state before training, and a round of first private states
            next(records)
        first = seconds_of(experiment.resources) - started
        engine.seconds, engine.clients, engine.flops = 0.0, 0, 0.0
        started = seconds_of(experiment.resources)
        for _ in range(ROUNDS):
            next(records)
        whole, trained = seconds_of(experiment.resources) - started, engine.seconds
        clients, flops = engine.clients, engine.flops
        started = seconds_of(experiment.resources)
        simulation.evaluator.measure(simulation.state, simulation.privates, "validation")
        evaluation = seconds_of(experiment.resources) - started
        kept = sum(file.stat().st_size for file in (Path(folder) / "run/checkpoints").rglob("*.safetensors"))
    pooled = experiment.method.traits.pooled
    return Costs(
        client=trained / max(clients, 1),
        flops=flops / max(clients, 1),
        server=(whole - trained) / ROUNDS,
        evaluation=evaluation,
        once=max(0.0, first - whole / ROUNDS - evaluation),
        process=process,
        memory=peak_memory(),
        kept=kept / max(len(simulation.privates), 1),
        clients=1 if pooled else max(1, round(experiment.participation * trainers)),
        rounds=rounds,
        evaluations=1 + -(-rounds // experiment.evaluation.every),
        measured=max(1, clients // ROUNDS),
    )


def peak_memory() -> float:
    """Return the most memory in GiB that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB; on macOS bytes
    return peak / (2**30 if sys.platform == "darwin" else 2**20)
