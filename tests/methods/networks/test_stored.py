"""A client's stored network: it comes back as it was, and merges exactly."""

from __future__ import annotations

import torch

from raysim.methods.networks.stored import merge, store_network, stored_network
from raysim.storage.vault import digest_of
from tests.fakes.networks import B, W, row


def test_a_kept_network_comes_back_and_merges_exactly() -> None:
    client_network, received = row(1.0, -3.0, 0.1), row(2.0, 5.0, 0.7) | {"small_resnet/new": torch.ones(1)}
    private = store_network(client_network) | {"other": torch.zeros(1)}
    assert set(private) == {f"own/{W}", f"own/{B}", "other"}
    assert stored_network({"other": torch.zeros(1)}) is None and store_network(private).keys() == {
        "own/other"
    }
    back = stored_network(private)
    assert back is not None and back.keys() == client_network.keys()
    assert digest_of(merge(back, received, 0.0, set())) == digest_of(received)
    assert digest_of(merge(back, received, 1.0, {B})) == digest_of({**received, W: client_network[W]})
    mixed = merge(back, received, 0.25, {B})
    assert (
        mixed[W].tolist() == [[1.75, 3.0]]
        and mixed[B] is received[B]
        and mixed["small_resnet/new"].item() == 1
    )
