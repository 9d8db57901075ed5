"""The local training loop: one loop for all methods, with the clients of a micro-cohort stacked.

Shapes: K clients of a micro-cohort, B images of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from raysim.clients.faults import corrupt_clients
from raysim.core.errors import Diverged
from raysim.core.seeds import torch_rng
from raysim.core.types import Batch, ClientResult, MicroCohort, ServerState, Tensors
from raysim.experiment.records import Experiment
from raysim.nn.flops import count_flops
from raysim.nn.rows import prefix, stack, to_cpu
from raysim.simulation.batches import Batches
from raysim.simulation.finite import advice, not_finite
from raysim.simulation.flops import STEPS, StepFlops, count_step
from raysim.simulation.optimiser import Optimiser
from raysim.storage.vault import fetch

ClientMetrics = dict[str, tuple[np.ndarray, np.ndarray]]  # name -> (total [K], count [K])

TRAIN = "batches"  # purpose of the batches of a round
TUNE = "finetune"  # purpose of the batches that tune a shared model before it is evaluated


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one torch thread, as every worker does: the number of threads changes float sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def first_private(experiment: Experiment, model: Any, client: int) -> Tensors:
    """Draw the private state of a client that takes part for the first time.

    Args:
        experiment: Its seed and method.
        model: What the method's `build` returned.
        client: The client's number.
    """
    return experiment.method.init_private(model, torch_rng(experiment.seed, "private", client), client)


@dataclass(frozen=True, kw_only=True)
class StartingClients:
    """Clients before their first step.

    Attributes:
        rows: The tensors that each client starts with. K
        received: The tensors that came from the server, on the device.
        privates: The private state of each client. K
        metrics: What the clients measured while they received.
    """

    rows: list[Tensors]
    received: Tensors
    privates: list[Tensors]
    metrics: ClientMetrics


@dataclass(frozen=True, kw_only=True)
class TrainedClients:
    """Clients after their last step, on the CPU.

    Attributes:
        rows: The trained tensors of each client. K
        received: The tensors that came from the server.
        privates: The private state of each client before the round. K
        steps: Optimiser steps of each client. K
        metrics: What the clients measured.
        flops: Floating-point operations of all of them.
    """

    rows: list[Tensors]
    received: Tensors
    privates: list[Tensors]
    steps: list[int]
    metrics: ClientMetrics
    flops: float


class LocalTraining:
    """Trains micro-cohorts. It keeps nothing of a client between two calls."""

    def __init__(self, batches: Batches, model: Any) -> None:
        self.batches, self.model = batches, model
        self.experiment, self.device = batches.experiment, batches.frozen.context.device
        self.method = self.experiment.method
        self.corrupt = corrupt_clients(
            self.experiment.faults, self.experiment.seed, batches.federation.trainers
        )
        self.receive_flops: dict[str, int] = {}  # of a client with a private state, by architecture

    def start(self, state: ServerState, cohort: MicroCohort) -> StartingClients:
        """Send the server's state to the clients of a micro-cohort."""
        received = {
            name: tensor.to(self.device)
            for name, tensor in self.method.broadcast(state, cohort.clients[0]).items()
        }
        samples = self.batches.server_samples if self.method.traits.needs_samples else None
        vault = Path(cohort.vault)
        privates = [
            self.first_private(client) if (private := cohort.private[k]) is None else fetch(private, vault)
            for k, client in enumerate(cohort.clients)
        ]
        rows: list[Tensors] = []
        measured: ClientMetrics = {}
        for k, (client, private) in enumerate(zip(cohort.clients, privates, strict=True)):
            receive = partial(self.method.receive, self.model, received, private, client, samples)
            architecture = self.method.architecture(client)
            if samples is not None and private and architecture not in self.receive_flops:
                self.receive_flops[architecture] = count_flops(receive)
            row, metrics = receive()
            rows.append(row)
            for name, value in metrics.items():
                # a client that takes part for the first time has less to measure than others of its stack
                totals, counts = measured.setdefault(name, (np.zeros(len(privates)), np.zeros(len(privates))))
                totals[k], counts[k] = value, 1
        return StartingClients(
            rows=rows,
            received=received,
            privates=privates,
            metrics=measured,
        )

    def first_private(self, client: int) -> Tensors:
        """Draw the private state of a client that takes part for the first time."""
        return first_private(self.experiment, self.model, client)

    def fit(self, state: ServerState, cohort: MicroCohort, epochs: int, purpose: str) -> TrainedClients:
        """Train the clients of a micro-cohort side by side.

        They come ordered by falling number of steps, so those that still train are the first of the stack.

        Raises:
            Diverged: A loss became infinite or NaN.
        """
        plans = [self.batches.plan(client, state.round, epochs, purpose) for client in cohort.clients]
        steps = [len(plan) for plan in plans]
        start = self.start(state, cohort)
        params = self.trainable(start.rows)
        optimiser = self._optimiser(params, state.round, purpose)
        rngs = self._noise_rngs(cohort, state.round, purpose)
        totals: dict[str, torch.Tensor] = {}
        trained: list[Tensors] = [{} for _ in plans]
        receive_flops = self.receive_flops.get(self.method.architecture(cohort.clients[0]), 0)
        flops = float(receive_flops * sum(map(bool, start.privates)))
        for step in range(max(steps)):
            active = sum(count > step for count in steps)
            batch = self.batches.stack([plan[step] for plan in plans[:active]], rngs[:active])
            loss_K, metrics = self.method.loss(self.model, prefix(params, active), start.received, batch)
            optimiser.clear()
            loss_K.sum().backward()
            self.method.adjust(params, start.received)
            optimiser.step()
            flops += self._step_flops(cohort.clients[0], active, batch)
            for name, value_K in {"loss": loss_K.detach(), **metrics}.items():
                totals.setdefault(name, torch.zeros(len(plans), dtype=torch.float64, device=self.device))
                totals[name][:active] += value_K
            for k in (k for k in range(active) if steps[k] == step + 1):  # others' later steps move its row
                trained[k] = {name: tensor[k].detach().clone() for name, tensor in params.items()}
        counts = np.array(steps, dtype=np.float64)
        measured = {name: (total.cpu().numpy(), counts) for name, total in totals.items()}
        self._check_losses(measured["loss"][0], state.round, cohort)
        if "flops_ot" in measured:  # what transport reports is read once, after the last step
            flops += float(measured["flops_ot"][0].sum())
        return TrainedClients(
            rows=[to_cpu(row) for row in trained],
            received=to_cpu(start.received),
            privates=start.privates,
            steps=steps,
            metrics={**measured, **start.metrics},
            flops=flops,
        )

    def trainable(self, rows: Sequence[Tensors]) -> Tensors:
        """Stack rows on the device, each tensor [K, ...]; all but buffers take gradients."""
        buffers = self.method.buffers(self.model)
        return {
            name: tensor.requires_grad_(name not in buffers)
            for name, tensor in stack(rows, self.device).items()
        }

    def _step_flops(self, client: int, active: int, batch: Batch) -> int:
        """FLOPs of a step of the first clients of the stack, without those of optimal transport.

        Prompts train with padding, networks without.
        """
        key = (
            self.experiment.task,
            self.method,
            self.batches.federation.clients,
            self.method.architecture(client),
        )
        step = STEPS.get(key, lambda: StepFlops.counted(partial(self.count_step, client)))
        if self.method.traits.inputs == "pixels":
            return sum(step.of(1, images) for images in batch.counts)
        return step.of(active, batch.y.shape[1])

    def count_step(self, client: int, images: int) -> int:
        """Count the FLOPs of a client's first step with this many images."""
        plan = np.zeros((images, 2), dtype=np.int64)
        plan[:, 0] = self.batches.federation.shard(client)[0]
        rng = torch_rng(self.experiment.seed, "shared")
        shared = self.method.init_shared(self.model, rng)
        federation = self.batches.federation
        extra = self.method.init_server(self.model, federation.clients, federation.trainers.tolist(), rng)
        start = self.start(ServerState(0, shared, extra), MicroCohort(0, (client,), (None,)))
        batch = self.batches.stack([plan], (rng,))
        return count_step(self.method, self.model, start.rows, start.received, batch)

    def _optimiser(self, params: Tensors, round_: int, purpose: str) -> Optimiser:
        training = self.experiment.training
        # the schedule has reached 0 when a final model is tuned, so that tuning uses the first rate
        rate = training.lr if purpose == TUNE else training.rate(round_, self.experiment.rounds)
        by_factor: dict[float, list[torch.Tensor]] = {}
        for name, tensor in params.items():
            if tensor.requires_grad:
                by_factor.setdefault(self.method.rate_factor(name), []).append(tensor)
        return Optimiser(training, [(rate * factor, tensors) for factor, tensors in by_factor.items()])

    def _noise_rngs(self, cohort: MicroCohort, round_: int, purpose: str) -> tuple[torch.Generator, ...]:
        """A generator per client, for noise inside the model."""
        seed = self.experiment.seed
        return tuple(torch_rng(seed, f"noise {purpose}", round_, client) for client in cohort.clients)

    def _check_losses(self, losses_K: np.ndarray, round_: int, cohort: MicroCohort) -> None:
        """Raise `Diverged` where a loss is not finite."""
        finite = np.isfinite(losses_K)
        if finite.all():
            return
        client = cohort.clients[int(np.argmin(finite))]
        raise self.diverged(round_ + 1, f"the loss of client {client}")

    def check_result(self, result: ClientResult, round_: int, client: int) -> None:
        """Check that all that a client sends and keeps is finite; a loss is measured before the last step.

        Raises:
            Diverged: A tensor is not.
        """
        for verb, tensors in (("sends", {**result.up, **result.aside}), ("keeps", result.private)):
            if name := not_finite(tensors):
                raise self.diverged(round_ + 1, f"'{name}', which client {client} {verb},")

    def diverged(self, round_: int, what: str) -> Diverged:
        """Return the error that says what became infinite or NaN, in which round, and what may help."""
        help_ = advice(self.experiment)
        if self.corrupt:
            help_ = (
                f"faults.corruption = '{self.experiment.faults.corruption}' at "
                f"{len(self.corrupt)} clients may be why, or {help_}"
            )
        return Diverged(f"round {round_}: {what} became infinite or NaN; {help_}")
