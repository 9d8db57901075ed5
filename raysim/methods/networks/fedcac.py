"""FedCAC: weights that matter to a client's data are shared only with clients to whom the same weights matter, the rest with all.

    critical_i   = in every tensor the top tau of |Dw * w|, Dw the change of a round of local training
    overlap_ij   = 2 |critical_i and critical_j| / (|critical_i| + |critical_j|)
    threshold(t) = mean overlap + (t / beta) (max overlap - mean overlap)           t the coming round, from 1; pairs i != j
    w_i          = critical_i * mean over {i} and {j: overlap_ij >= threshold} of w_j  +  (1 - critical_i) * mean over all of w_j

Beyond round beta no threshold is reached (but by equals): critical weights are then the client's own.

The server does the mixing and sends one network; a client sends its network and one bit per weight. So the
server remembers the last network and mask of every client, in its state and in every checkpoint: MEMORY GROWS
WITH THE NUMBER OF CLIENTS, by a network each. For tens of clients, not for thousands.

Filled in or simplified: clients that do not take part in a round stay in the means with their last network
(as published all take part); a client that never took part gets the plain mean; only clients of one
architecture can overlap; weights that did not change are never critical; statistics of BatchNorm are
everybody's mean. The mean over collaborators is not weighted, as published; the other is, by images.

Reference: Wu et al., "Bold but Cautious: Unlocking the Potential of Personalized Federated Learning through
    Cautiously Aggressive Collaboration", ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from raysim.core.config import knob
from raysim.core.types import ClientResult, ServerState, Tensors, Update
from raysim.methods.networks.base import Model, NetworkMethod

OVERLAP = "overlap"  # [N, N] of all clients; -1 where it is not known
MASK = "critical/"  # before a row's name: a bit per weight, 1 = critical
EXACT = 1e-12  # rounding that does not part equal overlaps


class FedCAC(NetworkMethod):
    """FedAvg whose critical weights are averaged among similar clients only."""

    name: ClassVar[str] = "fedcac"
    needs_updates: ClassVar[bool] = True

    tau: float = knob(
        0.5,
        "share of every tensor's weights that is critical; 0 = FedAvg",
        basis="relative",
        source="Wu et al.",
        search="U [0.1, 0.9]",
        ge=0,
        le=1,
    )
    beta: int = knob(
        100,
        "round after which critical weights are the client's own",
        basis="relative",
        source="Wu et al.",
        search="{50,100,170}",
        ge=1,
        le=1_000_000,
    )

    @property
    def keeps(self) -> bool:
        """Every client has a network of its own; the server remembers it."""
        return True

    @property
    def sends_aside(self) -> bool:
        """The critical weights, a bit each."""
        return True

    def init_server(self, model: Model, clients: int, rng: torch.Generator) -> Tensors:
        """Nothing is known of any two clients."""
        return {OVERLAP: torch.full((clients, clients), -1.0, dtype=torch.float64)}

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """The client's own mixture."""
        mixture = super().broadcast(state, client)
        mask = _of(state, client, MASK)
        group = (
            [client, *collaborators(state.extra[OVERLAP], client, (state.round + 1) / self.beta)]
            if mask
            else []
        )
        for name, bits in mask.items():
            common = mixture[name]
            mean = torch.stack([state.extra[_key(one, "w/", name)] for one in group]).mean(0)
            mixture[name] = torch.where(unpacked(bits, common.shape), mean, common)
        return mixture

    def finish(
        self, model: Model, row: Tensors, received: Tensors, private: Tensors, steps: int, rate: float
    ) -> ClientResult:
        """The network goes up, with a bit for every trained weight."""
        sent = super().finish(model, row, received, private, steps, rate)
        apart = self.buffers(model) | sent.private.keys()
        masks = {
            f"{MASK}{name}": packed(critical(tensor, received[name], self.tau))
            for name, tensor in sent.up.items()
            if name not in apart
        }
        return ClientResult(sent.up, masks, sent.private)

    def aggregate(self, state: ServerState, updates: Iterable[Update]) -> ServerState:
        """The mean network; the participants' networks and masks are remembered and compared."""
        extra = dict(state.extra)
        fresh: list[int] = []

        def passing() -> Iterator[Update]:
            for update in updates:
                for client, network, aside in zip(update.clients, update.each, update.aside, strict=True):
                    fresh.append(client)
                    for key, bits in aside.items():
                        name = key.removeprefix(MASK)
                        extra[_key(client, MASK, name)], extra[_key(client, "w/", name)] = bits, network[name]
                yield update

        after = replace(super().aggregate(state, passing()), extra=extra)
        extra[OVERLAP] = self._overlaps(after, fresh)
        return after

    def _overlaps(self, state: ServerState, fresh: list[int]) -> torch.Tensor:
        """The overlaps [N, N] with those of the `fresh` clients renewed."""
        overlap_NN = state.extra[OVERLAP].clone()
        masks = {client: mask for client in range(len(overlap_NN)) if (mask := _of(state, client, MASK))}
        for one in fresh:
            for other, theirs in masks.items():
                if other != one and self.architecture(other) == self.architecture(one):
                    overlap_NN[one, other] = overlap_NN[other, one] = overlap(masks[one], theirs)
        return overlap_NN


def critical(after: torch.Tensor, before: torch.Tensor, tau: float) -> torch.Tensor:
    """Where |(after - before) * after| is among the largest floor(tau n) of a tensor and not 0: bool, in its shape."""
    score = ((after - before) * after).abs().flatten()
    most = int(tau * score.numel())
    if most == 0:
        return torch.zeros_like(after, dtype=torch.bool)
    return ((score >= score.topk(most).values[-1]) & (score > 0)).view(after.shape)


def packed(mask: torch.Tensor) -> torch.Tensor:
    """A bool tensor as bits: uint8 [ceil(n / 8)]."""
    return torch.from_numpy(np.packbits(mask.cpu().numpy()))


def unpacked(bits: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The reverse of `packed`."""
    return torch.from_numpy(np.unpackbits(bits.numpy(), count=shape.numel()).astype(bool)).view(shape)


def overlap(one: Tensors, other: Tensors) -> float:
    """2 |A and B| / (|A| + |B|) of two clients' packed masks, over all tensors; 0 where both are empty."""
    shared = sum(_count(bits & other[name]) for name, bits in one.items())
    total = sum(_count(bits) for mask in (one, other) for bits in mask.values())
    return 2 * shared / total if total else 0.0


def collaborators(overlap_NN: torch.Tensor, client: int, share: float) -> list[int]:
    """Clients whose overlap with `client` reaches the threshold, a `share` of the way from the mean overlap to the largest."""
    values = overlap_NN[overlap_NN >= 0]  # the diagonal stays at -1
    if not len(values):
        return []
    mean, largest = float(values.mean()), float(values.max())
    threshold = mean + share * (largest - mean) - EXACT
    row_N = overlap_NN[client]
    return torch.nonzero((row_N >= 0) & (row_N >= threshold)).flatten().tolist()


def _count(bits: torch.Tensor) -> int:
    return int(np.bitwise_count(bits.numpy()).sum())


def _key(client: int, kind: str, name: str) -> str:
    return f"client/{client}/{kind}{name}"


def _of(state: ServerState, client: int, kind: str) -> Tensors:
    """What the server remembers of a client, by the row's names."""
    prefix = _key(client, kind, "")
    return {key.removeprefix(prefix): tensor for key, tensor in state.extra.items() if key.startswith(prefix)}
