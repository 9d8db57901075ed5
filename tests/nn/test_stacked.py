"""Networks of several clients as one."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from raysim.nn.convnets import SMALL_NETWORKS, Norm
from raysim.nn.networks import Network, initial_weights, standardise, standardise_planes
from raysim.nn.stacked import side_by_side, stacked_maps


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_maps_gradients_and_statistics_are_those_of_each_network(name: str, norm: Norm) -> None:
    network = Network(name, 3, width=8, norm=norm)
    rows = [initial_weights(network, torch.Generator().manual_seed(seed)) for seed in range(3)]
    own = [
        {key.removeprefix("backbone."): t.double() for key, t in row.items() if key.startswith("backbone.")}
        for row in rows
    ]
    stacked = {key: torch.stack([row[key] for row in own]) for key in own[0]}
    for row in (*own, stacked):
        for key, tensor in row.items():
            tensor.requires_grad_("running" not in key)
    x = torch.randint(0, 256, (3, 4, 32, 32, 3), dtype=torch.uint8)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    pixels = [standardise_planes(images, mean, std) for images in x]
    assert all(
        plane.is_contiguous() and plane.equal(standardise(images, mean, std))
        for plane, images in zip(pixels, x, strict=True)
    )
    behind = side_by_side(network.backbone, 3)
    together = stacked_maps(network.backbone, behind, stacked, [plane.double() for plane in pixels])
    torch.stack([maps[-1].square().mean() for maps in together]).sum().backward()
    for k, row in enumerate(own):
        maps = functional_call(network.backbone, row, (standardise(x[k], mean, std).double(),))
        maps[-1].square().mean().backward()
        for ours, alone in zip(together[k], maps, strict=True):
            torch.testing.assert_close(ours, alone)
        for key, tensor in row.items():
            value = tensor if tensor.grad is None else tensor.grad
            found = stacked[key] if stacked[key].grad is None else stacked[key].grad
            torch.testing.assert_close(found[k], value, rtol=1e-9, atol=1e-12)
            assert ("running" in key) == (tensor.grad is None)
