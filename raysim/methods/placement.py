"""Place of the training, a choice beside the method: each client alone, or all images in one place.

A class `Local(Alone, PromptFL)` is PromptFL without a server, and `Centralized(Pooled, PromptFL)` is PromptFL
without clients. Both bound what a federation can reach: alone is what a client has without it, pooled is what
it gives up by keeping its images to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch

from raysim.core.types import Batch, ClientResult, Scope, ServerState, Tensors
from raysim.methods.base import Method
from raysim.methods.traits import Traits


class Pooled(Method):
    """Training in one place: one pseudo-client holds all images. Put it before the method's class."""

    @property
    def traits(self) -> Traits:
        """The method's traits, pooled."""
        return replace(super().traits, placement="pooled")


class Alone(Method):
    """Training at each client by itself: what a server would average is private, and nothing is sent.

    Put it before the method's class. The method's `loss` may read `params` only, because `received` is empty.

    Class attributes:
        private_names: The names under which a client keeps tensors that the method calls shared; other
            tensors keep their names.
    """

    private_names: ClassVar[Mapping[str, str]] = {}

    @property
    def traits(self) -> Traits:
        """The method's traits, with clients that train alone."""
        return replace(super().traits, placement="alone", needs_updates=False, sends_aside=False)

    def init_shared(self, model: Any, rng: torch.Generator) -> Tensors:
        """Return nothing: no tensor is shared."""
        return {}

    def init_private(self, model: Any, rng: torch.Generator, client: int) -> Tensors:
        """Return what a server would send to this client first, and the method's own private tensors."""
        first = ServerState(0, super().init_shared(model, rng))
        received = self._private(super().broadcast(first, client))
        return {**received, **super().init_private(model, rng, client)}

    def receive(
        self, model: Any, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """Return what the client kept."""
        method_names = {private_name: name for name, private_name in self.private_names.items()}
        return {method_names.get(name, name): tensor for name, tensor in private.items()}, {}

    def finish(
        self, model: Any, row: Tensors, received: Tensors, private: Tensors, steps: int
    ) -> ClientResult:
        """Keep everything."""
        return ClientResult({}, {}, self._private(row))

    def server_models(self, state: ServerState) -> list[Tensors]:
        """Return no model: the server has none."""
        return []

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor | None:
        """Return the logits of the clients' models; None for the shared scope."""
        return None if scope == "shared" else super().predict(model, params, x, scope)

    def _private(self, row: Tensors) -> Tensors:
        return {self.private_names.get(name, name): tensor for name, tensor in row.items()}
