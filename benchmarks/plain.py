"""The same client code without raysim, in a pool of processes that stay: the control of `benchmarks.rounds`.

A process holds images, networks and the text tower, and works as a plain loop does: one client after the
other, `torch.optim.SGD`, the text tower with all 77 tokens, a network as an ordinary module, pixels
standardised batch by batch. It gets the server's tensors once a round and returns one weighted sum. Only
which images a batch has comes from raysim, so that both sides train on the same batches.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.text_tower import plain_encode
from raysim.core import plugins
from raysim.core.plugins import PluginFile
from raysim.experiment.records import Experiment, of_identity
from raysim.simulation.batches import Batches
from raysim.simulation.device import CPU
from raysim.simulation.federation import Federation
from raysim.simulation.images import frozen_of
from raysim.simulation.training import TRAIN

Arrays = dict[str, np.ndarray]
PROMPT = "prompt.shared"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class CNN(nn.Module):
    """Four convolutions of stride 2 with group norm, averaged over positions, and a linear classifier."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        channels = (3, width, 2 * width, 4 * width, 4 * width)
        self.backbone = nn.Module()
        self.backbone.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.GroupNorm(8, after), nn.ReLU(inplace=True)
            )
            for before, after in pairwise(channels)
        )
        self.head = nn.Linear(channels[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify standardised pixels: [B, 3, S, S] -> [B, C]."""
        for stage in self.backbone.stages:
            x = stage(x)
        return self.head(x.mean((-2, -1)))


class Clients:
    """All clients of an experiment in one process."""

    def __init__(self, experiment: Experiment, device: torch.device = CPU) -> None:
        torch.set_num_threads(1)
        self.experiment, self.device = experiment, device
        frozen = frozen_of(experiment, device)
        self.federation, self.frozen = Federation.of(experiment), frozen
        self.batches = Batches(self.federation, frozen)
        self.mean, self.std = (torch.tensor(values, device=device) for values in (MEAN, STD))
        prepare = {"noop": lambda: None, "promptfl": self._prepare_tower, "fedavg": self._prepare_network}
        prepare[experiment.method.name]()

    def _prepare_tower(self) -> None:
        context = self.frozen.context
        self.clip, self.scale = context.backbone.clip, context.backbone.logit_scale
        placeholders = "X " * self.experiment.method.h
        tokens = context.backbone.tokenize([f"{placeholders}{name}." for name in context.classes])
        self.tokens = tokens.to(self.device)

    def _prepare_network(self) -> None:
        width: int = self.experiment.method.width
        self.network = CNN(width, len(self.frozen.context.classes)).to(self.device)

    def train(self, shared: Arrays, round_: int, clients: list[int]) -> tuple[Arrays, int]:
        """Train some clients; return the sum of their tensors, each times its images, and their images."""
        sums = {name: np.zeros(array.shape) for name, array in shared.items()}
        images = 0
        step_of = {"noop": self._noop, "promptfl": self._prompt, "fedavg": self._network}
        for client in clients:
            plan = self.batches.plan(client, round_, self.experiment.training.epochs, TRAIN)
            trained = step_of[self.experiment.method.name](shared, round_, plan)
            weight = len(self.federation.shard(client))
            for name, total in sums.items():
                total += weight * trained[name].detach().cpu().numpy().astype(np.float64)
            images += weight
        return sums, images

    def _noop(self, shared: Arrays, round_: int, plan: list[np.ndarray]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(array.copy()) for name, array in shared.items()}

    def _prompt(self, shared: Arrays, round_: int, plan: list[np.ndarray]) -> dict[str, torch.Tensor]:
        prompt = torch.from_numpy(shared[PROMPT].copy()).to(self.device).requires_grad_()

        def loss_of(pairs: np.ndarray) -> torch.Tensor:
            x, y = self._images(pairs)
            return F.cross_entropy(self.scale * x @ plain_encode(self.clip, prompt, self.tokens).T, y)

        self._steps([prompt], loss_of, round_, plan)
        return {PROMPT: prompt}

    def _network(self, shared: Arrays, round_: int, plan: list[np.ndarray]) -> dict[str, torch.Tensor]:
        own = {name.split("/")[1]: torch.from_numpy(array) for name, array in shared.items()}
        self.network.load_state_dict(own)

        def loss_of(pairs: np.ndarray) -> torch.Tensor:
            pixels, y = self._images(pairs)
            x = ((pixels.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
            return F.cross_entropy(self.network(x), y)

        self._steps(list(self.network.parameters()), loss_of, round_, plan)
        return {name: self.network.get_parameter(name.split("/")[1]) for name in shared}

    def _images(self, pairs: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.from_numpy(self.frozen.x[pairs[:, 0], pairs[:, 1]])
        y = torch.from_numpy(self.federation.training_labels[pairs[:, 0]])
        return x.to(self.device), y.to(self.device)

    def _steps(
        self,
        parameters: list[torch.Tensor],
        loss_of: Callable[[np.ndarray], torch.Tensor],
        round_: int,
        plan: list[np.ndarray],
    ) -> None:
        training = self.experiment.training
        rate = training.rate(round_, self.experiment.rounds)
        optimiser = torch.optim.SGD(
            parameters, lr=rate, momentum=training.momentum, weight_decay=training.weight_decay
        )
        for pairs in plan:
            optimiser.zero_grad()
            loss_of(pairs).backward()
            optimiser.step()


_clients: list[Clients] = []  # of a process of the pool


def _set_up(experiment: str, files: list[PluginFile]) -> None:
    plugins.install(files)
    _clients.append(Clients(of_identity(experiment)))


def _train(shared: Arrays, round_: int, clients: list[int]) -> tuple[Arrays, int]:
    return _clients[0].train(shared, round_, clients)


class Pool:
    """Processes that stay, each with all images: the round of a plain program."""

    def __init__(self, experiment: str, processes: int) -> None:
        self.processes = processes
        self.pool = get_context("spawn").Pool(processes, _set_up, (experiment, list(plugins.active())))

    def round_(self, shared: dict[str, torch.Tensor], round_: int, clients: int) -> dict[str, torch.Tensor]:
        """Train all clients from the server's tensors; return their mean."""
        arrays = {name: tensor.numpy() for name, tensor in shared.items()}
        shares = [list(range(start, clients, self.processes)) for start in range(self.processes)]
        parts = self.pool.starmap(_train, [(arrays, round_, share) for share in shares], chunksize=1)
        images = sum(count for _, count in parts)
        return {
            name: torch.from_numpy(sum(sums[name] for sums, _ in parts) / images).to(tensor.dtype)
            for name, tensor in shared.items()
        }

    def pids(self) -> list[int]:
        """Return the processes."""
        workers: Any = self.pool._pool  # nothing public names them
        return [worker.pid for worker in workers]

    def close(self) -> None:
        """End the processes."""
        self.pool.terminate()
        self.pool.join()
