"""The round loop: draw a cohort, train it in micro-cohorts, aggregate, measure, write. No ray here.

Shapes: K clients of a micro-cohort, C classes, D domains.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from raysim.clients.faults import HELD, Turn, arriving, hold
from raysim.clients.heterogeneity import partition_table
from raysim.core.seeds import numpy_rng
from raysim.core.types import (
    MEASURED,
    POOLED,
    TOTALS,
    TRAFFIC,
    MicroCohort,
    RoundRecord,
    Split,
    Tensors,
    Update,
)
from raysim.experiment.records import Experiment, identity, to_dict
from raysim.methods.aggregation import combined, server_update
from raysim.simulation.accuracy import accuracies, base_to_novel, of_newcomers
from raysim.simulation.clock import Clock
from raysim.simulation.cohorts import micro_cohorts
from raysim.simulation.engine import Engine
from raysim.simulation.federation import Federation
from raysim.simulation.images import images_of
from raysim.simulation.tables import _observed, _with_training
from raysim.storage.store import Privates, Store, state_sha256


class Simulation:
    """One run: its state is a value, its rounds an iterator, its folder always true."""

    def __init__(self, experiment: Experiment, engine: Engine, store: Store, resume: bool = False) -> None:
        self.experiment, self.engine, self.store = experiment, engine, store
        self.method = experiment.method
        self.name = identity(experiment)
        self.federation = Federation.of(experiment)
        self.started = time.perf_counter()
        self.first = engine.initial(self.name)
        self.personal = self.first.personal
        self.state = self.first.state
        self.privates: Privates = {}
        self.held: Tensors = {}  # late updates on their way (`raysim.clients.faults.hold`)
        self.clock = Clock(self.federation, self.first.payloads)
        self.totals = (
            dict.fromkeys(TOTALS, 0.0)
            | dict.fromkeys(TRAFFIC, 0)
            | ({"virtual_seconds": 0.0} if experiment.clocked else {})
        )
        self.last: dict[str, Any] = {}
        self.history: dict[int, float] = {}  # validation acc_personal_own by evaluated round
        self.fresh = True
        self._previous: torch.Tensor | None = None  # class ratios of the round before
        if not resume:
            store.forget()
        elif (restored := store.restore()) is not None:
            state, self.privates, progress = restored
            self.held = {name: tensor for name, tensor in state.extra.items() if name.startswith(HELD)}
            self.state = replace(
                state, extra={name: tensor for name, tensor in state.extra.items() if name not in self.held}
            )
            self.totals, self.last, self.fresh = progress["totals"], progress["last"], False
            self.history = {int(round_): value for round_, value in progress["history"].items()}
        store.write_partition(self._partition())
        store.describe(self._description())

    def _partition(self) -> Any:
        images, shards = self.federation.images, self.federation.shards
        return partition_table(
            list(shards), images.labels, images.domains, np.arange(len(images.labels)), self.federation.noisy
        )

    def _description(self) -> dict[str, Any]:
        images = self.federation.images
        return {
            "id": self.experiment.id,
            "kind": "run",
            "status": "running",
            "label": self.method.name,
            "scenario_label": self.experiment.scenario.label,
            "experiment": to_dict(self.experiment),
            "class_names": list(images.class_names),
            **self._set_apart(),
            "domain_names": list(images.domain_names),
            "heterogeneity": self.federation.heterogeneity(),
            "metric": "mIoU" if self.experiment.task.kind == "segmentation" else "accuracy",
            "server_samples": len(self.federation.samples),
            "patches": self.first.patches,
            "shared_parameters": sum(tensor.numel() for tensor in self.state.shared.values()),
            "test": None if self.fresh else self.store.described().get("test"),
            **({"corrupt_clients": sorted(self.clock.corrupt)} if self.clock.corrupt else {}),
        }

    def _set_apart(self) -> dict[str, Any]:
        """Who and what nobody trains with, where there is such a thing."""
        task, newcomers = self.experiment.task, self.federation.newcomers.tolist()
        novel = list(images_of(task, novel=True).class_names) if task.novel else []
        return ({"novel_class_names": novel} if novel else {}) | (
            {"newcomers": newcomers} if newcomers else {}
        )

    def rounds(self) -> Iterator[RoundRecord]:
        """Run what is left, a record per finished round; record 0 is the state before training."""
        if self.fresh:
            yield self._finish(self._measure("validation"), time.perf_counter(), {})
        for round_ in range(self.state.round, self.experiment.total_rounds):
            started = time.perf_counter()
            updates, found = self._train(round_)
            changed = {
                client: private
                for update in updates
                for client, private in zip(update.clients, update.private, strict=True)
                if client != POOLED and private
            }
            self.privates |= changed
            due = (
                self.state.round % self.experiment.evaluation.every == 0
                or self.state.round == self.experiment.total_rounds
            )
            record = self._measure("validation") if due else RoundRecord(self.state.round, {}, [], [])
            yield self._finish(_with_training(record, updates, found), started, changed)
        pictures = self.engine.gallery(self.name, self.state)
        if pictures is not None:
            self.store.write_gallery(pictures, self.state.round)
        self.store.compact()
        failures = self.method.failures(self.store.rounds())
        self.store.write_signatures(failures, self.state.round)
        self.store.describe(
            {
                "status": "done",
                "seconds": self.totals["seconds"],
                "result": self.result(),
                "signatures": [failure.name for failure in failures],
                "signatures_watched": dict(self.method.watched),
            }
        )

    def _train(self, round_: int) -> tuple[list[Update], dict[str, float]]:
        """A round at clients and server; the state moves on.

        Returns:
            The updates of all clients that trained, without their tensors; and what the clock and the
            server's combining add to the row.
        """
        seen: list[Update] = []
        waiting: Tensors = {}
        now = self.clock.turn(round_, self._cohort(round_))
        stale, on_their_way = arriving(self.held, round_, now.seconds)

        def passing() -> Iterator[Update]:
            for update in self.engine.train(self.name, before, self._groups(now)):
                seen.append(update.light())
                if update.clients[0] not in now.late:
                    yield update
                elif self.experiment.faults.stale == "keep":
                    waiting.update(hold(update, now.late, round_))
            yield from stale

        before, server, rejected = self.state, self.experiment.server, 0
        self._previous = self.method.class_ratios(before)
        updates: Iterable[Update] = passing()
        if server.robust:
            updates, rejected = combined(server, before.shared, updates)
        state = self.method.aggregate(before, updates)
        if len(now.arrived) + len(stale) > rejected:  # of nothing, momentum would still make something
            state = server_update(server, before, state, self.first.buffers)
        self.held = {**on_their_way, **waiting}
        found = self.clock.columns(now, stale, rejected)
        self.clock.check(state, found)
        self.state = self.engine.serve(self.name, state) if self.method.serves else state
        return seen, found

    def _groups(self, now: Turn) -> list[MicroCohort]:
        """The round's micro-cohorts: those in time, then the late ones, which train too; nobody that dropped out."""
        in_time = [
            replace(group, each=self.experiment.server.robust) for group in self._micro_cohorts(now.arrived)
        ]
        late = [
            replace(group, each=self.experiment.faults.stale == "keep")
            for group in self._micro_cohorts(sorted(now.late))
        ]
        return [replace(group, index=index) for index, group in enumerate([*in_time, *late])]

    def open_test(self) -> dict[str, Any]:
        """Measure the final state on the test split; the opening is logged in run.json and its rows are kept apart."""
        opened = [*self.store.described().get("test_opened", []), time.strftime("%Y-%m-%dT%H:%M:%S%z")]
        self.store.describe({"test_opened": opened})
        record = self._measure("test")
        self.store.write_rows(record, "test")
        test = {name: record.row.get(name) for name in MEASURED}
        self.store.describe({"test": test})
        return test

    def result(self) -> dict[str, Any]:
        """The numbers that a script reads."""
        measured = {name: self.last.get(name) for name in MEASURED}
        digest = state_sha256(self.state, self.privates)
        setup = self.first.setup * len(
            self.privates
        )  # whoever took part keeps something, where a method sends anything at the start
        return {
            "id": self.experiment.id,
            "state_sha256": digest,
            **measured,
            **self.totals,
            "bytes_setup": setup,
        }

    def _cohort(self, round_: int) -> list[int]:
        """The clients of a round, sorted."""
        if self.method.pooled:
            return [POOLED]
        clients = self.federation.trainers
        return sorted(
            numpy_rng(self.experiment.seed, "cohort", round_)
            .choice(clients, self.clock.drawn(), replace=False)
            .tolist()
        )

    def _micro_cohorts(self, clients: Sequence[int]) -> list[MicroCohort]:
        return micro_cohorts(self.federation, clients, self.privates, str(self.store.vault))

    def _sample(self, clients: np.ndarray) -> np.ndarray:
        """Which of these clients are evaluated: all, or a fixed seeded sample."""
        most = self.experiment.evaluation.clients
        if len(clients) <= most:
            return clients
        return np.sort(numpy_rng(self.experiment.seed, "evaluation").choice(clients, most, replace=False))

    def _measure(self, split: Split) -> RoundRecord:
        sample, new = self._sample(self.federation.trainers), self._sample(self.federation.newcomers)
        cohorts = [MicroCohort(-1, (), ())]
        if self.personal:
            cohorts += [
                *self._micro_cohorts(sample.tolist()),
                *self._micro_cohorts(new.tolist()),
            ]  # newcomers never share a stack
        scores = self.engine.evaluate(self.name, self.state, cohorts, split)
        personal, observed = None, {}
        if self.personal:
            known = [score for score in scores[1:] if score is not None]
            personal = {
                client: row
                for score in known
                for client, row in zip(score.clients, score.correct, strict=True)
            }
            observed = _observed([score for score in known if not set(score.clients) & set(new.tolist())])
        summary, clients, classes = accuracies(self.federation, split, sample, scores[0], personal)
        if len(new):
            summary |= of_newcomers(self.federation, split, new, scores[0], personal)
        if self.experiment.task.novel:
            summary |= base_to_novel(
                summary["acc_shared_global"], None if scores[0] is None else scores[0].novel
            )
        flops = sum(score.flops for score in scores if score is not None)
        last = self.state.round == self.experiment.total_rounds  # tuning before use costs once, at the end
        for row in clients:
            row |= {"examples": len(self.federation.shards[row["client"]]), **observed.get(row["client"], {})}
        for name in {name for values in observed.values() for name in values}:
            summary[name] = float(np.mean([observed[client][name] for client in sorted(observed)]))
        return RoundRecord(self.state.round, {**summary, "flops": flops if last else 0.0}, clients, classes)

    def _finish(self, record: RoundRecord, started: float, changed: Privates) -> RoundRecord:
        """Totals, then everything to disk."""
        ratios, found = self._ratios()
        row = {"clients": 0, **dict.fromkeys(TRAFFIC, 0), "flops": 0.0, **record.row, **found}
        row["seconds"] = time.perf_counter() - started
        self.totals = {name: value + row.get(name, 0) for name, value in self.totals.items()}
        if row.get("acc_personal_global") is not None:
            self.last = {name: row.get(name) for name in MEASURED}
            self.history[record.round] = (
                float("nan") if row["acc_personal_own"] is None else row["acc_personal_own"]
            )
        record = RoundRecord(record.round, row, record.clients, record.classes, ratios)
        state = replace(self.state, extra={**self.state.extra, **self.held})
        self.store.write(
            record, state, changed, {"totals": self.totals, "last": self.last, "history": self.history}
        )
        return record

    def _ratios(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The class ratios that the server sends next, a row each, and how they rank beside the true inverse frequencies.

        For the analyst alone: no method may know how frequent a class is.
        """
        cr = self.method.class_ratios(self.state)
        if cr is None:
            return [], {}
        images, names = self.first.totals, self.federation.images.class_names
        rows = [
            {"label": label, "class_name": name, "cr": float(cr[label]), "images": int(images[label])}
            for label, name in enumerate(names)
        ]
        held = images > 0
        ranked = len(set(images[held])) > 1 and len(set(cr[held].tolist())) > 1
        correlation = float(spearmanr(cr[held].numpy(), 1.0 / images[held]).statistic) if ranked else None
        jump = None if self._previous is None else float((cr - self._previous).abs().mean())
        return rows, {
            "cr_spearman": correlation,
            "cr_min": float(cr.min()),
            "cr_max": float(cr.max()),
            "cr_jump": jump,
        }
