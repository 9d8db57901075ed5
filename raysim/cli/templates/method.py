"""TITLE: a method of my own for raysim.

    raysim check FILE                                      does it keep the contract?
    raysim run method=NAME --plugin FILE                   one run
    raysim new space my_space                              what a sweep would vary (docs/plugins.md)

This one trains a linear classifier on frozen image features; a server averages it. Change what you need: the
hooks that are not here are those of FedAvg (`raysim.Method` lists them).

Shapes: K clients that train stacked, B images of a batch, N images, C classes, d size of an image feature.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from raysim import METHODS, Method, knob
from raysim.core.types import Batch, Context, Scope, Tensors
from raysim.methods.base import Metrics, cross_entropy


@METHODS.add
class CLASS(Method):
    """TITLE."""

    name: ClassVar[str] = "NAME"  # the word on the command line: method=NAME

    # A hyperparameter: its default, what it is, where the default comes from, and its range. It is set by
    # method.decay=0.1, and a space can search it.
    decay: float = knob(
        0.0,
        "weight of the squared length of the classifier in the loss",
        basis="guess",
        search="0 to 0.1",
        ge=0,
    )

    def init_shared(self, model: Context, rng: torch.Generator) -> Tensors:
        """Return the first tensors that the server averages: weights [C, d] and biases [C]."""
        classes, size = len(model.classes), model.backbone.embed_dim
        return {"weight": 0.01 * torch.randn(classes, size, generator=rng), "bias": torch.zeros(classes)}

    def loss(
        self, model: Context, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Return each client's loss [K] and what is written to the tables beside it, each [K].

        `params` has a leading axis of clients: weight [K, C, d]. `batch.x` is [K, B, d].
        """
        logits_KBC = torch.einsum("kbd,kcd->kbc", batch.x, params["weight"]) + params["bias"][:, None]
        error_K = cross_entropy(logits_KBC, batch)
        length_K = params["weight"].square().sum((1, 2))
        return error_K + self.decay * length_K, {"loss_ce": error_K.detach()}

    def predict(self, model: Context, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor | None:
        """Return the logits [K, N, C] of images x [N, d]; shared and personal models are one here."""
        return torch.einsum("nd,kcd->knc", x, params["weight"]) + params["bias"][:, None]
