"""FedAvg: every weight of a network is trained at the clients and averaged; its bounds beside it.

Reference: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    AISTATS 2017.
"""

from __future__ import annotations

from typing import ClassVar

from raysim.methods.networks.base import NetworkMethod
from raysim.methods.placement import Alone, Pooled


class FedAvg(NetworkMethod):
    """Federated averaging of a whole network."""

    name: ClassVar[str] = "fedavg"


class CentralizedNetwork(Pooled, FedAvg):
    """A network trained on all images in one place."""

    name: ClassVar[str] = "centralized_network"

    @property
    def keeps_norms(self) -> bool:
        """No: there is one network."""
        return False


class LocalNetwork(Alone, FedAvg):
    """A network at each client, trained alone."""

    name: ClassVar[str] = "local_network"

    @property
    def keeps_norms(self) -> bool:
        """No: the whole network is the client's own, and BatchNorm is no exception."""
        return False
