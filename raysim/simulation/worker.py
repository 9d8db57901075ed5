"""One worker's turn: train a micro-cohort, or score it. The same code runs in this process and inside a Ray actor.

Shapes: K clients of a micro-cohort, B images of a batch, N images of a split, C classes, D domains.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from raysim.clients.faults import corrupt_clients, corrupted
from raysim.core.errors import ClientError, Diverged, UserError
from raysim.core.seeds import numpy_rng, torch_rng
from raysim.core.types import (
    POOLED,
    Batch,
    ClientResult,
    InitialState,
    MicroCohort,
    Payload,
    Scope,
    Score,
    ServerState,
    Split,
    Tensors,
    Update,
    nbytes,
)
from raysim.experiment.records import Experiment, Task, from_dict
from raysim.methods.base import Method, weighted_sum
from raysim.nn.rows import prefix, stack, to_cpu
from raysim.simulation.accuracy import intersection_union
from raysim.simulation.federation import Federation
from raysim.simulation.images import frozen_of, held_out
from raysim.simulation.novel import naming_novel, share_right
from raysim.simulation.training import TUNE, Metrics, Numbers, _Fitted, one_thread
from raysim.storage.vault import fetch, keep

IMAGES_AT_ONCE = 16  # whose pixels are classified together; fixed, so that no number depends on the machine
_FLOPS: dict[
    tuple[Task, Method, int, str], tuple[float, float]
] = {}  # of a step, counted once per process: fixed, and per image


def try_method(experiment: Experiment) -> None:
    """Classify one image with the method's first tensors, to meet its limits before any work starts.

    Raises:
        UserError: e.g. a prompt that is too long for the text tower.
    """
    if experiment.resources.gpus and not torch.cuda.is_available():
        return  # only the workers can
    frozen, method = frozen_of(experiment), experiment.method
    with torch.no_grad(), one_thread():
        model = method.build(frozen.context)
        rng = torch_rng(experiment.seed, "try")
        state = ServerState(0, method.init_shared(model, rng), method.init_server(model, 1, rng))
        row, _ = method.receive(
            model, method.broadcast(state, 0), method.init_private(model, rng, 0), 0, None
        )
        x = torch.from_numpy(np.array(frozen.x[:1, 0])).to(frozen.context.device)
        stacked = {name: tensor[None].to(frozen.context.device) for name, tensor in row.items()}
        method.predict(model, stacked, x, "personal")
        if experiment.task.novel:
            method.predict(naming_novel(experiment), stacked, x, "shared")


@lru_cache(maxsize=16)
def worker_of(experiment: str) -> Worker:
    """The worker for an experiment (canonical JSON), kept warm in this process: backbone and features are loaded once."""
    return Worker(Federation.of(from_dict(json.loads(experiment))))


class Worker:
    """Holds what is frozen about an experiment; whatever belongs to a client comes in and goes out."""

    def __init__(self, federation: Federation) -> None:
        self.federation = federation
        self.experiment: Experiment = federation.experiment
        self.method = self.experiment.method
        self.images = federation.images
        self.frozen = frozen_of(self.experiment)
        self.device = self.frozen.context.device
        with one_thread():
            self.model = self.method.build(self.frozen.context)
        self._receiving: dict[str, float] = {}
        self._held: Batch | None = None
        self._corrupt = corrupt_clients(self.experiment.faults, self.experiment.seed, federation.trainers)

    def initial(self) -> InitialState:
        """What the run starts from."""
        method, seed = self.method, self.experiment.seed
        shared = method.init_shared(self.model, torch_rng(seed, "shared"))
        state = ServerState(
            0,
            to_cpu(shared),
            to_cpu(method.init_server(self.model, self.federation.clients, torch_rng(seed, "server"))),
        )
        state = self.serve(state) if method.serves else state
        personal = bool(self._first_private(0)) or method.local_epochs_at_evaluation > 0 or method.keeps
        patches = (
            self.frozen.x.shape[2] - 1 if method.inputs == "patches" else None
        )  # the pooled feature comes first
        setup = method.setup(self.model, self._samples()) if method.needs_samples else 0
        payloads = self._payloads(state) if self.experiment.clocked else {}
        return InitialState(
            state, personal, patches, setup, method.buffers(self.model), self._totals(), payloads
        )

    def _payloads(self, state: ServerState) -> dict[str, Payload]:
        """What a client of each architecture gets and sends in any round: what an untrained one would send."""
        first = {
            self.method.architecture(client): client for client in reversed(range(self.federation.clients))
        }
        found = {}
        with one_thread(), self._named((), state.round):
            for place, client in first.items():
                [row], received, [private], _ = self._received(state, MicroCohort(0, (client,), (None,)))
                sent = self.method.finish(
                    self.model, to_cpu(row), to_cpu(received), private, 1, self.experiment.training.lr
                )
                weights = {name: tensor for name, tensor in received.items() if name in state.shared}
                found[place] = Payload(nbytes(received), sum(map(nbytes, _all_up(sent))), nbytes(weights))
        return found

    def serve(self, state: ServerState) -> ServerState:
        """The server's work on its samples, here because the images are here.

        Raises:
            ClientError: it failed.
        """
        with one_thread(), self._named((), state.round):
            served = self.method.server_step(self.model, state, self._samples(), self.experiment.total_rounds)
        return ServerState(served.round, served.shared, to_cpu(served.extra))

    def train(self, state: ServerState, cohort: MicroCohort) -> Update:
        """A round's work of one micro-cohort.

        Raises:
            Diverged: a loss became infinite or NaN.
            ClientError: anything else, with the round and the clients.
        """
        training, method = self.experiment.training, self.method
        with one_thread(), self._named(cohort.clients, state.round):
            fitted = self._fit(state, cohort, state.round, training.epochs, "batches")
            rate = training.rate(state.round, self.experiment.rounds)
            sent = [
                method.finish(self.model, row, fitted.received, private, steps, rate)
                for row, private, steps in zip(fitted.rows, fitted.privates, fitted.steps, strict=True)
            ]
            sent = [
                replace(one, up=corrupted(self.experiment.faults, fitted.received, one.up))
                if client in self._corrupt
                else one
                for client, one in zip(cohort.clients, sent, strict=True)
            ]
        examples = np.array([len(self.federation.shard(client)) for client in cohort.clients])
        stacked = {name: torch.stack([one.up[name] for one in sent]) for name in sent[0].up}
        count = 0 if method.pooled else len(sent)  # where one place trains, nothing travels
        weights = {name: tensor for name, tensor in fitted.received.items() if name in state.shared}
        up, up_weights = (
            sum(nbytes(part) for one in sent for part in parts(one)) if count else 0
            for parts in (_all_up, _weights_up)
        )
        return Update(
            index=cohort.index,
            clients=cohort.clients,
            examples=examples,
            sums=weighted_sum(stacked, examples),
            aside=tuple(to_cpu(one.aside) for one in sent),
            each=tuple(one.up for one in sent) if method.needs_updates or cohort.each else (),
            private=tuple(keep(one.private, Path(cohort.vault)) for one in sent),
            metrics=fitted.metrics,
            bytes_up=up,
            bytes_down=count * nbytes(fitted.received),
            bytes_weights_up=up_weights,
            bytes_weights_down=count * nbytes(weights),
            flops=fitted.flops,
        )

    def evaluate(self, state: ServerState, cohort: MicroCohort, split: Split) -> Score | None:
        """What is right per class and domain: of the server's models (a cohort of no clients), or of each client's own."""
        scope: Scope = "personal" if cohort.clients else "shared"
        flops = 0.0
        with one_thread(), self._named(cohort.clients, state.round):
            if not cohort.clients:
                models = [stack([row], self.device) for row in self.method.server_models(state)]
                known = [
                    correct for row in models if (correct := self._correct(row, scope, split)) is not None
                ]
                if not known:
                    return None
                return Score(
                    cohort.index,
                    scope,
                    (),
                    np.mean(known, axis=0),
                    novel=share_right(self.experiment, models, split),
                )
            if epochs := self.method.local_epochs_at_evaluation:
                fitted = self._fit(state, cohort, state.round, epochs, TUNE)
                rows, flops = fitted.rows, fitted.flops
            else:
                rows = self._received(state, cohort)[0]
            params = stack(rows, self.device)
            correct = self._correct(params, scope, split)
            observed = self._observed(params)
        return (
            None if correct is None else Score(cohort.index, scope, cohort.clients, correct, flops, observed)
        )

    @torch.no_grad()
    def _observed(self, params: Tensors) -> dict[str, np.ndarray]:
        return {
            name: value_K.double().cpu().numpy()
            for name, value_K in self.method.observe(self.model, params).items()
        }

    @torch.no_grad()
    def _correct(self, params: Tensors, scope: Scope, split: Split) -> np.ndarray | None:
        """[K, C * D] of images, or [K, C * D, C, 2] of pixels (see `Score`)."""
        cells = len(self.images.class_names) * len(self.images.domain_names)
        if self.frozen.masks is not None:
            return self._areas(params, scope, split, cells)
        x, y, cell = held_out(self.experiment, split)
        logits = self.method.predict(self.model, params, x, scope)
        if logits is None:
            return None
        hits_KN = (logits.argmax(dim=2) == y).double()
        return (
            torch.zeros(len(hits_KN), cells, dtype=torch.float64, device=x.device)
            .index_add_(1, cell, hits_KN)
            .cpu()
            .numpy()
        )

    def _areas(self, params: Tensors, scope: Scope, split: Split, cells: int) -> np.ndarray | None:
        assert self.frozen.masks is not None
        where, classes, total = self.images.where(split), len(self.images.class_names), None
        cell = self.images.labels[where] * len(self.images.domain_names) + self.images.domains[where]
        for start in range(0, len(where), IMAGES_AT_ONCE):
            part = where[start : start + IMAGES_AT_ONCE]
            logits = self.method.predict(
                self.model, params, torch.from_numpy(self.frozen.x[part, 0]).to(self.device), scope
            )
            if logits is None:
                return None
            predicted = logits.argmax(dim=2).cpu().numpy()
            found = [
                intersection_union(
                    one, self.frozen.masks[part], cell[start : start + IMAGES_AT_ONCE], cells, classes
                )
                for one in predicted
            ]
            total = np.stack(found) if total is None else total + np.stack(found)
        return total

    def _received(
        self, state: ServerState, cohort: MicroCohort
    ) -> tuple[list[Tensors], Tensors, list[Tensors], Numbers]:
        """The rows that clients start with, what came down, what they had kept, and what they measured on the way."""
        received = {
            name: tensor.to(self.device)
            for name, tensor in self.method.broadcast(state, cohort.clients[0]).items()
        }
        samples = self._samples() if self.method.needs_samples else None
        privates = [self._private(cohort, k) for k in range(len(cohort.clients))]
        rows: list[Tensors] = []
        measured: dict[str, list[float]] = {}
        for client, private in zip(cohort.clients, privates, strict=True):
            place = self.method.architecture(client)
            counts = samples is not None and bool(private) and place not in self._receiving
            with FlopCounterMode(display=False) if counts else nullcontext() as counter:
                row, found = self.method.receive(self.model, received, private, client, samples)
            if counter is not None:
                self._receiving[place] = float(counter.get_total_flops())
            rows.append(row)
            for name, value in found.items():
                measured.setdefault(name, []).append(value)
        return (
            rows,
            received,
            privates,
            {name: (np.array(values), np.ones(len(values))) for name, values in measured.items()},
        )

    def _fit(
        self, state: ServerState, cohort: MicroCohort, round_: int, epochs: int, purpose: str
    ) -> _Fitted:
        """Train the stacked clients; they come ordered by falling number of steps, so those still at work are a prefix."""
        plans = [self._plan(client, round_, epochs, purpose) for client in cohort.clients]
        steps = [len(plan) for plan in plans]
        rows, received, privates, measured = self._received(state, cohort)
        buffers = self.method.buffers(self.model)
        params = {
            name: tensor.requires_grad_(name not in buffers)
            for name, tensor in stack(rows, self.device).items()
        }
        training = self.experiment.training
        rate = (
            training.lr if purpose == TUNE else training.rate(round_, self.experiment.rounds)
        )  # the schedule ends at 0
        optimiser = self._optimiser([tensor for tensor in params.values() if tensor.requires_grad], rate)
        rngs = tuple(
            torch_rng(self.experiment.seed, f"noise {purpose}", round_, client) for client in cohort.clients
        )
        totals: Metrics = {}
        done: list[Tensors] = [{} for _ in plans]
        flops = self._receiving.get(self.method.architecture(cohort.clients[0]), 0.0) * sum(
            map(bool, privates)
        )
        for step in range(max(steps)):
            active = sum(count > step for count in steps)
            batch = self._batch([plan[step] for plan in plans[:active]], rngs[:active])
            loss_K, metrics = self.method.loss(self.model, prefix(params, active), received, batch)
            optimiser.zero_grad()
            loss_K.sum().backward()
            self.method.adjust(params, received)
            optimiser.step()
            flops += self._step_flops(cohort.clients[0], active, batch, metrics.get("flops_ot"))
            for name, value_K in {"loss": loss_K.detach(), **metrics}.items():
                totals.setdefault(name, torch.zeros(len(plans), dtype=torch.float64, device=self.device))[
                    :active
                ] += value_K
            for k in [
                k for k in range(active) if steps[k] == step + 1
            ]:  # later steps of others move its row: take it now
                done[k] = {name: tensor[k].detach().clone() for name, tensor in params.items()}
        counts = np.array(steps, dtype=np.float64)
        numbers = {name: (total.cpu().numpy(), counts) for name, total in totals.items()}
        if not np.isfinite(numbers["loss"][0]).all():
            bad = cohort.clients[int(np.argmin(np.isfinite(numbers["loss"][0])))]
            cause = f"lower training.lr = {training.lr}"
            if self._corrupt:
                cause = (
                    f"faults.corruption = '{self.experiment.faults.corruption}' at "
                    f"{len(self._corrupt)} clients may be why, or {cause}"
                )
            raise Diverged(f"round {round_ + 1}: the loss of client {bad} became infinite or NaN; {cause}")
        return _Fitted(
            [to_cpu(row) for row in done], to_cpu(received), privates, steps, {**numbers, **measured}, flops
        )

    def _optimiser(self, params: Sequence[torch.Tensor], rate: float) -> torch.optim.Optimizer:
        training = self.experiment.training
        if training.optimiser == "adam":
            return torch.optim.Adam(params, lr=rate, weight_decay=training.weight_decay)
        return torch.optim.SGD(
            params, lr=rate, momentum=training.momentum, weight_decay=training.weight_decay
        )

    def _plan(self, client: int, round_: int, epochs: int, purpose: str) -> list[np.ndarray]:
        """A client's batches: [B, 2] arrays of image and view."""
        shard = self.federation.shard(client)
        rng = numpy_rng(self.experiment.seed, purpose, round_, client)
        batch, views = self.experiment.training.batch, self.frozen.x.shape[1]
        plan = []
        for _ in range(epochs):
            order = np.stack([rng.permutation(shard), rng.integers(views, size=len(shard))], axis=1)
            plan += [order[start : start + batch] for start in range(0, len(order), batch)]
        return plan

    def _samples(self) -> Batch:
        """The server's own samples, plain view, as one batch [1, n, ...]."""
        if self._held is None:
            where = self.federation.samples
            self._held = self._batch([np.stack([where, np.zeros_like(where)], axis=1)])
        return self._held

    def _totals(self) -> np.ndarray:
        """Training images per class over all clients, of segmentation pixels, [C]."""
        classes, everybody = len(self.images.class_names), self.federation.shard(POOLED)
        if self.frozen.masks is None:
            return np.bincount(self.images.labels[everybody], minlength=classes)
        return np.sum(
            [np.bincount(self.frozen.masks[image].ravel(), minlength=256)[:classes] for image in everybody],
            axis=0,
        )

    def _batch(self, parts: Sequence[np.ndarray], rngs: tuple[torch.Generator, ...] = ()) -> Batch:
        """Stack the clients' batches, the short ones padded with weight 0."""
        width = max(len(part) for part in parts)
        index_KB2 = np.zeros((len(parts), width, 2), dtype=np.int64)
        weight_KB = np.zeros((len(parts), width), dtype=np.float32)
        for k, part in enumerate(parts):
            index_KB2[k, : len(part)], index_KB2[k, len(part) :], weight_KB[k, : len(part)] = part, part[0], 1
        x = self.frozen.x[index_KB2[..., 0], index_KB2[..., 1]]
        masks = self.frozen.masks
        y = (
            self.federation.told[index_KB2[..., 0]]
            if masks is None
            else masks[index_KB2[..., 0]].astype(np.int64)
        )
        x_KB, y_KB, w_KB = (torch.from_numpy(array).to(self.device) for array in (x, y, weight_KB))
        return Batch(x_KB, y_KB, w_KB, rngs)

    def _private(self, cohort: MicroCohort, k: int) -> Tensors:
        private = cohort.private[k]
        return (
            self._first_private(cohort.clients[k]) if private is None else fetch(private, Path(cohort.vault))
        )

    def _first_private(self, client: int) -> Tensors:
        return self.method.init_private(
            self.model, torch_rng(self.experiment.seed, "private", client), client
        )

    def _step_flops(self, client: int, active: int, batch: Batch, transport: torch.Tensor | None) -> float:
        """FLOPs of a step: matrix products are linear in K, affine in B, so two counts give them all; OT goes by its formula."""
        place = self.method.architecture(client)
        key = (self.experiment.task, self.method, self.federation.clients, place)
        if key not in _FLOPS:
            one, two = self._count(client, 1), self._count(client, 2)
            _FLOPS[key] = (2 * one - two, two - one)
        fixed, each = _FLOPS[key]
        return active * (fixed + each * batch.y.shape[1]) + (
            float(transport.sum()) if transport is not None else 0.0
        )

    def _count(self, client: int, images: int) -> float:
        plan = np.zeros((images, 2), dtype=np.int64)
        plan[:, 0] = self.federation.shard(client)[0]
        rng = torch_rng(self.experiment.seed, "shared")
        state = ServerState(
            0,
            self.method.init_shared(self.model, rng),
            self.method.init_server(self.model, self.federation.clients, rng),
        )
        rows, received, _, _ = self._received(state, MicroCohort(0, (client,), (None,)))
        buffers = self.method.buffers(self.model)
        params = {
            name: tensor.requires_grad_(name not in buffers)
            for name, tensor in stack(rows, self.device).items()
        }
        with FlopCounterMode(display=False) as counter:
            loss_K, _ = self.method.loss(self.model, params, received, self._batch([plan], (rng,)))
            loss_K.sum().backward()
        return float(counter.get_total_flops())

    @contextmanager
    def _named(self, clients: Sequence[int], round_: int) -> Iterator[None]:
        """Whatever fails inside names its round and clients."""
        try:
            yield
        except (ClientError, UserError):
            raise
        except Exception as cause:
            who = (
                ", ".join("all images" if client == POOLED else str(client) for client in clients)
                or "none (server side)"
            )
            raise ClientError(
                f"round {round_ + 1}, clients {who}: {type(cause).__name__}: {cause}"
            ) from cause


def _all_up(sent: ClientResult) -> tuple[Tensors, ...]:
    return sent.up, sent.aside


def _weights_up(sent: ClientResult) -> tuple[Tensors, ...]:
    return (sent.up,)
