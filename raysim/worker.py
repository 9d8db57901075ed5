"""One worker's turn: train a micro-cohort, or score it. The same code runs in this process and inside a Ray actor.

Shapes: K clients of a micro-cohort, B images of a batch, N images of a split, C classes, D domains.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from raysim.config import UserError
from raysim.experiment import Experiment, from_dict
from raysim.federation import Federation, frozen_of, held_out
from raysim.methods.base import weighted_sum
from raysim.seeds import numpy_rng, torch_rng
from raysim.types import POOLED, Batch, First, MicroCohort, Scope, Score, ServerState, Split, Tensors, Update, nbytes
from raysim.vault import fetch, keep

Metrics = dict[str, torch.Tensor]
TUNE = "finetune"  # the purpose of batches that tune a shared model before use


class ClientError(RuntimeError):
    """A client's work failed: names the round, the clients and the first cause."""


class Diverged(ClientError):
    """A loss became infinite or NaN."""


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread, as in every worker: the number of threads changes float sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def try_method(experiment: Experiment) -> None:
    """Classify one image with the method's first tensors, to meet its limits before any work starts.

    Raises:
        UserError: e.g. a prompt that is too long for the text tower.
    """
    if experiment.resources.gpus and not torch.cuda.is_available():
        return  # only the workers can
    frozen, method = frozen_of(experiment), experiment.method
    model = method.build(frozen.context)
    rng = torch_rng(experiment.seed, "try")
    row = {**method.init_shared(model, rng), **method.init_private(model, rng)}
    x = torch.from_numpy(np.array(frozen.x[:1, 0])).to(frozen.context.device)
    with torch.no_grad(), one_thread():
        method.predict(model, {name: tensor[None].to(frozen.context.device) for name, tensor in row.items()}, x, "personal")


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
        self._flops: tuple[float, float] | None = None

    def initial(self) -> First:
        """What the run starts from."""
        shared = self.method.init_shared(self.model, torch_rng(self.experiment.seed, "shared"))
        personal = bool(self._first_private(0)) or self.method.local_epochs_at_evaluation > 0
        patches = self.frozen.x.shape[2] - 1 if self.method.inputs == "patches" else None  # the pooled feature comes first
        return First(_to_cpu(shared), personal, patches)

    def train(self, state: ServerState, cohort: MicroCohort) -> Update:
        """A round's work of one micro-cohort.

        Raises:
            Diverged: a loss became infinite or NaN.
            ClientError: anything else, with the round and the clients.
        """
        epochs = self.experiment.training.epochs
        with one_thread(), self._named(cohort, state.round):
            rows, metrics, flops = self._fit(state.shared, cohort, state.round, epochs, "batches")
        shared_rows = [{name: row[name] for name in state.shared} for row in rows]
        examples = np.array([len(self.federation.shard(client)) for client in cohort.clients])
        stacked = {name: torch.stack([row[name] for row in shared_rows]) for name in state.shared}
        return Update(
            index=cohort.index,
            clients=cohort.clients,
            examples=examples,
            sums=weighted_sum(stacked, examples),
            each=tuple(shared_rows) if self.method.needs_updates else (),
            private=tuple(
                keep({name: tensor for name, tensor in row.items() if name not in state.shared}, Path(cohort.vault)) for row in rows
            ),
            metrics=metrics,
            bytes_up=0 if self.method.pooled else sum(map(nbytes, shared_rows)),  # one place trains: nothing travels in a round
            bytes_down=0 if self.method.pooled else nbytes(state.shared) * len(cohort.clients),
            flops=flops,
        )

    def evaluate(self, state: ServerState, cohort: MicroCohort, split: Split) -> Score | None:
        """Correct predictions per class and domain: of the shared model (a cohort of no clients), or of each client's own."""
        scope: Scope = "personal" if cohort.clients else "shared"
        flops = 0.0
        with one_thread(), self._named(cohort, state.round):
            rows = [state.shared]
            if cohort.clients:
                epochs = self.method.local_epochs_at_evaluation
                rows = [self.method.receive(state.shared, self._private(cohort, k)) for k in range(len(cohort.clients))]
                if epochs:
                    rows, _, flops = self._fit(state.shared, cohort, state.round, epochs, TUNE)
            params = {name: torch.stack([row[name].to(self.device) for row in rows]) for name in rows[0]}
            correct = self._correct(params, scope, split)
            observed = self._observed(params) if cohort.clients else {}
        return None if correct is None else Score(cohort.index, scope, cohort.clients, correct, flops, observed)

    @torch.no_grad()
    def _observed(self, params: Tensors) -> dict[str, np.ndarray]:
        return {name: value_K.double().cpu().numpy() for name, value_K in self.method.observe(self.model, params).items()}

    @torch.no_grad()
    def _correct(self, params: Tensors, scope: Scope, split: Split) -> np.ndarray | None:
        x, y, cell = held_out(self.experiment, split)
        logits = self.method.predict(self.model, params, x, scope)
        if logits is None:
            return None
        hits_KN = (logits.argmax(dim=2) == y).double()
        cells = len(self.images.class_names) * len(self.images.domain_names)
        return torch.zeros(len(hits_KN), cells, dtype=torch.float64, device=x.device).index_add_(1, cell, hits_KN).cpu().numpy()

    def _fit(
        self, shared: Tensors, cohort: MicroCohort, round_: int, epochs: int, purpose: str
    ) -> tuple[list[Tensors], dict[str, tuple[np.ndarray, np.ndarray]], float]:
        """Train the stacked clients; they come ordered by falling number of steps, so those still at work are a prefix."""
        plans = [self._plan(client, round_, epochs, purpose) for client in cohort.clients]
        steps = [len(plan) for plan in plans]
        received = {name: tensor.to(self.device) for name, tensor in shared.items()}
        rows = [self.method.receive(received, self._private(cohort, k)) for k in range(len(plans))]
        params = {name: torch.stack([row[name].to(self.device) for row in rows]).requires_grad_() for name in rows[0]}
        training = self.experiment.training
        rate = training.lr if purpose == TUNE else training.rate(round_, self.experiment.rounds)  # the schedule ends at 0
        optimiser = self._optimiser(params, rate)
        totals: Metrics = {}
        done: list[Tensors] = [{} for _ in plans]
        flops = 0.0
        for step in range(max(steps)):
            active = sum(count > step for count in steps)
            batch = self._batch([plan[step] for plan in plans[:active]])
            loss_K, metrics = self.method.loss(self.model, _prefix(params, active), received, batch)
            optimiser.zero_grad()
            loss_K.sum().backward()
            optimiser.step()
            flops += self._step_flops(active, batch, metrics.get("flops_ot"))
            for name, value_K in {"loss": loss_K.detach(), **metrics}.items():
                totals.setdefault(name, torch.zeros(len(plans), dtype=torch.float64, device=self.device))[:active] += value_K
            for k in [k for k in range(active) if steps[k] == step + 1]:  # later steps of others move its row: take it now
                done[k] = {name: tensor[k].detach().clone() for name, tensor in params.items()}
        counts = np.array(steps, dtype=np.float64)
        numbers = {name: (total.cpu().numpy(), counts) for name, total in totals.items()}
        if not np.isfinite(numbers["loss"][0]).all():
            bad = cohort.clients[int(np.argmin(np.isfinite(numbers["loss"][0])))]
            raise Diverged(
                f"round {round_ + 1}: the loss of client {bad} became infinite or NaN; lower training.lr = {self.experiment.training.lr}"
            )
        return [_to_cpu(row) for row in done], numbers, flops

    def _optimiser(self, params: Tensors, rate: float) -> torch.optim.Optimizer:
        training = self.experiment.training
        if training.optimiser == "adam":
            return torch.optim.Adam(params.values(), lr=rate, weight_decay=training.weight_decay)
        return torch.optim.SGD(params.values(), lr=rate, momentum=training.momentum, weight_decay=training.weight_decay)

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

    def _batch(self, parts: Sequence[np.ndarray]) -> Batch:
        """Stack the clients' batches, the short ones padded with weight 0."""
        width = max(len(part) for part in parts)
        index_KB2 = np.zeros((len(parts), width, 2), dtype=np.int64)
        weight_KB = np.zeros((len(parts), width), dtype=np.float32)
        for k, part in enumerate(parts):
            index_KB2[k, : len(part)], index_KB2[k, len(part) :], weight_KB[k, : len(part)] = part, part[0], 1
        x = self.frozen.x[index_KB2[..., 0], index_KB2[..., 1]]
        y = self.images.labels[index_KB2[..., 0]]
        return Batch(*(torch.from_numpy(array).to(self.device) for array in (x, y, weight_KB)))

    def _private(self, cohort: MicroCohort, k: int) -> Tensors:
        private = cohort.private[k]
        return self._first_private(cohort.clients[k]) if private is None else fetch(private, Path(cohort.vault))

    def _first_private(self, client: int) -> Tensors:
        return self.method.init_private(self.model, torch_rng(self.experiment.seed, "private", client))

    def _step_flops(self, active: int, batch: Batch, transport: torch.Tensor | None) -> float:
        """FLOPs of a step: matrix products are linear in K, affine in B, so two counts give them all; OT goes by its formula."""
        if self._flops is None:
            one, two = self._count(1), self._count(2)
            self._flops = (2 * one - two, two - one)
        return active * (self._flops[0] + self._flops[1] * batch.y.shape[1]) + (float(transport.sum()) if transport is not None else 0.0)

    def _count(self, images: int) -> float:
        client = int(np.argmax([len(shard) for shard in self.federation.shards]))
        plan = np.zeros((images, 2), dtype=np.int64)
        plan[:, 0] = self.federation.shard(client)[0]
        shared = self.method.init_shared(self.model, torch_rng(self.experiment.seed, "shared"))
        row = self.method.receive(shared, self._first_private(client))
        params = {name: tensor[None].to(self.device).clone().requires_grad_() for name, tensor in row.items()}
        with FlopCounterMode(display=False) as counter:
            loss_K, _ = self.method.loss(
                self.model, params, {name: tensor.to(self.device) for name, tensor in shared.items()}, self._batch([plan])
            )
            loss_K.sum().backward()
        return float(counter.get_total_flops())

    @contextmanager
    def _named(self, cohort: MicroCohort, round_: int) -> Iterator[None]:
        """Whatever fails inside names its round and clients."""
        try:
            yield
        except (ClientError, UserError):
            raise
        except Exception as cause:
            who = ", ".join("all images" if client == POOLED else str(client) for client in cohort.clients) or "none (server side)"
            raise ClientError(f"round {round_ + 1}, clients {who}: {type(cause).__name__}: {cause}") from cause


def _prefix(params: Tensors, active: int) -> Tensors:
    return {name: tensor if active == len(tensor) else tensor[:active] for name, tensor in params.items()}


def _to_cpu(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}
