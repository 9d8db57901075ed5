"""The round loop of a run. `Simulation.rounds` is the whole of it: four steps, one statement each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from raysim.clients.faults import RoundOutcome
from raysim.core.columns import FLOPS_COLUMNS, MEASURED_COLUMNS, TOTAL_COLUMNS, TRAFFIC_COLUMNS
from raysim.core.errors import UserError
from raysim.core.types import (
    POOLED,
    InitialState,
    RoundRecord,
    ServerState,
    Tensors,
    Update,
)
from raysim.experiment.records import Experiment, identity
from raysim.simulation.clock import Clock
from raysim.simulation.cohorts import draw_cohort, training_cohorts
from raysim.simulation.diagnosis import RunDiagnosis
from raysim.simulation.engine import Engine
from raysim.simulation.evaluation import Evaluator
from raysim.simulation.federation import Federation
from raysim.simulation.images import contents_of
from raysim.simulation.learned import learned
from raysim.simulation.server import Server, ServerStep, with_late, without_late
from raysim.simulation.tables import description, owners_record, partition, with_training
from raysim.storage.model_card import has_card, write_card
from raysim.storage.store import Privates, Store, state_sha256


class Simulation:
    """One run of an experiment in one folder. Call `open`, then iterate over `rounds`.

    Attributes:
        federation: The clients and their images.
        initial: What the run started from.
        state: The server after the last finished round.
        privates: The private state of every client that has taken part.
        late: Late updates that have not arrived yet (`raysim.clients.faults.pack_late_update`).
        totals: Traffic, FLOPs and seconds of all finished rounds.
        last_measures: The measures of the last evaluated round.
        history: Validation `acc_personal_own` of each evaluated round.
        finished: Whether all rounds are done.
    """

    federation: Federation
    initial: InitialState
    state: ServerState
    privates: Privates
    late: Tensors
    totals: dict[str, Any]
    last_measures: dict[str, Any]
    history: dict[int, float]
    finished: bool

    def __init__(self, experiment: Experiment, engine: Engine, store: Store) -> None:
        self.experiment, self.engine, self.store = experiment, engine, store
        self.method, self.experiment_text = experiment.method, identity(experiment)

    def rounds(self) -> Iterator[RoundRecord]:
        """Run the rounds that are left, and yield a record of each; record 0 is the state before training.

        The records of a finished run are read from its folder.
        """
        if self.finished:
            yield from self.store.tables.records()
            if not has_card(self.store.folder):  # a run of an earlier version
                self._save_model(self.result())
            return
        if self.fresh:
            yield self._write(self._first_record(), time.perf_counter(), {})
        for round_ in range(self.state.round, self.experiment.total_rounds):
            started = time.perf_counter()
            outcome = self._draw_outcome(round_)  # clients asked, and which of them answer in time
            updates = self._train(outcome)  # what they send, one micro-cohort after the other
            step = self.server.step(self.state, outcome, updates, self.late)
            yield self._measure_and_write(step, started)
        self._finish()

    def _draw_outcome(self, round_: int) -> RoundOutcome:
        """Draw the clients of a round, and decide which arrive in time, are late or drop out."""
        clients = draw_cohort(self.federation, self.clock.draw_count(), round_)
        return self.clock.decide_round(round_, clients)

    def _train(self, outcome: RoundOutcome) -> Iterable[Update]:
        """Train the clients that did not drop out; each update is computed when it is asked for."""
        micro_cohorts = training_cohorts(self.federation, outcome, self.privates, str(self.store.vault))
        return self.engine.train(self.experiment_text, self.state, micro_cohorts)

    def _measure_and_write(self, step: ServerStep, started: float) -> RoundRecord:
        """Take the next state, evaluate it if this round is evaluated, and write the round."""
        previous, self.state, self.late = self.state, step.state, step.late
        changed = changed_privates(step.updates)
        self.privates |= changed
        round_, every = self.state.round, self.experiment.evaluation.every
        if round_ % every == 0 or round_ == self.experiment.total_rounds:
            record = self._evaluate()
        else:
            record = RoundRecord(round=round_, row={}, clients=[], classes=[])
        record = with_training(record, step.updates, step.columns)
        return self._write(record, started, changed, previous)

    def _evaluate(self) -> RoundRecord:
        """Measure the state on the validation split."""
        return self.evaluator.measure(self.state, self.privates, "validation")

    def _first_record(self) -> RoundRecord:
        """Measure the state before training, for which the server may have worked already."""
        record = self._evaluate()
        return replace(record, row={**record.row, "flops_server": self.initial.flops_server})

    def _write(
        self, record: RoundRecord, started: float, changed: Privates, previous: ServerState | None = None
    ) -> RoundRecord:
        """Write a finished round: its rows and totals, the state, and the private states that changed."""
        record = self.diagnosis.with_ratios(record, self.state, previous)
        costs = dict.fromkeys(TRAFFIC_COLUMNS, 0) | dict.fromkeys(FLOPS_COLUMNS, 0.0)
        row = {"clients": 0, **costs, **record.row}
        row["seconds"] = time.perf_counter() - started
        self.totals = {name: total + row.get(name, 0) for name, total in self.totals.items()}
        if row.get("acc_personal_global") is not None:
            accuracy = row["acc_personal_own"]
            self.last_measures = {name: row.get(name) for name in MEASURED_COLUMNS}
            self.history[record.round] = float("nan") if accuracy is None else accuracy
        record, self.fresh = replace(record, row=row), False
        progress = {"totals": self.totals, "last": self.last_measures, "history": self.history}
        self.store.write(record, with_late(self.state, self.late), changed, progress)
        return record

    def _finish(self) -> None:
        """Write the diagnosis and the result of a run whose rounds are all done."""
        signatures = self.diagnosis.write(self.engine, self.experiment_text, self.state)
        self.store.settle()
        result = self.result()
        self._save_model(result)
        ended = {"status": "done", "seconds": self.totals["seconds"], "result": result}
        self.store.describe({**ended, **signatures})
        self.finished = True

    def _save_model(self, result: Mapping[str, Any]) -> None:
        """Write the card of what was learned; the last checkpoint holds its tensors."""
        write_card(self.store, learned(self.federation, self.initial, self.privates, result))

    def open(self, resume: bool = False, measures_only: bool = False, test: bool = False) -> Self:
        """Start the run, or read it from the folder if it is finished there: equal ids have equal results.

        Args:
            resume: Whether to go on with an unfinished run of this experiment.
            measures_only: Whether a finished run will do whose large private states were dropped.
            test: Whether its test split must have been opened then: without the states it cannot be.

        Raises:
            UserError: The folder holds another experiment, a run on other images, or an unfinished run and
                `resume` is false.
        """
        self.store.open()
        self.finished = self.store.finished or (measures_only and self.store.is_measured(test))
        if not (resume or self.finished) and self.store.has_rounds:
            raise UserError(
                f"--out {self.store.folder}: holds an unfinished run of this experiment; continue it with "
                "--resume (Simulation.open(resume=True)), remove it (Store.clear()), or choose another folder"
            )
        self.store.refuse_other_images(contents_of([self.experiment.task]))
        self.federation = Federation.of(self.experiment)
        self._refuse_other_owners()
        self.initial = self.engine.initial(self.experiment_text)
        self._restore()
        self._assemble()
        if not self.finished:
            test_measures = None if self.fresh else self.store.described().get("test")
            self.store.write_partition(partition(self.federation))
            travel = self.engine.describe(str(self.store.vault)) if self.initial.personal else {}
            described = description(self.federation, self.initial, self.clock.corrupt)
            self.store.describe({**described, **travel, "test": test_measures})
        return self

    def _refuse_other_owners(self) -> None:
        """Raise `UserError` where the clients exist, and held other images when the run began."""
        earlier = self.store.described().get("owners", {}).get("content")
        owners = owners_record(self.federation).get("owners", {})
        if earlier not in (None, owners.get("content")):
            raise UserError(
                f"--out {self.store.folder}: its run began with clients that held other images "
                f"(owners.content {earlier}, now {owners.get('content')}); put the images back, or choose "
                "another folder"
            )

    def _restore(self) -> None:
        """Take the last finished round from the folder, or the state before training."""
        stored = self.store.restore(dropped=self.finished)
        self.fresh = stored is None
        if stored is not None:
            state, self.privates, progress = stored
            self.state, self.late = without_late(state)
            self.totals, self.last_measures = progress["totals"], progress["last"]
            self.history = {int(round_): value for round_, value in progress["history"].items()}
            return
        self.state, self.privates, self.late = self.initial.state, {}, {}
        self.totals = dict.fromkeys(TOTAL_COLUMNS, 0.0) | dict.fromkeys(TRAFFIC_COLUMNS, 0)
        self.totals |= {"virtual_seconds": 0.0} if self.experiment.clocked else {}
        self.last_measures, self.history = {}, {}

    def _assemble(self) -> None:
        """Build the parts that do the work of a round."""
        federation, initial, vault = self.federation, self.initial, str(self.store.vault)
        self.clock = Clock(federation, initial.payloads)
        self.server = Server(self.experiment, self.engine, self.experiment_text, self.clock, initial.buffers)
        self.evaluator = Evaluator(self.engine, self.experiment_text, federation, initial.personal, vault)
        self.diagnosis = RunDiagnosis(self.method, initial.totals, federation.images.class_names, self.store)

    def open_test(self) -> dict[str, Any]:
        """Measure the final state on the test split, or read the measures where private states were dropped.

        The opening is logged in run.json, and its rows are kept apart.
        """
        described = self.store.described()
        if self.store.is_measured(test=True):
            return dict(described["test"])
        openings = [*described.get("test_opened", []), time.strftime("%Y-%m-%dT%H:%M:%S%z")]
        self.store.describe({"test_opened": openings})
        record = self.evaluator.measure(self.state, self.privates, "test")
        self.store.write_rows(record, "test")
        test = {name: record.row.get(name) for name in MEASURED_COLUMNS}
        self.store.describe({"test": test})
        return test

    def result(self) -> dict[str, Any]:
        """Return the numbers of the run that scripts read: its id, hash, last measures and totals."""
        return {
            "id": self.experiment.id,
            "state_sha256": state_sha256(with_late(self.state, self.late), self.privates),
            **{name: self.last_measures.get(name) for name in MEASURED_COLUMNS},
            **self.totals,
            # sent once to each client that takes part; with such a method each of them has a private state
            "bytes_setup": self.initial.setup * len(self.privates),
        }


def changed_privates(updates: Sequence[Update]) -> Privates:
    """Return the new private states of the clients of a round; the pooled pseudo-client keeps none."""
    return {
        client: private
        for update in updates
        for client, private in zip(update.clients, update.private, strict=True)
        if client != POOLED and private
    }
