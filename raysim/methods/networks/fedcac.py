"""FedCAC: weights that are critical for a client are averaged with similar clients only, the others with all.

    critical_i   = in every tensor the top tau of |Dw * w|, Dw the change of a round of local training
    overlap_ij   = 2 |critical_i and critical_j| / (|critical_i| + |critical_j|)
    threshold(t) = mean overlap + (t / beta) (max overlap - mean overlap)
    w_i          = critical_i * (mean of w_j over j = i and all j with overlap_ij >= threshold)
                   + (1 - critical_i) * (mean of w_j over the participants of the round)

t is the coming round, from 1; the mean and max overlap are over pairs i != j.

After round beta the threshold is above every overlap (unless all are equal): critical weights are then the
client's own. The server mixes and sends one network; a client sends its network and one bit per weight.

MEMORY GROWS WITH THE NUMBER OF CLIENTS: the server keeps the last network and mask of every client, in its
state and in every checkpoint. The method is for tens of clients, not for thousands.

Reference: Wu et al., "Bold but Cautious: Unlocking the Potential of Personalized Federated Learning through
    Cautiously Aggressive Collaboration", ICCV 2023.

Filled in or simplified: clients that do not take part in a round stay in the means of similar clients with
their last network, and are missing in the mean over all (in the paper all take part); a client that never
took part gets the plain mean; only clients of one architecture can overlap; weights that did not change are
never critical; statistics of BatchNorm are the mean of all clients. As in the paper, the mean over similar
clients is not weighted; the other is, by images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from raysim.core.config import knob
from raysim.core.types import ClientResult, ServerState, Tensors, Update
from raysim.methods.networks.base import NetworkMethod
from raysim.methods.networks.model import NetworkModel
from raysim.methods.traits import Traits

OVERLAP = "overlap"  # [N, N] of all clients; -1 where it is not known
MASK = "critical/"  # before a row's name: a bit per weight, 1 = critical
WEIGHT = "w/"  # before a row's name: the client's last tensor
ROUNDING = 1e-12  # overlaps that differ by less are equal


class FedCAC(NetworkMethod):
    """FedAvg whose critical weights are averaged among similar clients only."""

    name: ClassVar[str] = "fedcac"
    stacks: ClassVar[bool] = False  # every client gets a mixture of its own

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
        used_when=("tau above 0", lambda self: self.tau > 0),
    )

    @property
    def traits(self) -> Traits:
        """Each client has a network of its own, which the server keeps; masks are sent beside the network."""
        return replace(super().traits, needs_updates=True, sends_aside=True, personal=True)

    def init_server(
        self, model: NetworkModel, clients: int, trainers: Sequence[int], rng: torch.Generator
    ) -> Tensors:
        """Return unknown overlaps for all pairs of clients."""
        return {OVERLAP: torch.full((clients, clients), -1.0, dtype=torch.float64)}

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """Return the client's own mixture."""
        mixture = super().broadcast(state, client)
        mask = stored_tensors(state, client, MASK)
        if not mask:
            return mixture
        progress = (state.round + 1) / self.beta
        group = [client, *collaborators(state.extra[OVERLAP], client, progress)]
        for name, bits in mask.items():
            weights = [state.extra[stored_name(member, WEIGHT, name)] for member in group]
            mean_all, mean_group = mixture[name], torch.stack(weights).mean(0)
            mixture[name] = torch.where(unpacked(bits, mean_all.shape), mean_group, mean_all)
        return mixture

    def finish(
        self, model: NetworkModel, row: Tensors, received: Tensors, private: Tensors, steps: int
    ) -> ClientResult:
        """Send the network, and a bit for every trained weight that clients share."""
        result = super().finish(model, row, received, private, steps)
        excluded = self.buffers(model)
        masks = {
            f"{MASK}{name}": packed(critical(tensor, received[name], self.tau))
            for name, tensor in result.up.items()
            if name not in excluded
        }
        return replace(result, aside=masks)

    def aggregate(self, state: ServerState, updates: Iterable[Update]) -> ServerState:
        """Return the mean network, with the participants' networks and masks stored and compared."""
        extra = dict(state.extra)
        participants: list[int] = []

        def with_networks_stored() -> Iterator[Update]:
            for update in updates:
                for client, network, aside in zip(
                    update.clients, update.client_tensors, update.aside, strict=True
                ):
                    participants.append(client)
                    for key, bits in aside.items():
                        name = key.removeprefix(MASK)
                        extra[stored_name(client, MASK, name)] = bits
                        extra[stored_name(client, WEIGHT, name)] = network[name]
                yield update

        after = replace(super().aggregate(state, with_networks_stored()), extra=extra)
        extra[OVERLAP] = self._overlaps(after, participants)
        return after

    def _overlaps(self, state: ServerState, participants: list[int]) -> torch.Tensor:
        """Return the overlaps [N, N], with those of the participants computed again."""
        overlap_NN = state.extra[OVERLAP].clone()
        masks = {
            client: mask for client in range(len(overlap_NN)) if (mask := stored_tensors(state, client, MASK))
        }
        for client in participants:
            for other, other_mask in masks.items():
                if other != client and self.architecture(other) == self.architecture(client):
                    value = overlap(masks[client], other_mask)
                    overlap_NN[client, other] = overlap_NN[other, client] = value
        return overlap_NN


def critical(after: torch.Tensor, before: torch.Tensor, tau: float) -> torch.Tensor:
    """Mask of the floor(tau n) largest |(after - before) * after| of a tensor, without zeros: bool."""
    score = ((after - before) * after).abs().flatten()
    count = int(tau * score.numel())
    if count == 0:
        return torch.zeros_like(after, dtype=torch.bool)
    return ((score >= score.topk(count).values[-1]) & (score > 0)).view(after.shape)


def packed(mask: torch.Tensor) -> torch.Tensor:
    """Pack a bool tensor into bits: uint8 [ceil(n / 8)]."""
    return torch.from_numpy(np.packbits(mask.cpu().numpy()))


def unpacked(bits: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Unpack bits into a bool tensor; the reverse of `packed`."""
    return torch.from_numpy(np.unpackbits(bits.numpy(), count=shape.numel()).astype(bool)).view(shape)


def overlap(first: Tensors, second: Tensors) -> float:
    """2 |A and B| / (|A| + |B|) of two clients' packed masks, over all tensors; 0 where both are empty."""
    intersection = sum(_count(bits & second[name]) for name, bits in first.items())
    total = sum(_count(bits) for mask in (first, second) for bits in mask.values())
    return 2 * intersection / total if total else 0.0


def collaborators(overlap_NN: torch.Tensor, client: int, progress: float) -> list[int]:
    """Return the clients whose overlap with `client` reaches the threshold.

    Args:
        overlap_NN: Overlaps of all pairs; -1 where unknown and on the diagonal.
        client: A client's number.
        progress: How far the threshold is from the mean overlap (0) to the largest (1); more is allowed.
    """
    values = overlap_NN[overlap_NN >= 0]
    if not len(values):
        return []
    mean, largest = float(values.mean()), float(values.max())
    threshold = mean + progress * (largest - mean) - ROUNDING
    row_N = overlap_NN[client]
    return torch.nonzero((row_N >= 0) & (row_N >= threshold)).flatten().tolist()


def stored_name(client: int, kind: str, name: str) -> str:
    """Return the name in `ServerState.extra` of a client's mask or weight."""
    return f"client/{client}/{kind}{name}"


def stored_tensors(state: ServerState, client: int, kind: str) -> Tensors:
    """Return the masks or weights that the server keeps of a client, by the row's names."""
    prefix = stored_name(client, kind, "")
    return {key.removeprefix(prefix): tensor for key, tensor in state.extra.items() if key.startswith(prefix)}


def _count(bits: torch.Tensor) -> int:
    return int(np.bitwise_count(bits.numpy()).sum())
