"""FAU, SAFE's feature alignment update: features that diverge more keep more of the client's own network.

    D  = 1 - CKA(A_i, A_g)
    mu = clip(kappa beta(t) D, 0, 1);    theta_i <- mu theta_i + (1 - mu) theta_g

A_i and A_g are features of the server's samples by the client's and by the server's network.

Filled in: D is measured at the client, by its own last network on the samples that it was sent once;
BatchNorm's statistics are taken from the server in the merge; the first round merges nothing; the personal
model of a client is the one with which it would start the next round.

Shapes: n samples, d features.
"""

from __future__ import annotations

from typing import Literal

import torch

from raysim.core.config import knob
from raysim.core.errors import UserError
from raysim.core.types import Batch, Tensors
from raysim.methods.networks import passes
from raysim.methods.networks.base import NetworkMethod
from raysim.methods.networks.model import NetworkModel
from raysim.nn.cka import linear_cka

ACTIVATIONS = "server/activations/"  # before an architecture: A_g [n, d] of the server's network
FIRST_DIVERGENCE = "fau/first"  # the first D that a client measured, for its autoscaler; 0 before
LEAST_SAMPLES = 4  # debiased CKA needs them


class FeatureAlignment(NetworkMethod):
    """The weight of a client's own network in its merge with the server's."""

    fau: bool = knob(True, "feature alignment update (FAU): EMA of own and incoming weights", basis="paper")
    kappa: float = knob(
        1.0,
        "FAU: strength of the EMA; 0 = the incoming weights",
        basis="guess",
        search="log-U [0.5, 5]",
        ge=0,
        le=100,
        used_when=("fau=true", lambda self: self.fau),
    )
    debiased: bool = knob(
        True,
        "FAU: unbiased CKA; the plain one nears 1 at few samples",
        basis="computed",
        used_when=("fau=true", lambda self: self.fau),
    )
    autoscale: float | None = knob(
        None,
        "FAU: a client's first divergence is scaled to this; null: as measured",
        basis="relative",
        source="FedEMA's autoscaler, 0.7 (its text) or 0.8 (its code)",
        search="null, {0.7,0.8}",
        gt=0,
        le=1,
        used_when=("fau=true", lambda self: self.fau),
    )
    reference: Literal["own", "all"] = knob(
        "own",
        "FAU: compare with the server's network of the client's architecture, or with those of all "
        "side by side",
        basis="guess",
        search="{own,all} where architectures differ",
        used_when=(
            "fau=true and several architectures",
            lambda self: self.fau and len(self.architectures) > 1,
        ),
    )

    def check_samples(self, samples: Batch) -> None:
        """Check that CKA can be computed on the server's samples.

        Raises:
            UserError: they are too few.
        """
        count = samples.y.shape[1]
        if count < LEAST_SAMPLES:
            raise UserError(
                f"task.ses: {count} samples are too few for CKA; at least {LEAST_SAMPLES} in all are needed"
            )

    def features(self, model: NetworkModel, row: Tensors, samples: Batch) -> torch.Tensor:
        """Return a network's features [n, d] of the server's samples."""
        return passes.features(model, row, samples.x[0])

    def compared_architectures(self, architecture: str) -> tuple[str, ...]:
        """Return the architectures whose activations a client compares its own with."""
        return (architecture,) if self.reference == "own" else self.architectures

    def merge_weight(self, beta: float, divergence: float, first_divergence: float) -> float:
        """Return mu = clip(kappa beta D, 0, 1); with the autoscaler D is scaled by autoscale / (first D)."""
        scale = 1.0
        if self.autoscale is not None and first_divergence > 0:
            scale = self.autoscale / first_divergence
        return min(1.0, self.kappa * beta * divergence * scale)

    def divergence(self, model: NetworkModel, row: Tensors, received: Tensors, samples: Batch) -> float:
        """Return D in [0, 1]: 1 - CKA of a client's features and the server's, on the same samples."""
        references = [
            tensor.to(model.context.device)
            for name, tensor in received.items()
            if name.startswith(ACTIVATIONS)
        ]
        if len(references) > 1:  # side by side at equal norm: CKA then sees the sum of their Gram matrices
            centred = [part - part.mean(0) for part in references]
            references = [part / part.norm().clamp_min(1e-12) for part in centred]
        features = self.features(model, row, samples)
        return 1.0 - float(linear_cka(features, torch.cat(references, dim=1), self.debiased))
