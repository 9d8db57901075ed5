"""Forward passes of clients' networks: one client's, and those of a stack with backbones side by side.

Shapes: K clients of a stack, B images of a batch, S x S pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from raysim.core.types import Batch, Tensors
from raysim.methods.networks.model import NetworkModel, images_per_call
from raysim.nn.networks import Network, Output, standardise, standardise_planes
from raysim.nn.rows import parts_of, rows_of
from raysim.nn.stacked import stacked_maps

# backbones that run as one: more of them save time per operation, but their maps leave the processor's cache;
# at 32 px, batch 26 and with group norm, a step takes 0.86 (cnn), 0.91 (small_resnet) and 0.94
# (small_mobilenet) of one by one
SIDE_BY_SIDE = {"cnn": 4, "small_resnet": 2, "small_mobilenet": 4}
BACKBONE = "backbone."

# (module, row, images, generator of noise or None) -> what the network is given beside the images
GateInputs = Callable[[nn.Module, Tensors, torch.Tensor, torch.Generator | None], tuple[Any, ...]]


def forward(
    model: NetworkModel, row: Tensors, x: torch.Tensor, rng: torch.Generator | None, gate: GateInputs
) -> Output:
    """Run one client's network.

    A batch of a single image is normalised by the running statistics: it has none of its own.

    Args:
        model: The modules.
        row: The client's row, not stacked.
        x: uint8 [B, S, S, 3].
        rng: Generator of the gate's noise, in training; None: evaluation.
        gate: What the network is given beside the images.
    """
    architecture, weights = model.weights(row)
    module = model.modules[architecture]
    # CLIP's tower belongs to all clients of this process: no batch may change its statistics
    _set_training(module, rng is not None and len(x) > 1 and isinstance(module, Network))
    inputs = (standardise(x, *model.pixels[architecture]), *gate(module, row, x, rng))
    return functional_call(module, weights, inputs, tie_weights=False)


def features(model: NetworkModel, row: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Return a network's features [B, d] of images uint8 [B, S, S, 3], without gradient: `Output.features`.

    Nothing behind the backbone runs.
    """
    architecture, weights = model.weights(row)
    backbone = model.modules[architecture].get_submodule("backbone")
    _set_training(model.modules[architecture], False)
    own = {
        name.removeprefix(BACKBONE): tensor for name, tensor in weights.items() if name.startswith(BACKBONE)
    }
    with torch.no_grad():
        parts = [
            functional_call(
                backbone, own, (standardise(part, *model.pixels[architecture]),), tie_weights=False
            )
            for part in x.split(images_per_call(x))
        ]
        return torch.cat([maps[-1].mean((-2, -1)) for maps in parts])


def outputs(model: NetworkModel, params: Tensors, batch: Batch, gate: GateInputs) -> Iterator[Output]:
    """Yield the output of each client of a stack for its own images, in training.

    Backbones of clients with equally many images run side by side. A single image runs alone.

    Args:
        model: The modules.
        params: The clients' rows, each tensor stacked [K, ...].
        batch: Their images.
        gate: What a network is given beside the images.
    """
    clients = len(batch.x)
    counts = batch.counts or (batch.x.shape[1],) * clients
    architecture, _ = model.weights(params)
    size = SIDE_BY_SIDE.get(architecture, 1)
    groups = [range(start, min(start + size, clients)) for start in range(0, clients, size)]
    for group, part in zip(groups, parts_of(params, [len(group) for group in groups]), strict=True):
        images = {counts[k] for k in group}
        if len(group) > 1 and len(images) == 1 and min(images) > 1:
            yield from _side_by_side(model, part, batch, group, gate)
            continue
        for k, row in zip(group, rows_of(part), strict=True):
            yield forward(model, row, batch.x[k, : counts[k]], batch.rngs[k], gate)


def _side_by_side(
    model: NetworkModel, part: Tensors, batch: Batch, group: range, gate: GateInputs
) -> Iterator[Output]:
    """Yield the outputs of some clients of a stack, of which `part` has the rows.

    Their backbones run as one network.
    """
    size = len(group)
    architecture, weights = model.weights(part)
    module, behind_stem = model.modules[architecture], model.side_by_side(architecture, size)
    _set_training(module, True)
    _set_training(behind_stem, True)
    images = batch.counts[group[0]] if batch.counts else batch.x.shape[1]
    pixels = [standardise_planes(batch.x[k, :images], *model.pixels[architecture]) for k in group]
    own = {
        name.removeprefix(BACKBONE): tensor for name, tensor in weights.items() if name.startswith(BACKBONE)
    }
    behind = rows_of({name: tensor for name, tensor in weights.items() if not name.startswith(BACKBONE)})
    stacked = stacked_maps(module.get_submodule("backbone"), behind_stem, own, pixels)
    for k, row, own_row, maps, x_B3SS in zip(group, rows_of(part), behind, stacked, pixels, strict=True):
        # the backbone does not run again: of the pixels only their size counts
        inputs = (x_B3SS, *gate(module, row, batch.x[k, :images], batch.rngs[k]))
        yield functional_call(module, own_row, inputs, {"maps": maps}, tie_weights=False)


def _set_training(module: nn.Module, training: bool) -> None:
    """Bring a module into training or evaluation mode; `train` walks through all its parts every time."""
    if module.training is not training:
        module.train(training)
