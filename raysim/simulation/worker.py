"""A worker trains micro-cohorts and scores models, in this process or inside a Ray actor.

Shapes: K clients of a micro-cohort.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch

from raysim.clients.faults import corrupt_update
from raysim.core.errors import ClientError, UserError
from raysim.core.seeds import torch_rng
from raysim.core.types import (
    POOLED,
    ClientResult,
    InitialState,
    MicroCohort,
    Payload,
    Score,
    ServerState,
    Split,
    Update,
    nbytes,
)
from raysim.core.warm import kept
from raysim.experiment.records import Experiment, of_identity
from raysim.methods.base import weighted_sum
from raysim.nn.flops import counted
from raysim.nn.rows import to_cpu
from raysim.simulation.batches import Batches
from raysim.simulation.device import CPU, device_of, only_workers_have_gpu
from raysim.simulation.federation import Federation
from raysim.simulation.finite import NotFinite, not_finite
from raysim.simulation.images import Frozen, frozen_of
from raysim.simulation.novel import build_novel
from raysim.simulation.scoring import Scoring
from raysim.simulation.training import TRAIN, LocalTraining, TrainedClients, one_thread
from raysim.storage.vault import keep


def try_method(experiment: Experiment, frozen: Frozen | None = None) -> None:
    """Classify one image with the method's first tensors, so that a task it cannot do fails before training.

    Args:
        experiment: The experiment.
        frozen: Its inputs and backbone; None loads them, unless they need a GPU that only workers have.

    Raises:
        UserError: The method cannot do this task, e.g. its prompt is too long for the text tower.
    """
    if frozen is None and only_workers_have_gpu(experiment.resources):
        return
    device, method = device_of(experiment.resources), experiment.method
    frozen = frozen or frozen_of(experiment, device)
    with torch.no_grad(), one_thread():
        model = method.build(frozen.context)
        rng = torch_rng(experiment.seed, "try")
        state = ServerState(0, method.init_shared(model, rng), method.init_server(model, 1, [0], rng))
        private = method.init_private(model, rng, 0)
        row, _ = method.receive(model, method.broadcast(state, 0), private, 0, None)
        x = torch.from_numpy(np.array(frozen.x[:1, 0])).to(device)
        stacked = {name: tensor[None].to(device) for name, tensor in row.items()}
        method.predict(model, stacked, x, "personal")
        if experiment.task.novel:
            method.predict(build_novel(experiment, frozen.context), stacked, x, "shared")


class Served(NamedTuple):
    """The server's state after its own work, and the FLOPs of that work."""

    state: ServerState
    flops: float


@kept("workers", maxsize=16)
def worker_of(experiment: str, device: torch.device) -> Worker:
    """Return the worker for an experiment (canonical JSON), kept warm in this process."""
    return Worker(Federation.of(of_identity(experiment)), device)


class Worker:
    """Does the work of clients. It keeps nothing of a client between two calls.

    Backbone, features and model are loaded when they are first needed, and stay.
    """

    def __init__(
        self, federation: Federation, device: torch.device = CPU, frozen: Frozen | None = None
    ) -> None:
        self.federation, self.device, self._frozen = federation, device, frozen
        self.experiment: Experiment = federation.experiment
        self.method, self.images = self.experiment.method, federation.images
        self.server_flops: dict[
            bool, int
        ] = {}  # of the server's own work: before training, and after a round

    @cached_property
    def frozen(self) -> Frozen:
        """The inputs of the method and the backbone."""
        return self._frozen or frozen_of(self.experiment, self.device)

    @cached_property
    def model(self) -> Any:
        """The frozen part of the method."""
        with one_thread():
            return self.method.build(self.frozen.context)

    @cached_property
    def batches(self) -> Batches:
        """The source of all batches."""
        return Batches(self.federation, self.frozen)

    @cached_property
    def training(self) -> LocalTraining:
        """The local training loop."""
        return LocalTraining(self.batches, self.model)

    @cached_property
    def scoring(self) -> Scoring:
        """The counts of correct predictions."""
        return Scoring(self.training)

    def load(self) -> None:
        """Load backbone, features and model."""
        _ = self.training

    def start_state(self) -> Served:
        """Draw the first tensors, and do the server's work before the first round."""
        method, seed = self.method, self.experiment.seed
        shared = method.init_shared(self.model, torch_rng(seed, "shared"))
        clients, trainers = self.federation.clients, self.federation.trainers.tolist()
        extra = method.init_server(self.model, clients, trainers, torch_rng(seed, "server"))
        state = ServerState(0, to_cpu(shared), to_cpu(extra))
        return self.serve(state) if method.traits.serves else Served(state, 0.0)

    def initial(self) -> InitialState:
        """Compute what the run starts from."""
        method, (state, flops) = self.method, self.start_state()
        traits = method.traits
        patches = self.frozen.x.shape[2] - 1  # the pooled feature comes before them
        context = self.frozen.context
        return InitialState(
            state=state,
            personal=bool(self.training.first_private(0)) or traits.personal,
            patches=patches if traits.inputs == "patches" else None,
            setup=nbytes({"samples": self.batches.server_samples.x}) if traits.sends_samples else 0,
            buffers=method.buffers(self.model),
            totals=self.batches.class_totals(),
            payloads=self._payloads(state) if self.experiment.clocked else {},
            flops_server=flops,
            image_size=context.image_size,
            backbone=context.backbone.fingerprint if context.backbone else "",
        )

    def serve(self, state: ServerState) -> Served:
        """Do the server's work on its samples; a worker does it, because the images are here.

        Raises:
            Diverged: Its result is infinite or NaN.
            ClientError: The server's work failed.
        """
        samples, rounds = self.batches.server_samples, self.experiment.total_rounds
        with one_thread(), name_failures((), state.round):
            work = partial(self.method.server_step, self.model, state, samples, rounds)
            started = state.round > 0  # the work is the same in all rounds but the first
            if started in self.server_flops:
                served = work()
            else:
                served, self.server_flops[started] = counted(work)
            extra = to_cpu(served.extra)
            if name := not_finite({**served.shared, **extra}):
                raise self.training.diverged(state.round, f"'{name}', by the server's own work,")
        return Served(ServerState(served.round, served.shared, extra), float(self.server_flops[started]))

    def train(self, state: ServerState, cohort: MicroCohort) -> Update:
        """Do the work of one micro-cohort in one round.

        Raises:
            Diverged: A loss, or what a client sends or keeps, became infinite or NaN.
            ClientError: Anything else failed; the message names the round and the clients.
        """
        with one_thread(), name_failures(cohort.clients, state.round):
            trained = self.training.fit(state, cohort, self.experiment.training.epochs, TRAIN)
            results = self._results(cohort, trained, state.round)
        examples = np.array([len(self.federation.shard(client)) for client in cohort.clients])
        stacked = {name: torch.stack([result.up[name] for result in results]) for name in results[0].up}
        senders = 0 if self.method.traits.pooled else len(results)  # pooled training sends nothing
        weights = {name: tensor for name, tensor in trained.received.items() if name in state.shared}
        return Update(
            index=cohort.index,
            clients=cohort.clients,
            examples=examples,
            sums=weighted_sum(stacked, examples),
            aside=tuple(to_cpu(result.aside) for result in results),
            client_tensors=tuple(result.up for result in results)
            if self.method.traits.needs_updates or cohort.needs_client_tensors
            else (),
            private=tuple(keep(result.private, cohort.vault) for result in results),
            metrics=trained.metrics,
            bytes_up=sum(map(bytes_sent, results[:senders])),
            bytes_down=senders * nbytes(trained.received),
            bytes_weights_up=sum(nbytes(result.up) for result in results[:senders]),
            bytes_weights_down=senders * nbytes(weights),
            flops=trained.flops,
        )

    def evaluate(self, state: ServerState, cohort: MicroCohort, split: Split) -> Score | None:
        """Score the server's models (a cohort of no clients), or each client's own model.

        Raises:
            Diverged: A model's logits are infinite or NaN.
            ClientError: The evaluation failed; the message names the round and the clients.
        """
        with one_thread(), name_failures(cohort.clients, state.round):
            try:
                if not cohort.clients:
                    return self.scoring.score_server(state, cohort.index, split)
                return self.scoring.score_clients(state, cohort, split)
            except NotFinite as error:
                owner = f"client {cohort.clients[error.model]}" if cohort.clients else "the server"
                what = f"the logits of {owner}'s model on {split} images"
                raise self.training.diverged(state.round, what) from None

    def _results(self, cohort: MicroCohort, trained: TrainedClients, round_: int) -> list[ClientResult]:
        """Return what each trained client sends and keeps; a corrupt client sends a corrupt update."""
        results = []
        for client, row, private, steps in zip(
            cohort.clients, trained.rows, trained.privates, trained.steps, strict=True
        ):
            result = self.method.finish(self.model, row, trained.received, private, steps)
            self.training.check_result(result, round_, client)
            if client in self.training.corrupt:
                result = replace(
                    result, up=corrupt_update(self.experiment.faults, trained.received, result.up)
                )
            results.append(result)
        return results

    def _payloads(self, state: ServerState) -> dict[str, Payload]:
        """Return the bytes of a round by architecture, from the first client of each, untrained."""
        first_clients = {
            self.method.architecture(client): client for client in reversed(range(self.federation.clients))
        }
        payloads = {}
        with one_thread(), name_failures((), state.round):
            for architecture, client in first_clients.items():
                start = self.training.start(state, MicroCohort(0, (client,), (None,)))
                received = start.received
                result = self.method.finish(
                    self.model,
                    to_cpu(start.rows[0]),
                    to_cpu(received),
                    start.privates[0],
                    1,
                )
                weights = {name: tensor for name, tensor in received.items() if name in state.shared}
                payloads[architecture] = Payload(nbytes(received), bytes_sent(result), nbytes(weights))
        return payloads


@contextmanager
def name_failures(clients: Sequence[int], round_: int) -> Iterator[None]:
    """Turn an unexpected error inside into a `ClientError` that names the round and the clients."""
    try:
        yield
    except (ClientError, UserError):
        raise
    except Exception as cause:
        names = ["all images" if client == POOLED else str(client) for client in clients]
        listed = ", ".join(names) or "none (server side)"
        raise ClientError(f"round {round_ + 1}, clients {listed}: {type(cause).__name__}: {cause}") from cause


def bytes_sent(result: ClientResult) -> int:
    """Return the bytes of everything that a client sends in a round."""
    return nbytes(result.up) + nbytes(result.aside)
