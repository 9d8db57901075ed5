"""What methods that train a whole network have in common: the networks, their names, clients of different architectures, BatchNorm.

A row holds "ARCHITECTURE/NAME" for what belongs to one architecture and "common/NAME" for what all share
behind a projection. Clients train one at a time (K = 1). Client i has architecture i mod n of the n that
`network` joins by "+".

Shapes: N images, B images of a batch, S x S pixels, C classes, d embedding.

Reference: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    AISTATS 2017 (averaging); Li et al., "FedBN", ICLR 2021 (`batchnorm="local"`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import field_validator
from torch import nn
from torch.func import functional_call

from raysim.core.config import knob, suggest
from raysim.core.errors import UserError
from raysim.core.types import IGNORE, Batch, ClientResult, Context, Inputs, Scope, ServerState, Tensors
from raysim.methods.base import Method, Metrics
from raysim.methods.prompts.base import normalise
from raysim.methods.prompts.zeroshot import ZeroShot
from raysim.nn.networks import NETWORKS, GateConfig, Network, Output, initial, normalised

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TOWER = "image_tower"
COMMON = "common"
BEHIND = ("head.", "gate.")  # what a projection makes the same for all architectures
AT_ONCE = 256 * 64 * 64  # pixels classified together outside training


class Tower(nn.Module):
    """CLIP's image tower with its zero-shot text features as the classifier, as the FedRSCLIP paper's communication baseline."""

    def __init__(self, visual: nn.Module, text_CD: torch.Tensor, logit_scale: float) -> None:
        super().__init__()
        self.visual, self.text_CD, self.logit_scale = visual, text_CD, logit_scale

    def forward(self, x: torch.Tensor) -> Output:
        """[B, 3, S, S] standardised -> logits [B, C]."""
        out = self.visual(x)
        return Output(self.logit_scale * normalise(out) @ self.text_CD.T, out, out)


@dataclass(frozen=True)
class Model:
    """The modules by architecture (their weights are passed in), and how pixels are standardised."""

    context: Context
    modules: dict[str, nn.Module]
    common: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def place(self, architecture: str, name: str) -> str:
        """A module's own name as it stands in a row."""
        return f"{COMMON if self.common and name.startswith(BEHIND) else architecture}/{name}"

    def weights(self, row: Tensors) -> tuple[str, Tensors]:
        """The architecture of a row of one client, and its tensors by the module's own names."""
        architecture = next(name for name in (key.split("/")[0] for key in row) if name in self.modules)
        return architecture, {
            key.split("/", 1)[1]: tensor
            for key, tensor in row.items()
            if key.startswith((f"{architecture}/", f"{COMMON}/"))
        }

    def names(self) -> Iterator[tuple[str, str]]:
        """Every row name, and its tensor's kind: "weight", or "statistic" of a BatchNorm."""
        for architecture, module in self.modules.items():
            for name, _ in module.named_parameters():
                yield self.place(architecture, name), "weight"
            for name, _ in module.named_buffers() if isinstance(module, Network) else ():
                yield self.place(architecture, name), "statistic"


def at_once(x: torch.Tensor) -> int:
    """How many of the images [B, S, S, 3] are classified together outside training; depends on their size alone."""
    return max(1, AT_ONCE // (x.shape[1] * x.shape[2]))


class NetworkMethod(Method):
    """A method that trains whole networks; on its own it is FedAvg."""

    stackable: ClassVar[bool] = False
    segments: ClassVar[bool] = True

    network: str = knob(
        "small_resnet",
        f"{', '.join(NETWORKS)}, or {TOWER} (CLIP's); several joined by '+' are dealt to the clients in turn",
        basis="guess",
        search="{resnet18,resnet50}",
    )
    pretrained: bool = knob(
        False,
        "start from ImageNet weights (torchvision's names)",
        basis="guess",
        search="{false,true}",
    )
    width: int = knob(
        16,
        "channels of the first stage of the small networks",
        basis="guess",
        search="{16,32,64}",
        ge=8,
        le=512,
        multiple_of=8,
    )
    norm: Literal["batch", "group"] = knob(
        "batch",
        "normalisation in the network",
        basis="guess",
        search="{batch,group}",
    )
    batchnorm: Literal["global", "local"] = knob(
        "global",
        "BatchNorm's scale, shift and statistics: averaged like the rest, or each client's own",
        basis="relative",
        source="FedAvg; local is FedBN",
        search="{global,local}",
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
        """Known names."""
        parts = value.split("+")
        for name in parts:
            if name not in (*NETWORKS, TOWER):
                raise ValueError(
                    f"'{name}' is unknown{suggest(name, [*NETWORKS, TOWER])}; known: "
                    f"{', '.join((*NETWORKS, TOWER))}, joined by '+'"
                )
        if len(set(parts)) < len(parts):
            raise ValueError(
                "an architecture stands twice; clients take the architectures in turn, once each"
            )
        if TOWER in parts and len(parts) > 1:
            raise ValueError(f"'{TOWER}' cannot be mixed with other architectures")
        return value

    @property
    def inputs(self) -> Inputs:
        """Pixels: nothing about the images is frozen."""
        return "pixels"

    @property
    def names_classes(self) -> bool:
        """CLIP's image tower is classified by names, all others by a trained head."""
        return self.network == TOWER

    @property
    def keeps(self) -> bool:
        """BatchNorm's own part, where clients keep it; and clients of several architectures have models of their own anyway."""
        return self.own_batchnorm or "+" in self.network

    @property
    def own_batchnorm(self) -> bool:
        """Whether clients keep BatchNorm's part to themselves."""
        return self.norm == "batch" and self.batchnorm == "local"

    @property
    def gate(self) -> GateConfig | None:
        """Sizes of ACE's gate; none here."""
        return None

    def architecture(self, client: int) -> str:
        """The client's network."""
        names = self.network.split("+")
        return names[max(client, 0) % len(names)]

    def build(self, context: Context) -> Model:
        """The modules, without weights of their own that matter."""
        if self.network == TOWER:
            return self._tower(context)
        modules: dict[str, nn.Module] = {
            name: Network(
                name,
                len(context.classes),
                kind=context.kind,
                width=self.width,
                norm=self.norm,
                pretrained=self.pretrained,
                projection=self.projection,
                gate=self.gate,
            ).to(context.device)
            for name in self.network.split("+")
        }
        return Model(context, modules, self.projection is not None, *IMAGENET)

    def _tower(self, context: Context) -> Model:
        backbone = context.backbone
        if (
            context.kind == "segmentation"
            or self.gate is not None
            or self.projection is not None
            or self.needs_samples
        ):
            raise UserError(
                f"method.network = '{TOWER}' is not allowed here: it classifies whole images, has no "
                "feature map to gate or project, "
                "and no trained last layer whose gradients tell classes apart"
            )
        if context.image_size != backbone.image_size:
            raise UserError(
                f"task.image_size = {context.image_size}: the image tower of {backbone.name} takes "
                f"{backbone.image_size}"
            )
        zeroshot = ZeroShot()
        text_CD = zeroshot.text_features(zeroshot.build(context), {}, "shared")[0]
        return Model(
            context,
            {TOWER: Tower(backbone.clip.visual, text_CD, backbone.logit_scale)},
            False,
            backbone.mean,
            backbone.std,
        )

    def init_shared(self, model: Model, rng: torch.Generator) -> Tensors:
        """Each architecture's first weights and statistics (the tower's and ImageNet's where they are pretrained)."""
        found: Tensors = {}
        for architecture, module in model.modules.items():
            if isinstance(module, Network):
                first = initial(module, rng)
            else:
                first = {name: tensor.detach().cpu().clone() for name, tensor in module.named_parameters()}
            for name, tensor in first.items():
                found.setdefault(model.place(architecture, name), tensor)
        return found

    def buffers(self, model: Model) -> frozenset[str]:
        """BatchNorm's running statistics."""
        return frozenset(name for name, kind in model.names() if kind == "statistic")

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """The tensors of the client's architecture, and those that are common."""
        return self._of(state, self.architecture(client))

    def _of(self, state: ServerState, architecture: str) -> Tensors:
        return {
            name: tensor
            for name, tensor in state.shared.items()
            if name.startswith((f"{architecture}/", f"{COMMON}/"))
        }

    def receive(
        self, model: Model, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """The network as it came, with the client's own BatchNorm where it keeps one."""
        row = {
            name: tensor
            for name, tensor in received.items()
            if name.split("/")[0] in (*model.modules, COMMON)
        }
        return {**row, **{name: tensor for name, tensor in private.items() if name in row}}, {}

    def finish(
        self, model: Model, row: Tensors, received: Tensors, private: Tensors, steps: int, rate: float
    ) -> ClientResult:
        """The network goes up; BatchNorm's part also stays, where clients keep it."""
        up = {name: tensor for name, tensor in row.items() if name in received}
        return ClientResult(up, {}, self.own_norms(model, row))

    def own_norms(self, model: Model, row: Tensors) -> Tensors:
        """BatchNorm's tensors of a row where they are the client's own; none where they are everybody's."""
        if not self.own_batchnorm:
            return {}
        own = {
            model.place(architecture, f"{prefix}.{name}")
            for architecture, module in model.modules.items()
            for prefix, part in module.named_modules()
            if isinstance(part, nn.BatchNorm2d)
            for name in ("weight", "bias", "running_mean", "running_var")
        }
        return {name: tensor for name, tensor in row.items() if name in own}

    def server_models(self, state: ServerState) -> list[Tensors]:
        """One row for each architecture."""
        return [self._of(state, architecture) for architecture in self.network.split("+")]

    def forward(
        self,
        model: Model,
        row: Tensors,
        x: torch.Tensor,
        rng: torch.Generator | None = None,
        tau_g: float = 1.0,
    ) -> Output:
        """Run a client's network.

        Args:
            model: What `build` returned.
            row: The client's row, not stacked.
            x: uint8 [B, S, S, 3].
            rng: For training (and the gate's noise); None: evaluation.
            tau_g: The gate's temperature.

        A batch of a single image is normalised by the running statistics: it has none of its own.
        """
        architecture, weights = model.weights(row)
        module = model.modules[architecture]
        module.train(
            rng is not None and len(x) > 1 and isinstance(module, Network)
        )  # CLIP's tower is everybody's: nothing may write into it
        return functional_call(
            module,
            weights,
            (normalised(x, model.mean, model.std), *self.context_of(module, row, x, rng, tau_g)),
        )

    def outputs(self, model: Model, row: Tensors, samples: Batch) -> Iterator[tuple[Output, torch.Tensor]]:
        """What a network says about the server's samples and their classes, in parts that fit into memory; no gradient."""
        x, y, some = samples.x[0], samples.y[0], at_once(samples.x[0])
        for part, classes in zip(x.split(some), y.split(some), strict=True):
            with torch.no_grad():
                output = self.forward(model, row, part)
            yield output, classes  # outside: a generator would lend its no_grad to whoever reads it

    def context_of(
        self, module: nn.Module, row: Tensors, x: torch.Tensor, rng: torch.Generator | None, tau_g: float
    ) -> tuple[Any, ...]:
        """What the network is given beside the image; nothing here."""
        return ()

    def loss(
        self, model: Model, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy of the one client, [1]."""
        row = {name: tensor[0] for name, tensor in params.items()}
        output = self.forward(model, row, batch.x[0], batch.rngs[0])
        ce_K = self.cross_entropy(output.logits, batch.y[0], self.class_weights(received))
        return ce_K, {"loss_ce": ce_K.detach()}

    def class_weights(self, received: Tensors) -> torch.Tensor | None:
        """Weights [C] of the classes in the cross-entropy; None: all 1."""
        return None

    @staticmethod
    def cross_entropy(logits: torch.Tensor, y: torch.Tensor, weight_C: torch.Tensor | None) -> torch.Tensor:
        """(1 / n) sum of w_y CE over the n images, or over the pixels that are not to be ignored: [B, C, ...] -> [1]."""
        loss = F.cross_entropy(logits, y, weight_C, ignore_index=IGNORE, reduction="sum")
        return (loss / (y != IGNORE).sum().clamp_min(1))[None]

    def predict(self, model: Model, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor:
        """Logits [K, N, C], of segmentation [K, N, C, S, S]."""
        clients = len(next(iter(params.values())))
        parts = x.split(at_once(x))
        rows = [{name: tensor[k] for name, tensor in params.items()} for k in range(clients)]
        return torch.stack(
            [torch.cat([self.forward(model, row, part).logits for part in parts]) for row in rows]
        )
