"""SAFE: a network whose loss, merging and attention adjust themselves to imbalance and to how far clients have gone.

Li, Wu, Li, Fan, Zhang, Li, Ge, Zhao, "SAFE: Self-Adjustment Federated Learning Framework for Remote Sensing
Collaborative Perception", arXiv 2504.03700. Known from its abstract and summary: four mechanisms and their
order in a round.
    CRO  the server's gradients per class on its own samples (SES) give class ratios CR that weight the clients' next loss
    FAU  D = 1 - CKA(A_i, A_g) on the same samples;  mu = clip(kappa beta(t) D, 0, 1);  theta_i <- mu theta_i + (1 - mu) theta_g
    DMR  beta(t) goes from 0 (global) to beta_max (local) along a cosine
    ACE  client embeddings, stacked to a matrix at the server, attend to feature positions; a Gumbel-Softmax gate opens or closes each
No equation is public. The forms here are reconstructions from relatives (FedEMA for the merge, DynamicViT for
the gate, `rectification` for CRO, `raysim.nn.gate` for ACE), and what they leave open is a field below. A run
is "consistent with the description".

Filled in: D is measured at the client, by its own last network on the samples it was sent once; BatchNorm's
statistics are taken from the server in the merge; the first round merges nothing; an embedding starts at the
server, as a small normal vector; the personal model of a client is the one that it would start the next round
with.

Shapes: C classes, M clients, e width of an embedding, B images, N gated positions, n samples, d features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import cos, pi
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import model_validator
from torch import nn

from raysim.core.config import knob
from raysim.core.errors import UserError
from raysim.core.types import Batch, ClientResult, ServerState, Signature, Tensors, Update, nbytes
from raysim.methods import signatures
from raysim.methods.base import Metrics
from raysim.methods.networks import rectification
from raysim.methods.networks.base import Model, NetworkMethod, at_once
from raysim.methods.networks.personal import kept, merge, own
from raysim.nn.cka import linear_cka
from raysim.nn.gate import GateConfig, gumbel
from raysim.nn.networks import Network

PROGRESS, CR, ACTIVATIONS, CONTEXTS = "server/progress", "server/cr", "server/activations/", "server/contexts"
MINE, OTHERS = "context/mine", "context/others"  # the client's embedding [1, e] and the others' [M - 1, e]
FIRST = "fau/first"  # the first divergence that a client measured, for its autoscaler; 0 before
LEAST_SAMPLES = 4  # debiased CKA needs them


class SAFE(NetworkMethod):
    """SAFE, each mechanism with a switch."""

    name: ClassVar[str] = "safe"
    serves: ClassVar[bool] = True
    watched: ClassVar[Mapping[str, str]] = signatures.watched(
        "cr_inverse", "cr_erratic", "d_cka_zero", "d_cka_one", "mask_empty", "mask_full"
    )

    cro: bool = knob(True, "class rectification (CRO)", basis="paper")
    fau: bool = knob(True, "feature alignment update (FAU): EMA of own and incoming weights", basis="paper")
    ace: bool = knob(True, "context enhancement (ACE): the gate", basis="paper")

    estimator: Literal["proportion", "composition", "ratio"] = knob(
        "proportion",
        "CRO: how gradients become class ratios",
        basis="guess",
        search="{proportion,composition,ratio}",
        source="composition: CUCB; ratio: Wang et al., AAAI 2021",
    )
    p: float = knob(
        1.0,
        "CRO: exponent of the gradient norms; 0 = all classes alike",
        basis="guess",
        search="{1,2}",
        ge=0,
        le=4,
    )
    scope: rectification.Scope = knob(
        "head",
        "CRO: gradients of the last layer, of the class's row of it, or of all weights",
        basis="guess",
        search="{head,row,all}",
    )
    m: float = knob(
        0.5,
        "CRO: share of the old ratios that stays",
        basis="guess",
        search="U [0, 0.9]",
        ge=0,
        lt=1,
    )
    cr_min: float = knob(
        0.2,
        "CRO: smallest ratio before they are brought to a mean of 1",
        basis="guess",
        gt=0,
        le=1,
    )
    cr_max: float = knob(5.0, "CRO: largest ratio", basis="guess", search="{3,5,10}", ge=1, le=1000)

    kappa: float = knob(
        1.0,
        "FAU: strength of the EMA; 0 = the incoming weights",
        basis="guess",
        search="log-U [0.5, 5]",
        ge=0,
        le=100,
    )
    debiased: bool = knob(True, "FAU: unbiased CKA; the plain one nears 1 at few samples", basis="computed")
    autoscale: float | None = knob(
        None,
        "FAU: a client's first divergence is scaled to this; null: as measured",
        basis="relative",
        source="FedEMA's autoscaler, 0.7 (its text) or 0.8 (its code)",
        search="null, {0.7,0.8}",
        gt=0,
        le=1,
    )
    reference: Literal["own", "all"] = knob(
        "own",
        "FAU: compare with the server's network of the client's architecture, or with those of all "
        "side by side",
        basis="guess",
        search="{own,all} where architectures differ",
    )

    dmr: Literal["cosine", "linear", "constant", "reversed"] = knob(
        "cosine",
        "DMR: beta over rounds; constant = a fixed EMA",
        basis="paper",
        search="{cosine,linear,constant,reversed}",
    )
    beta_max: float = knob(
        1.0,
        "DMR: largest beta; 0 = always the global network",
        basis="guess",
        search="U [0.2, 1]",
        ge=0,
        le=1,
    )
    warmup: float = knob(
        0.0,
        "DMR: share of the rounds before beta leaves 0",
        basis="guess",
        search="{0,0.1,0.2}",
        ge=0,
        lt=1,
    )
    dmr_on_cro: bool = knob(
        False,
        "DMR: fade class ratios to 1 as beta rises",
        basis="guess",
        search="{false,true}",
    )

    d_e: int = knob(
        128,
        "ACE: width of an embedding",
        basis="guess",
        search="{32,64,128,256,512}",
        ge=4,
        le=4096,
    )
    d: int = knob(
        128,
        "ACE: width of the attention, a multiple of the heads",
        basis="guess",
        search="{32,64,128,256,512}",
        ge=4,
        le=4096,
    )
    heads: int = knob(4, "ACE: heads of the attention", basis="guess", search="{1,4,8}", ge=1, le=64)
    mlp_ratio: float = knob(
        1.0,
        "ACE: hidden width of the MLP over d",
        basis="guess",
        search="{0.5,1,2,4}",
        gt=0,
        le=16,
    )
    gating: Literal["hard", "residual"] = knob(
        "hard",
        "ACE: m F, or F + m F",
        basis="guess",
        search="{hard,residual}",
    )
    open_bias: float = knob(
        1.0,
        "ACE: first bias towards open; 0 = half open",
        basis="guess",
        search="{0,1,2}",
        ge=-10,
        le=10,
    )
    tau_g: float = knob(
        1.0,
        "ACE: Gumbel temperature at the start",
        basis="guess",
        search="log-U [0.1, 5]",
        gt=0,
        le=100,
    )
    tau_g_end: float = knob(
        0.5,
        "ACE: temperature at the end, where it is annealed",
        basis="guess",
        search="log-U [0.1, 5]",
        gt=0,
        le=100,
    )
    tau_g_schedule: Literal["constant", "anneal"] = knob(
        "anneal",
        "ACE: temperature over rounds; anneal is linear",
        basis="guess",
        source="DynamicViT keeps 1",
        search="{constant,anneal}",
    )
    gate_rate: float = knob(
        0.1,
        "ACE: learning rate of the gate over that of the rest (with SGD); 1 often closes it on whole classes",
        basis="computed",
        source="toy with one informative position of 16",
        search="{0.1,0.3,1}",
        gt=0,
        le=10,
    )
    w_mask: float = knob(
        0.0,
        "ACE: weight of (mean(m) - rho)^2; 0 = off",
        basis="relative",
        source="DynamicViT",
        search="0, log-U [0.01, 2]",
        ge=0,
        le=100,
    )
    rho: float = knob(
        0.7,
        "ACE: wanted share of open positions",
        basis="relative",
        source="DynamicViT",
        search="U [0.5, 0.9]",
        gt=0,
        lt=1,
    )

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        """What belongs together."""
        if self.d % self.heads:
            raise ValueError(f"d = {self.d} is not allowed: it should be a multiple of heads = {self.heads}")
        return self

    @property
    def needs_samples(self) -> bool:
        """For CRO's gradients and FAU's features."""
        return self.cro or self.fau

    @property
    def keeps(self) -> bool:
        """The client's own network, for FAU."""
        return self.fau or super().keeps

    @property
    def sends_aside(self) -> bool:
        """The client's embedding, for ACE."""
        return self.ace

    @property
    def gate(self) -> GateConfig | None:
        """ACE's sizes."""
        return (
            GateConfig(
                self.d_e, self.d, self.heads, self.mlp_ratio, self.gating == "residual", self.open_bias
            )
            if self.ace
            else None
        )

    def beta(self, progress: float) -> float:
        """DMR: the local factor in [0, beta_max] after a share `progress` of the rounds."""
        if progress < self.warmup:
            return 0.0
        return self.beta_max * self._shape((progress - self.warmup) / (1 - self.warmup))

    def _shape(self, s: float) -> float:
        cosine = 0.5 * (1 - cos(pi * s))
        return {"cosine": cosine, "linear": s, "constant": 1.0, "reversed": 1 - cosine}[self.dmr]

    def temperature(self, progress: float) -> float:
        """ACE: tau_g after a share `progress` of the rounds."""
        return (
            self.tau_g
            if self.tau_g_schedule == "constant"
            else self.tau_g + (self.tau_g_end - self.tau_g) * progress
        )

    def init_server(self, model: Model, clients: int, rng: torch.Generator) -> Tensors:
        """Class ratios of 1, and an embedding for every client, N(0, 0.02^2) [M, e]."""
        extra = {PROGRESS: torch.zeros(())}
        if self.cro:
            extra[CR] = torch.ones(len(model.context.classes))
        if self.ace:
            extra[CONTEXTS] = 0.02 * torch.randn(clients, self.d_e, generator=rng)
        return extra

    def setup(self, model: Model, samples: Batch) -> int:
        """FAU: every client gets the samples' pixels once."""
        if not self.fau:
            return 0
        if samples.y.shape[1] < LEAST_SAMPLES:
            raise UserError(
                f"task.ses: {samples.y.shape[1]} samples are too few for CKA; at least {LEAST_SAMPLES} in "
                "all are needed"
            )
        return nbytes({"samples": samples.x})

    def server_step(self, model: Model, state: ServerState, samples: Batch, rounds: int) -> ServerState:
        """Class ratios and activations of the new global network on the server's samples."""
        extra = {**state.extra, PROGRESS: torch.tensor(state.round / max(rounds, 1))}
        ratios = []
        for name, row in zip(self.network.split("+"), self.server_models(state), strict=True):
            row = {key: tensor.to(model.context.device) for key, tensor in row.items()}
            if self.fau:
                extra[ACTIVATIONS + name] = self._features(model, row, samples)
            if self.cro and state.round > 0:
                ratios.append(self._ratios(model, row, samples).cpu())
        if ratios:
            now = rectification.rectified(torch.stack(ratios).mean(0), self.cr_min, self.cr_max)
            extra[CR] = self.m * state.extra[CR] + (1 - self.m) * now
        return ServerState(state.round, state.shared, extra)

    def _features(self, model: Model, row: Tensors, samples: Batch) -> torch.Tensor:
        """[n, d]."""
        return torch.cat([output.features for output, _ in self.outputs(model, row, samples)])

    def _ratios(self, model: Model, row: Tensors, samples: Batch) -> torch.Tensor:
        """CR [C] before clipping."""
        if self.scope == "all" and self.estimator != "ratio":
            fixed = self.buffers(model)
            trained = {
                name: tensor.detach().requires_grad_() for name, tensor in row.items() if name not in fixed
            }
            x, y = samples.x[0], samples.y[0]
            norm_C = rectification.whole_norms(
                lambda part: self.forward(model, {**row, **trained}, part).logits,
                x,
                y,
                list(trained.values()),
                len(model.context.classes),
                at_once(x),
            )
        else:
            gradients = rectification.head_gradients(self.outputs(model, row, samples), model.weights(row)[1])
            if self.estimator == "ratio":
                return rectification.ratio(gradients)
            norm_C = rectification.head_norms(gradients, self.scope)
        return (
            rectification.proportion(norm_C, self.p)
            if self.estimator == "proportion"
            else rectification.composition(norm_C, 1.0)
        )

    def class_ratios(self, state: ServerState) -> torch.Tensor | None:
        """CR [C] as it is sent: faded to 1 as beta's shape rises where DMR acts on CRO."""
        if not self.cro:
            return None
        alpha = 1 - self._shape(float(state.extra[PROGRESS])) if self.dmr_on_cro else 1.0
        return alpha * state.extra[CR] + (1 - alpha)

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """The network, how far the run is, CR, A_g and E."""
        extra = {PROGRESS: state.extra[PROGRESS]}
        ratios = self.class_ratios(state)
        if ratios is not None:
            extra[CR] = ratios
        if self.fau:
            names = [self.architecture(client)] if self.reference == "own" else self.network.split("+")
            extra |= {
                ACTIVATIONS + name: state.extra[ACTIVATIONS + name]
                for name in names
                if ACTIVATIONS + name in state.extra
            }
        if self.ace:
            extra[CONTEXTS] = state.extra[CONTEXTS]
        return {**super().broadcast(state, client), **extra}

    def receive(
        self, model: Model, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """FAU's merge of the client's last network and the incoming one."""
        row, _ = super().receive(model, received, private, client, samples)
        beta = self.beta(float(received[PROGRESS]))
        contexts = self._contexts(received, client)
        measured = {"beta": beta} if self.fau else {}
        mine, first = own(private), float(private.get(FIRST, torch.zeros(())))
        if self.fau and mine is not None and samples is not None:
            mine = {name: tensor.to(model.context.device) for name, tensor in mine.items()}
            divergence = self._divergence(model, {**mine, **contexts}, received, samples)
            first = first or divergence
            scale = self.autoscale / first if self.autoscale is not None and first > 0 else 1.0
            mu = min(1.0, self.kappa * beta * divergence * scale)
            row = {**merge(mine, row, mu, self.buffers(model)), **self.own_norms(model, mine)}
            measured |= {"d_cka": divergence, "mu": mu}
        memory = {FIRST: torch.tensor(first)} if self.fau and self.autoscale is not None else {}
        return {**row, **contexts, **memory}, measured

    def _contexts(self, received: Tensors, client: int) -> Tensors:
        if not self.ace:
            return {}
        contexts_Me = received[CONTEXTS]
        return {
            MINE: contexts_Me[client : client + 1].clone(),
            OTHERS: torch.cat([contexts_Me[:client], contexts_Me[client + 1 :]]),
        }

    def _divergence(self, model: Model, mine: Tensors, received: Tensors, samples: Batch) -> float:
        """D in [0, 1]: 1 - CKA of the client's own features and the server's, on the same samples."""
        theirs = [
            tensor.to(model.context.device)
            for name, tensor in received.items()
            if name.startswith(ACTIVATIONS)
        ]
        if len(theirs) > 1:  # side by side, none louder than another: the sum of their Gram matrices
            theirs = [
                (part - part.mean(0)) / (part - part.mean(0)).norm().clamp_min(1e-12) for part in theirs
            ]
        return 1.0 - float(
            linear_cka(self._features(model, mine, samples), torch.cat(theirs, dim=1), self.debiased)
        )

    def buffers(self, model: Model) -> frozenset[str]:
        """BatchNorm's statistics, the other clients' embeddings, the autoscaler's memory."""
        return super().buffers(model) | {OTHERS, FIRST}

    def context_of(
        self, module: nn.Module, row: Tensors, x: torch.Tensor, rng: torch.Generator | None, tau_g: float
    ) -> tuple[Any, ...]:
        """All embeddings, noise in training, and the temperature."""
        if not isinstance(module, Network) or module.gate is None:
            return ()
        contexts_Me = torch.cat([row[name] for name in (MINE, OTHERS) if name in row])
        if rng is None:
            return contexts_Me, None, tau_g
        return contexts_Me, gumbel((len(x), module.positions(x.shape[1]), 2), rng).to(x.device), tau_g

    def loss(
        self, model: Model, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy weighted by CR, and the mask's term where it is wanted."""
        row = {name: tensor[0] for name, tensor in params.items()}
        tau_g = self.temperature(float(received[PROGRESS]))
        output = self.forward(model, row, batch.x[0], batch.rngs[0], tau_g)
        loss_K = self.cross_entropy(output.logits, batch.y[0], self.class_weights(received))
        metrics = {"loss_ce": loss_K.detach()}
        if output.mask is None or output.soft is None:
            return loss_K, metrics
        open_B = output.mask.flatten(1).mean(1)
        term_K = (open_B.mean() - self.rho).square()[None]
        decided_BN = (
            output.soft.detach().flatten(1) >= 0.5
        )  # without noise, as in evaluation: noise hides a gate that is stuck
        metrics |= {
            "mask_ratio": open_B.detach().mean()[None],
            "mask_empty": (~decided_BN).all(1).float().mean()[None],
            "mask_full": decided_BN.all(1).float().mean()[None],
            "tau_g": torch.full_like(loss_K, tau_g).detach(),
        }
        return (
            (loss_K, metrics)
            if not self.w_mask
            else (loss_K + self.w_mask * term_K, {**metrics, "loss_mask": term_K.detach()})
        )

    def adjust(self, params: Tensors, received: Tensors) -> None:
        """Smaller steps for the gate."""
        for name, tensor in params.items():
            if "/gate." in name and tensor.grad is not None:
                tensor.grad.mul_(self.gate_rate)

    def class_weights(self, received: Tensors) -> torch.Tensor | None:
        """CR as it came."""
        return received.get(CR)

    def finish(
        self, model: Model, row: Tensors, received: Tensors, private: Tensors, steps: int, rate: float
    ) -> ClientResult:
        """The network and the embedding go up; the network also stays, for FAU."""
        sent = super().finish(model, row, received, private, steps, rate)
        stays = kept(sent.up) if self.fau else dict(sent.private)
        if FIRST in row:
            stays[FIRST] = row[FIRST]
        return ClientResult(sent.up, {MINE: row[MINE]} if self.ace else {}, stays)

    def aggregate(self, state: ServerState, updates: Iterable[Update]) -> ServerState:
        """The mean network; every client's embedding takes its row of the matrix."""
        if not self.ace:
            return super().aggregate(state, updates)
        contexts_Me = state.extra[CONTEXTS].clone()

        def passing() -> Iterator[Update]:
            for update in updates:
                for client, aside in zip(update.clients, update.aside, strict=True):
                    contexts_Me[client] = aside[MINE][0]
                yield update

        after = super().aggregate(state, passing())
        return replace(after, extra={**after.extra, CONTEXTS: contexts_Me})

    def server_models(self, state: ServerState) -> list[Tensors]:
        """The networks with all embeddings."""
        contexts = {OTHERS: state.extra[CONTEXTS]} if self.ace else {}
        return [{**row, **contexts} for row in super().server_models(state)]

    def gallery(self, model: Model, row: Tensors, x: torch.Tensor) -> Tensors:
        """ACE's masks [B, h, w], at the temperature of the end."""
        if not self.ace:
            return {}
        output = self.forward(model, row, x, None, self.temperature(1.0))
        assert output.soft is not None and output.mask is not None
        return {"soft": output.soft[:, 0], "hard": output.mask[:, 0]}

    def failures(self, rounds: Sequence[Mapping[str, Any]]) -> list[Signature]:
        """CR that ranks the wrong way or jumps; a divergence, or masks, stuck at an end."""
        found = signatures.class_ratios(rounds) if self.cro else []
        found += signatures.divergence(rounds) if self.fau else []
        return found + (signatures.masks(rounds) if self.ace else [])
