"""Base class of methods that train a whole network: the network's fields, architectures, BatchNorm.

Client i has architecture i mod n of the n that `network` joins by "+". Clients of small networks train
stacked, a few backbones as one network (`passes`). Others train one at a time (K = 1).

With `batchnorm="local"` (FedBN) BatchNorm's scale, shift and statistics are private: they are never sent, up
or down, and every client starts from the first ones. So the server has no complete network: it has no
model of its own, and methods whose server runs the network on samples refuse this setting.

Shapes: N images, B images of a batch, S x S pixels, C classes.

Reference: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    AISTATS 2017 (averaging); Li et al., "FedBN", ICLR 2021 (`batchnorm="local"`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import field_validator, model_validator
from torch import nn

from raysim.core.config import knob, suggest
from raysim.core.types import IGNORE, Batch, ClientResult, Context, Scope, ServerState, Tensors
from raysim.methods.base import Method, Metrics
from raysim.methods.networks import passes
from raysim.methods.networks.model import (
    COMMON,
    TOWER,
    NetworkModel,
    architecture_part,
    images_per_call,
    tower_model,
)
from raysim.methods.traits import Traits
from raysim.nn import convnets
from raysim.nn.gate import GateConfig
from raysim.nn.networks import Network, Output, initial_weights
from raysim.nn.rows import rows_of

STACKED_WIDTH = 64  # channels above which K networks at once would need too much memory


class NetworkMethod(Method):
    """A method that trains whole networks; without a subclass's changes it is FedAvg.

    Class attributes:
        stacks: Whether all clients of an architecture get the same, and the loss takes K of them.
    """

    stacks: ClassVar[bool] = True

    network: str = knob(
        "small_resnet",
        f"{', '.join(convnets.BUILT_IN_NETWORKS)}, or {TOWER} (CLIP's); joined by '+': clients in turn",
        basis="guess",
        search="{resnet18,resnet50}",
    )
    pretrained: bool = knob(
        False,
        f"start from ImageNet weights ({', '.join(convnets.PRETRAINED_NETWORKS)})",
        basis="guess",
        search="{false,true}",
        used_when=("a network of torchvision or efficientnet_lite0", lambda self: self.network != TOWER),
    )
    width: int = knob(
        16,
        "channels of the first stage of the small networks",
        basis="guess",
        search="{16,32,64}",
        ge=8,
        le=512,
        multiple_of=8,
        used_when=(
            "one of the small networks",
            lambda self: any(name not in (*convnets.OWN_WIDTHS, TOWER) for name in self.architectures),
        ),
    )
    norm: Literal["batch", "group"] = knob(
        "batch",
        "normalisation in the network",
        basis="guess",
        search="{batch,group}",
        used_when=("a network from scratch, not CLIP's tower", lambda self: self.network != TOWER),
    )
    batchnorm: Literal["global", "local", "frozen"] = knob(
        "global",
        "BatchNorm: averaged (global), each client's own (local), or with ImageNet's statistics (frozen)",
        basis="relative",
        source="FedAvg; local is FedBN",
        search="{global,local}",
        used_when=(
            "BatchNorm, and averaged networks or frozen statistics",
            lambda self: self.has_batchnorm and (self.traits.averages or self.freezes_statistics),
        ),
    )
    projection: int | None = knob(
        None,
        "width behind a 1x1 projection of the last map; head and gate are then shared by all architectures",
        basis="guess",
        search="null, {64,128,256}",
        ge=8,
        le=2048,
    )

    @field_validator("network")
    @classmethod
    def check_network(cls, value: str) -> str:
        """Check that every architecture is known, stands once, and that CLIP's tower stands alone."""
        names, known = value.split("+"), [*convnets.NETWORKS, TOWER]
        for name in names:
            if name not in known:
                raise ValueError(
                    f"'{name}' is unknown{suggest(name, known)}; known: {', '.join(known)}, joined by '+'"
                )
        if len(set(names)) < len(names):
            raise ValueError(
                "an architecture stands twice; clients take the architectures in turn, once each"
            )
        if TOWER in names and len(names) > 1:
            raise ValueError(f"'{TOWER}' cannot be mixed with other architectures")
        return value

    @model_validator(mode="after")
    def check_norms(self) -> Self:
        """Check that the server has the whole network where it has to run it."""
        if self.keeps_norms and self.traits.needs_samples:
            raise ValueError(
                f"batchnorm = 'local' is not allowed: the server of '{self.name}' runs the network on "
                "samples, and has no BatchNorm where clients keep theirs; it should be 'global'"
            )
        if self.freezes_statistics and not self.pretrained:
            raise ValueError("batchnorm = 'frozen' is not allowed without pretrained = true")
        return self

    @property
    def traits(self) -> Traits:
        """Pixels; clients of small networks are stacked."""
        small = set(self.architectures) <= set(convnets.SMALL_NETWORKS) and self.width <= STACKED_WIDTH
        return replace(
            super().traits,
            inputs="pixels",
            stackable=self.stacks and small,
            segments=True,
            names_classes=self.network == TOWER,
            image_size=convnets.pretrained_size(self.architectures) if self.pretrained else None,
        )

    @property
    def architectures(self) -> tuple[str, ...]:
        """The networks that `network` joins by "+"."""
        return tuple(self.network.split("+"))

    @property
    def has_batchnorm(self) -> bool:
        """Presence of BatchNorm in the networks."""
        return self.network != TOWER and self.norm == "batch"

    @property
    def keeps_norms(self) -> bool:
        """Whether clients keep BatchNorm's tensors to themselves."""
        return self.has_batchnorm and self.batchnorm == "local"

    @property
    def freezes_statistics(self) -> bool:
        """Whether BatchNorm normalises by the statistics of the pretrained weights, in training too."""
        return self.has_batchnorm and self.batchnorm == "frozen"

    @property
    def gate_config(self) -> GateConfig | None:
        """Sizes of a gate on the last feature map; None: no gate."""
        return None

    def build(self, context: Context) -> NetworkModel:
        """Return the modules; their weights come from the rows."""
        if self.network == TOWER:
            changed = self.gate_config is not None or self.projection is not None
            return tower_model(context, changed or self.traits.needs_samples)
        modules: dict[str, nn.Module] = {
            name: Network(
                name,
                len(context.classes),
                kind=context.kind,
                width=self.width,
                norm=self.norm,
                pretrained=self.pretrained,
                frozen=self.freezes_statistics,
                projection=self.projection,
                gate=self.gate_config,
            ).to(context.device)
            for name in self.architectures
        }
        pixels = {name: convnets.pixel_statistics(name) for name in modules}
        return NetworkModel(context, modules, self.projection is not None, pixels)

    def init_shared(self, model: NetworkModel, rng: torch.Generator) -> Tensors:
        """Return each architecture's first weights and statistics; pretrained ones where there are such.

        BatchNorm's tensors are not among them where clients keep them.
        """
        shared: Tensors = {}
        private = model.norm_names() if self.keeps_norms else ()
        for architecture, module in model.modules.items():
            if isinstance(module, Network):
                first = initial_weights(module, rng)
            else:
                first = {name: tensor.detach().cpu().clone() for name, tensor in module.named_parameters()}
            for name, tensor in first.items():
                if (row_name := model.row_name(architecture, name)) not in private:
                    shared.setdefault(row_name, tensor)
        return shared

    def init_private(self, model: NetworkModel, rng: torch.Generator, client: int) -> Tensors:
        """Return the first BatchNorm of the client's architecture where clients keep it, else nothing."""
        return model.first_norms(self.architecture(client)) if self.keeps_norms else {}

    def buffers(self, model: NetworkModel) -> frozenset[str]:
        """Return the names of BatchNorm's running statistics."""
        return frozenset(name for name, kind in model.row_names() if kind == "statistic")

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """Return the tensors of the client's architecture, and those that are common."""
        return architecture_part(state.shared, self.architecture(client))

    def receive(
        self, model: NetworkModel, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """Return the network as it was sent, with the client's own BatchNorm where it keeps one."""
        prefixes = (*model.modules, COMMON)
        row = {name: tensor for name, tensor in received.items() if name.split("/")[0] in prefixes}
        return {**row, **self.private_norms(model, private)}, {}

    def finish(
        self, model: NetworkModel, row: Tensors, received: Tensors, private: Tensors, steps: int
    ) -> ClientResult:
        """Send the network; keep BatchNorm's tensors where clients keep them."""
        sent = {name: tensor for name, tensor in row.items() if name in received}
        return ClientResult(sent, {}, self.private_norms(model, row))

    def private_norms(self, model: NetworkModel, row: Tensors) -> Tensors:
        """Return BatchNorm's tensors of a row where clients keep them to themselves, else nothing."""
        norms = model.norm_names() if self.keeps_norms else frozenset()
        return {name: tensor for name, tensor in row.items() if name in norms}

    def server_models(self, state: ServerState) -> list[Tensors]:
        """Return a row for each architecture; none where BatchNorm is at the clients."""
        architectures = () if self.keeps_norms else self.architectures
        return [architecture_part(state.shared, architecture) for architecture in architectures]

    def forward(
        self,
        model: NetworkModel,
        row: Tensors,
        x: torch.Tensor,
        rng: torch.Generator | None = None,
        tau_g: float = 1.0,
    ) -> Output:
        """Run a client's network (`passes.forward`), with the gate at temperature `tau_g`."""
        return passes.forward(model, row, x, rng, partial(self.gate_inputs, tau_g=tau_g))

    def outputs(
        self, model: NetworkModel, params: Tensors, batch: Batch, tau_g: float = 1.0
    ) -> Iterator[Output]:
        """Return the outputs of a stack's clients in training (`passes.outputs`)."""
        return passes.outputs(model, params, batch, partial(self.gate_inputs, tau_g=tau_g))

    def gate_inputs(
        self, module: nn.Module, row: Tensors, x: torch.Tensor, rng: torch.Generator | None, tau_g: float
    ) -> tuple[Any, ...]:
        """Return what the network is given beside the images; nothing here."""
        return ()

    def sample_outputs(
        self, model: NetworkModel, row: Tensors, samples: Batch
    ) -> Iterator[tuple[Output, torch.Tensor]]:
        """Yield a network's outputs for the server's samples, and the samples' classes, part by part.

        Outputs have no gradient. A part fits into memory.
        """
        x, y, size = samples.x[0], samples.y[0], images_per_call(samples.x[0])
        for x_part, y_part in zip(x.split(size), y.split(size), strict=True):
            with torch.no_grad():  # not around `yield`: the reader would run without gradients too
                output = self.forward(model, row, x_part)
            yield output, y_part

    def loss(
        self, model: NetworkModel, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy of each client, [K]."""
        outputs = self.outputs(model, params, batch)
        ce_K = self.cross_entropies(outputs, batch, received)
        return ce_K, {"loss_ce": ce_K.detach()}

    def cross_entropies(self, outputs: Iterable[Output], batch: Batch, received: Tensors) -> torch.Tensor:
        """Return the cross-entropy of each client's output over its own images, [K]."""
        weight_C = self.class_weights(received)
        losses = [
            self.cross_entropy(output.logits, batch.y[k, : len(output.logits)], weight_C)
            for k, output in enumerate(outputs)
        ]
        return torch.cat(losses)

    def class_weights(self, received: Tensors) -> torch.Tensor | None:
        """Return the weights [C] of the classes in the cross-entropy; None: all 1."""
        return None

    @staticmethod
    def cross_entropy(logits: torch.Tensor, y: torch.Tensor, weight_C: torch.Tensor | None) -> torch.Tensor:
        """(1 / n) sum of w_y CE over n images, or over the n pixels that count: [B, C, ...] -> [1]."""
        loss = F.cross_entropy(logits, y, weight_C, ignore_index=IGNORE, reduction="sum")
        return (loss / (y != IGNORE).sum().clamp_min(1))[None]

    def predict(
        self, model: NetworkModel, params: Tensors, x: torch.Tensor, scope: Scope
    ) -> torch.Tensor | None:
        """Logits [K, N, C], of segmentation [K, N, C, S, S]."""
        parts = x.split(images_per_call(x))
        return torch.stack(
            [torch.cat([self.forward(model, row, part).logits for part in parts]) for row in rows_of(params)]
        )
