"""FLOPs of a training step of any method, for K clients and B images.

Matrix products are linear in the number of clients and affine in the number of images. So a step of one
client is counted twice (`nn.flops`), with one image and with two, and every other size follows. What takes
iterations (optimal transport) reports its own FLOPs as the metric `flops_ot`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

from raysim.core import warm
from raysim.core.types import Batch, Tensors
from raysim.methods.base import Method
from raysim.nn.flops import count_flops
from raysim.nn.rows import stack


class StepFlops(NamedTuple):
    """FLOPs of one client's step: `fixed + per_image * B`."""

    fixed: int
    per_image: int

    @classmethod
    def counted(cls, count: Callable[[int], int]) -> Self:
        """From the counts of a step of one client with one image and with two.

        Args:
            count: Number of images -> FLOPs.
        """
        one, two = count(1), count(2)
        return cls(2 * one - two, two - one)

    def of(self, clients: int, images: int) -> int:
        """FLOPs of a step of K clients with B images each, padding included."""
        return clients * (self.fixed + self.per_image * images)


# by task, method, number of clients and architecture; seeds do not matter
STEPS = warm.cache("FLOPs of a step", maxsize=256)


def count_step(method: Method, model: Any, rows: Sequence[Tensors], received: Tensors, batch: Batch) -> int:
    """FLOPs of loss and gradients of one step; the rows stay as they are.

    Args:
        method: The method whose step it is.
        model: What its `build` returned.
        rows: The clients' rows, K of them.
        received: What came down to them.
        batch: K clients' images.
    """
    buffers = method.buffers(model)
    params = {
        name: tensor.requires_grad_(name not in buffers)
        for name, tensor in stack(rows, batch.y.device).items()
    }
    return count_flops(lambda: method.loss(model, params, received, batch)[0].sum().backward())
