"""FLOPs of tensor code: one closed formula for each kind of matrix product that is executed.

A multiply-add is two FLOPs. Matrix products, convolutions and attention count; sums, norms and activations
do not. Optimal transport, whose work depends on its data, reports its own FLOPs and is left out here
(`reports_itself`).

The formulas are applied to the operations that PyTorch really executes, forward and backward. So the count is
exact without a formula per layer or per method: frozen weights have no weight gradients, the input of the
first layer has no gradient, several passes count several times, and a new method needs no line about FLOPs.
`torch.utils.flop_counter.FlopCounterMode` works in the same way, but its table depends on PyTorch's version:
2.14 counts the fused attention on CPUs as zero, 2.15 counts it. Here the table is this file, and it knows
the fused attention of every device by the common beginning of its names.

    product of [.., m, k] and [.., k, n]       2 m k n
    convolution                                2 x outputs per channel (transposed: inputs) x weights
    its gradients                              the same again for the input, and for the weight
    attention                                  scores Q K' and values P V
    its gradients                              five products: the scores again, and those of V, P, Q and K

A weight's gradient in a grouped convolution costs what the forward pass costs. PyTorch's counter multiplies
it by the number of groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Result = TypeVar("Result")

FIRST_FACTOR = {
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot"), 0),
    **dict.fromkeys(("addmm", "addmm_activation", "addbmm", "baddbmm", "addmv"), 1),
}  # operation -> position of the left factor among its arguments; the right one follows
ATTENTION = "scaled_dot_product_"  # how the names of all fused kernels begin
PRODUCT = re.compile(
    r"(mm|mv|dot|addr|matmul|linear)(_|$)|conv(_|\d|olution)|attention|transformer|lstm|gru|rnn|cdist|fft"
    r"|linalg_(?!vector_norm)"
)  # names of operations that do more than a few FLOPs per entry

_left_out: ContextVar[bool] = ContextVar("left out of the count", default=False)


@contextmanager
def reports_itself() -> Iterator[None]:
    """Leave the operations inside out of every count, because their caller reports their FLOPs."""
    token = _left_out.set(True)
    try:
        yield
    finally:
        _left_out.reset(token)


class FlopCounter(TorchDispatchMode):
    """Context manager that adds up the FLOPs of all operations executed inside.

    Attributes:
        total: FLOPs so far.
        unknown: Names of executed operations that look like products and have no formula here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.unknown: set[str] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep `__torch_dispatch__` bare: a wrapper would load PyTorch's compiler, for a second."""
        return False

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Execute an operation and count it."""
        kwargs = kwargs or {}
        if _left_out.get():
            return func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::").strip("_")
        with self:  # in inference mode, compound operations arrive whole: their parts are counted
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        result = func(*args, **kwargs)
        flops = _flops(name, args, result)
        if flops is None and PRODUCT.search(name):
            self.unknown.add(name)
        self.total += flops or 0
        return result


def count_flops(call: Callable[[], object]) -> int:
    """FLOPs of a call."""
    return counted(call)[1]


def counted(call: Callable[[], Result]) -> tuple[Result, int]:
    """Return what a call returns, and its FLOPs.

    PyTorch's fused transformer layers, which hide their products, are off meanwhile.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounter() as counter:
            result = call()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return result, counter.total


def _flops(name: str, args: Sequence[Any], result: Any) -> int | None:
    """FLOPs of an operation, or None where this file has no formula."""
    if name in FIRST_FACTOR:
        left, right = args[FIRST_FACTOR[name] :][:2]
        return 2 * left.numel() * (right.shape[-1] if right.dim() > 1 else 1)
    if name == "convolution":
        x, weight, transposed = args[0], args[1], args[6]
        return _convolution(x if transposed else result, weight)
    if name == "convolution_backward":
        gradient, x, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
        return _convolution(x if transposed else gradient, weight) * sum(wanted[:2])
    if name.startswith(ATTENTION):
        backward = "_backward" in name
        query, key, value = args[1:4] if backward else args[:3]
        pairs = prod(query.shape[:-1]) * key.shape[-2]
        scores, values = 2 * pairs * query.shape[-1], 2 * pairs * value.shape[-1]
        return 3 * scores + 2 * values if backward else scores + values
    return None


def _convolution(map_Bchw: Tensor, weight: Tensor) -> int:
    """Every weight meets every position of the map on which the filter is placed."""
    return 2 * len(map_Bchw) * prod(map_Bchw.shape[2:]) * weight.numel()
