"""SAFE: a network whose loss, merge and attention adjust to class imbalance and to the clients' divergence.

Reference: Li, Wu, Li, Fan, Zhang, Li, Ge, Zhao, "SAFE: Self-Adjustment Federated Learning Framework for
    Remote Sensing Collaborative Perception", arXiv 2504.03700.

Stated by the paper (its abstract and summary) are four mechanisms and their order in a round:
    CRO  class ratios from the server's gradients on its own samples (SES) weight the clients' next loss
    FAU  a client merges its network with the server's by how far their features of the same samples diverge
    DMR  over the rounds a cosine moves the merge from the server's network to the client's
    ACE  embeddings of all clients attend to feature positions, and a gate opens or closes each position

No equation is public. The forms here are reconstructions from relatives (FedEMA for the merge, DynamicViT for
the gate). Formulas and open choices are in the files of the mechanisms (`cro`, `fau`, `dmr`, `ace`). A run is
"consistent with the description", never "the paper's configuration".

Shapes: C classes, M clients, e width of an embedding, B images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from pydantic import model_validator

from raysim.core.types import Batch, ClientResult, ServerState, Signature, Tensors, Update
from raysim.methods import signatures
from raysim.methods.base import Metrics
from raysim.methods.diagnosis import Diagnosis
from raysim.methods.networks.model import NetworkModel
from raysim.methods.networks.safe.ace import (
    CLIENT_CONTEXT,
    CONTEXTS,
    OTHER_CONTEXTS,
    ContextEnhancement,
)
from raysim.methods.networks.safe.cro import ClassRectification
from raysim.methods.networks.safe.dmr import DynamicModulation
from raysim.methods.networks.safe.fau import ACTIVATIONS, FIRST_DIVERGENCE, FeatureAlignment
from raysim.methods.networks.stored import merge, store_network, stored_network
from raysim.methods.traits import Traits
from raysim.nn.networks import Output

PROGRESS = "server/progress"  # share of finished rounds
CLASS_RATIOS = "server/cr"  # CR [C]


class SAFE(ClassRectification, FeatureAlignment, DynamicModulation, ContextEnhancement):
    """SAFE; `cro`, `fau` and `ace` switch its mechanisms on and off, `dmr` chooses the schedule."""

    name: ClassVar[str] = "safe"

    @model_validator(mode="after")
    def check_fading(self) -> Self:
        """Check that class ratios are not faded to 1 from the first round to the last."""
        if self.cro and self.dmr_on_cro and self.dmr == "constant" and self.beta_max == 1:
            raise ValueError(
                "beta_max = 1 is not allowed with dmr = 'constant' and dmr_on_cro = true: beta is then "
                "always 1, and all class ratios with it; beta_max should be below 1, or cro = false"
            )
        return self

    @property
    def traits(self) -> Traits:
        """CRO and FAU need samples, FAU sends them and keeps networks, ACE sends embeddings."""
        traits = super().traits
        return replace(
            traits,
            needs_samples=self.cro or self.fau,
            sends_samples=self.fau,
            sends_aside=self.ace,
            personal=traits.personal or self.fau,
        )

    @property
    def has_ratios(self) -> bool:
        """Whether there are class ratios to fade."""
        return self.cro

    @property
    def modulates(self) -> bool:
        """Whether DMR has a merge or class ratios to modulate."""
        return self.fau or (self.cro and self.dmr_on_cro)

    @property
    def diagnosis(self) -> SAFEDiagnosis:
        """Diagnosis of the mechanisms."""
        return SAFEDiagnosis(self)

    def init_server(
        self, model: NetworkModel, clients: int, trainers: Sequence[int], rng: torch.Generator
    ) -> Tensors:
        """Return class ratios of 1, and an embedding N(0, 0.02^2) for every client, [M, e]."""
        extra = {PROGRESS: torch.zeros(())}
        if self.cro:
            extra[CLASS_RATIOS] = torch.ones(len(model.context.classes))
        if self.ace:
            extra[CONTEXTS] = 0.02 * torch.randn(clients, self.d_e, generator=rng)
        return extra

    def buffers(self, model: NetworkModel) -> frozenset[str]:
        """Return the names of BatchNorm's statistics, the other clients' embeddings, the first divergence."""
        return super().buffers(model) | {OTHER_CONTEXTS, FIRST_DIVERGENCE}

    def server_step(
        self, model: NetworkModel, state: ServerState, samples: Batch, rounds: int
    ) -> ServerState:
        """Return the state with class ratios and activations of the new networks on the server's samples."""
        if self.fau:
            self.check_samples(samples)
        extra = {**state.extra, PROGRESS: torch.tensor(state.round / max(rounds, 1))}
        estimates = []
        models = self.server_models(state) if self.traits.needs_samples else []
        for architecture, row in zip(self.architectures if models else (), models, strict=True):
            row = {name: tensor.to(model.context.device) for name, tensor in row.items()}
            features: list[torch.Tensor] = []
            if self.cro and state.round > 0:
                outputs = self._noted(self.sample_outputs(model, row, samples), features)
                estimates.append(self.estimate(model, row, samples, outputs).cpu())
            if self.fau:
                known = torch.cat(features) if features else self.features(model, row, samples)
                extra[ACTIVATIONS + architecture] = known
        if estimates:
            extra[CLASS_RATIOS] = self.next_ratios(state.extra[CLASS_RATIOS], estimates)
        return ServerState(state.round, state.shared, extra)

    @staticmethod
    def _noted(
        outputs: Iterable[tuple[Output, torch.Tensor]], features: list[torch.Tensor]
    ) -> Iterator[tuple[Output, torch.Tensor]]:
        """Yield outputs for CRO, and add their features to a list for FAU: the network runs once for both."""
        for output, y in outputs:
            features.append(output.features)
            yield output, y

    def sent_ratios(self, state: ServerState) -> torch.Tensor:
        """Return CR [C] as it is sent: faded by DMR's beta, where DMR acts on CRO."""
        return self.fade(state.extra[CLASS_RATIOS], float(state.extra[PROGRESS]))

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """Return the network, the progress of the run, CR, the activations A_g and all embeddings."""
        extra = {PROGRESS: state.extra[PROGRESS]}
        if self.cro:
            extra[CLASS_RATIOS] = self.sent_ratios(state)
        if self.fau:
            names = [ACTIVATIONS + name for name in self.compared_architectures(self.architecture(client))]
            extra |= {name: state.extra[name] for name in names if name in state.extra}
        if self.ace:
            extra[CONTEXTS] = state.extra[CONTEXTS]
        return {**super().broadcast(state, client), **extra}

    def receive(
        self, model: NetworkModel, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """Return FAU's merge of the client's last network and the received one, and the embeddings."""
        row, _ = super().receive(model, received, private, client, samples)
        contexts = self.client_contexts(received[CONTEXTS], client) if self.ace else {}
        if not self.fau:
            return {**row, **contexts}, {}
        metrics = {"beta": self.beta(float(received[PROGRESS]))}
        network = stored_network(private)
        first_divergence = float(private.get(FIRST_DIVERGENCE, torch.zeros(())))  # 0: not measured yet
        if network is not None and samples is not None:
            network = {name: tensor.to(model.context.device) for name, tensor in network.items()}
            divergence = self.divergence(model, {**network, **contexts}, received, samples)
            first_divergence = first_divergence or divergence
            mu = self.merge_weight(metrics["beta"], divergence, first_divergence)
            row = merge(network, row, mu, self.buffers(model))
            metrics |= {"d_cka": divergence, "mu": mu}
        autoscaler = {} if self.autoscale is None else {FIRST_DIVERGENCE: torch.tensor(first_divergence)}
        return {**row, **contexts, **autoscaler}, metrics

    def loss(
        self, model: NetworkModel, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Return the cross-entropy weighted by CR, plus w_mask times the mask term, [K]."""
        tau_g = self.temperature(float(received[PROGRESS]))
        outputs = list(self.outputs(model, params, batch, tau_g))
        loss_K = self.cross_entropies(outputs, batch, received)
        metrics = {"loss_ce": loss_K.detach()}
        if not self.ace:
            return loss_K, metrics
        terms, mask_metrics = zip(*(self.mask_term(output, tau_g) for output in outputs), strict=True)
        term_K = torch.cat(terms)
        metrics |= {name: torch.cat([each[name] for each in mask_metrics]) for name in mask_metrics[0]}
        if not self.w_mask:
            return loss_K, metrics
        return loss_K + self.w_mask * term_K, {**metrics, "loss_mask": term_K.detach()}

    def class_weights(self, received: Tensors) -> torch.Tensor | None:
        """Return CR [C] as it was received; None without CRO."""
        return received.get(CLASS_RATIOS)

    def finish(
        self, model: NetworkModel, row: Tensors, received: Tensors, private: Tensors, steps: int
    ) -> ClientResult:
        """Send the network and the embedding; keep a copy of the network for FAU."""
        result = super().finish(model, row, received, private, steps)
        stored = {**result.private, **(store_network(result.up) if self.fau else {})}
        if FIRST_DIVERGENCE in row:
            stored[FIRST_DIVERGENCE] = row[FIRST_DIVERGENCE]
        return ClientResult(result.up, {CLIENT_CONTEXT: row[CLIENT_CONTEXT]} if self.ace else {}, stored)

    def aggregate(self, state: ServerState, updates: Iterable[Update]) -> ServerState:
        """Return the mean network; every participant's embedding replaces its row of the matrix."""
        if not self.ace:
            return super().aggregate(state, updates)
        contexts_Me = state.extra[CONTEXTS].clone()

        def with_embeddings_stored() -> Iterator[Update]:
            for update in updates:
                for client, aside in zip(update.clients, update.aside, strict=True):
                    contexts_Me[client] = aside[CLIENT_CONTEXT][0]
                yield update

        after = super().aggregate(state, with_embeddings_stored())
        return replace(after, extra={**after.extra, CONTEXTS: contexts_Me})

    def server_models(self, state: ServerState) -> list[Tensors]:
        """Return the networks, each with all embeddings."""
        contexts = {OTHER_CONTEXTS: state.extra[CONTEXTS]} if self.ace else {}
        return [{**row, **contexts} for row in super().server_models(state)]


@dataclass(frozen=True)
class SAFEDiagnosis(Diagnosis):
    """Diagnosis of SAFE's mechanisms: class ratios, masks and failures."""

    method: SAFE

    @property
    def watched(self) -> Mapping[str, str]:
        """The failures of the mechanisms that are on."""
        ratios = ("cr_inverse", "cr_erratic") if self.method.cro else ()
        divergence = ("d_cka_zero", "d_cka_one") if self.method.fau else ()
        masks = ("mask_empty", "mask_full") if self.method.ace else ()
        return signatures.meanings(*ratios, *divergence, *masks)

    def class_ratios(self, state: ServerState) -> torch.Tensor | None:
        """Return CR [C] as it is sent next; None without CRO."""
        return self.method.sent_ratios(state) if self.method.cro else None

    def gallery(self, model: NetworkModel, row: Tensors, x: torch.Tensor) -> Tensors:
        """Return ACE's masks [B, h, w], at the temperature of the last round; nothing without ACE."""
        if not self.method.ace:
            return {}
        output = self.method.forward(model, row, x, None, self.method.temperature(1.0))
        assert output.soft is not None and output.mask is not None
        return {"soft": output.soft[:, 0], "hard": output.mask[:, 0]}

    def failures(self, rounds: Sequence[Mapping[str, Any]]) -> list[Signature]:
        """Return the signatures of wrong or erratic ratios, and of a stuck divergence or stuck masks."""
        failures = signatures.class_ratios(rounds) if self.method.cro else []
        failures += signatures.divergence(rounds) if self.method.fau else []
        return failures + (signatures.masks(rounds) if self.method.ace else [])
