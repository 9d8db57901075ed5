"""FedAvg: every weight of a network is trained at the clients and averaged; and its bounds, no server and no clients.

Reference: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    AISTATS 2017.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from raysim.core.types import Batch, ClientResult, ServerState, Tensors
from raysim.methods.networks.base import Model, NetworkMethod


class FedAvg(NetworkMethod):
    """Federated averaging of a whole network."""

    name: ClassVar[str] = "fedavg"


class CentralizedNetwork(NetworkMethod):
    """One network on all images at once: what a federation gives up."""

    name: ClassVar[str] = "centralized_network"
    pooled: ClassVar[bool] = True


class LocalNetwork(NetworkMethod):
    """A network at each client alone: nothing is sent."""

    name: ClassVar[str] = "local_network"
    shares: ClassVar[bool] = False

    @property
    def keeps(self) -> bool:
        """Everything."""
        return True

    def init_shared(self, model: Model, rng: torch.Generator) -> Tensors:
        """Nothing is shared."""
        return {}

    def init_private(self, model: Model, rng: torch.Generator, client: int) -> Tensors:
        """The client's first network."""
        state = ServerState(0, super().init_shared(model, rng))
        return self._of(state, self.architecture(client))

    def receive(
        self, model: Model, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """What the client kept."""
        return dict(private), {}

    def finish(
        self, model: Model, row: Tensors, received: Tensors, private: Tensors, steps: int, rate: float
    ) -> ClientResult:
        """All stays."""
        return ClientResult({}, {}, row)

    def server_models(self, state: ServerState) -> list[Tensors]:
        """There is none."""
        return []
