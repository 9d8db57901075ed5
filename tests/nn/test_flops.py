"""FLOPs of operations by hand, and of networks against their layers' formulas and PyTorch's own counter."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from raysim.core.types import TaskKind
from raysim.nn.convnets import NETWORKS
from raysim.nn.flops import FlopCounter, count_flops
from raysim.nn.gate import GateConfig
from raysim.nn.networks import Network, initial_weights

GATE = GateConfig(d_e=6, d=16, heads=2)
PRODUCTS: dict[str, tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...], int]] = {
    "mm": (torch.mm, ((2, 3), (3, 5)), 2 * 2 * 3 * 5),
    "bmm": (torch.bmm, ((7, 2, 3), (7, 3, 5)), 7 * 2 * 2 * 3 * 5),
    "mv": (torch.mv, ((2, 3), (3,)), 2 * 2 * 3),
    "dot": (torch.dot, ((3,), (3,)), 2 * 3),
    "linear": (F.linear, ((4, 2, 3), (5, 3)), 2 * 4 * 2 * 3 * 5),
    "einsum": (lambda a, b: torch.einsum("kbd,kcd->kbc", a, b), ((7, 2, 3), (7, 5, 3)), 2 * 7 * 2 * 3 * 5),
    "convolution": (F.conv2d, ((2, 3, 8, 8), (5, 3, 3, 3)), 2 * 2 * 36 * 5 * 27),
    "stride": (lambda x, w: F.conv2d(x, w, stride=2), ((2, 3, 8, 8), (5, 3, 2, 2)), 2 * 2 * 16 * 5 * 12),
    "groups": (lambda x, w: F.conv2d(x, w, groups=4), ((2, 4, 8, 8), (4, 1, 3, 3)), 2 * 2 * 36 * 4 * 9),
    "transposed": (F.conv_transpose2d, ((2, 3, 8, 8), (3, 5, 2, 2)), 2 * 2 * 64 * 3 * 5 * 4),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_and_each_of_its_gradients_cost_the_same(name: str) -> None:
    """A factor without a gradient, as a frozen weight or the first layer's input, costs nothing backward."""
    call, shapes, expected = PRODUCTS[name]
    factors = [torch.randn(shape, requires_grad=True) for shape in shapes]
    frozen = [factor.detach() for factor in factors]
    dots = name in ("mv", "dot")  # their gradients are outer products, elementwise: no sum
    assert count_flops(lambda: call(*frozen)) == expected
    assert count_flops(lambda: call(factors[0], frozen[1]).sum().backward()) == expected * (1 if dots else 2)
    if not dots:
        assert count_flops(lambda: call(frozen[0], factors[1]).sum().backward()) == 2 * expected
        assert count_flops(lambda: call(*factors).sum().backward()) == 3 * expected


def test_what_is_added_to_a_product_costs_nothing() -> None:
    a, b, c = torch.randn(7, 2, 5), torch.randn(7, 2, 3), torch.randn(7, 3, 5)
    assert count_flops(lambda: torch.baddbmm(a, b, c)) == count_flops(lambda: torch.bmm(b, c))
    assert count_flops(lambda: torch.addmm(a[0], b[0], c[0])) == count_flops(lambda: torch.mm(b[0], c[0]))
    assert count_flops(lambda: torch.addmm(a[0], b[0], c[0], out=torch.empty(2, 5))) == 60
    assert count_flops(lambda: a.clone().baddbmm_(b, c)) == 7 * 60


def test_attention_by_its_definition() -> None:
    """7 heads of 4 queries, 5 keys, width 8: Q K' and P V; backward Q K' again, dV, dP, dQ and dK."""
    q, k, v = (torch.randn(1, 7, n, 8, requires_grad=True) for n in (4, 5, 5))
    mask, product = torch.zeros(4, 5), 2 * 7 * 4 * 5 * 8
    with torch.no_grad():
        assert count_flops(lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=mask)) == 2 * product
    both = count_flops(lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=mask).sum().backward())
    assert both == 7 * product


def test_every_fused_attention_of_this_pytorch_is_counted() -> None:
    """The formula reads the first arguments: the kernels of all devices have them in one order."""
    schemas = {s.name: s for s in torch._C._jit_get_all_schemas() if "scaled_dot_product" in s.name}
    assert "aten::_scaled_dot_product_flash_attention_for_cpu_backward" in schemas
    for name, schema in schemas.items():
        first = [argument.name for argument in schema.arguments][: 4 if "backward" in name else 3]
        expected = ["query", "key", "value"]
        assert name.startswith(("aten::_scaled_dot_product_", "aten::scaled_dot_product_")), name
        assert first[-3:] == expected and first[:-3] in ([], ["grad_out"], ["grad_out_"], ["grad"]), name


def test_products_without_a_formula_are_named() -> None:
    for call, name in (
        (lambda: F.bilinear(torch.ones(2, 3), torch.ones(2, 4), torch.ones(5, 3, 4)), "trilinear"),
        (lambda: torch.linalg.qr(torch.ones(3, 3)), "linalg_qr"),
        (lambda: torch.fft.fft(torch.ones(4)), "fft_r2c"),
    ):
        with FlopCounter() as counter:
            call()
        assert counter.unknown == {name}
    with FlopCounter() as counter:
        F.interpolate(torch.ones(1, 1, 2, 2), (4, 4), mode="bilinear").lgamma().norm()
        F.layer_norm(torch.ones(2, 2), (2,)).softmax(-1)
    assert counter.total == 0 and counter.unknown == set()


def test_inference_mode_and_fused_layers_hide_nothing() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    x = torch.randn(3, 4, 8)
    expected = count_flops(lambda: layer(x))
    assert expected == 3 * (2 * 4 * (4 * 64 + 2 * 8 * 16) + 2 * 2 * 4 * 4 * 8)
    layer.eval()
    with torch.inference_mode():
        assert count_flops(lambda: layer(x)) == expected
        assert count_flops(lambda: F.linear(x, torch.ones(5, 8))) == 2 * 12 * 8 * 5
    assert torch.backends.mha.get_fastpath_enabled()


def by_layers(network: Network, call: Callable[[], object]) -> tuple[int, int, int]:
    """FLOPs by the formula of each layer: forward, backward, and what PyTorch's counter adds for groups."""
    forward = backward = groups = 0

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal forward, backward, groups
        assert isinstance(module, nn.Conv2d | nn.Linear)
        [x] = inputs
        spots = prod(output.shape) // module.weight.shape[0]  # images x positions
        product = 2 * spots * module.weight.numel()
        forward += product
        backward += product * (1 + x.requires_grad)
        groups += product * (getattr(module, "groups", 1) - 1)

    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    call()
    for handle in handles:
        handle.remove()
    return forward, backward, groups


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("gate", [None, GATE], ids=["plain", "gate"])
def test_a_network_costs_what_its_layers_cost(name: str, kind: TaskKind, gate: GateConfig | None) -> None:
    network = Network(name, 5, kind=kind, width=8, projection=24, gate=gate)
    values = {
        key: value.requires_grad_("running" not in key)
        for key, value in initial_weights(network, torch.Generator().manual_seed(0)).items()
    }
    x, contexts = torch.randn(2, 3, 33, 33), torch.randn(3, GATE.d_e)

    def forward() -> Tensor:
        return functional_call(network, values, (x, contexts)).logits

    def step() -> None:
        forward().sum().backward()

    expected, gradients, groups = by_layers(network, forward)
    mixing = 2 * 2 * 2 * network.positions(33) * 3 * GATE.d if gate else 0  # the gate's scores and values
    assert count_flops(forward) == expected + mixing
    gradients += 2 * mixing
    assert count_flops(step) == expected + mixing + gradients
    with FlopCounterMode(display=False) as theirs:
        step()
    assert theirs.get_total_flops() == expected + mixing + gradients + groups
