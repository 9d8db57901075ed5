"""Networks: shapes of the outputs, pooling, the gate, the decoder, and standardised pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from raysim.core.types import TaskKind
from raysim.nn.convnets import NETWORKS
from raysim.nn.gate import GateConfig, gumbel
from raysim.nn.networks import Network, initial_weights, standardise

KINDS: tuple[TaskKind, ...] = ("classification", "segmentation")


GATE = GateConfig(d_e=6, d=16, heads=2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 2, size: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, size, size, generator=seeded(seed))


def context(clients: int = 3) -> Tensor:
    return torch.randn(clients, GATE.d_e, generator=seeded(1))


def trained(network: Network) -> set[str]:
    return {name for name, _ in network.named_parameters()}


# ---- shapes


@pytest.mark.parametrize("gate", [None, GATE])
@pytest.mark.parametrize("projection", [None, 24])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs(name, kind, projection, gate):
    size = 65
    network = Network(name, 5, kind=kind, projection=projection, gate=gate).eval()
    with torch.no_grad():
        out = functional_call(network, initial_weights(network, seeded()), (images(2, size), context()))
    channels, positions = network.backbone.channels[-1], network.positions(size)
    assert out.logits.shape == ((2, 5) if kind == "classification" else (2, 5, size, size))
    assert out.features.shape == (2, channels)
    assert out.pooled.dim() == (2 if kind == "classification" else 4)
    if projection or kind == "classification":
        assert out.pooled.shape[1] == (projection or channels)
    if gate is None:
        assert out.mask is None and out.soft is None
    else:
        assert out.mask.shape == out.soft.shape == (2, 1, round(positions**0.5), round(positions**0.5))


@pytest.mark.parametrize("kind", KINDS)
def test_head_and_gate_fit_behind_every_backbone_of_one_projection(kind):
    shapes = []
    for name in ("small_resnet", "small_mobilenet", "cnn", "mobilenet_v3_small"):
        network = Network(name, 4, kind=kind, width=8, projection=24, gate=GATE)
        shapes.append(
            {n: tuple(p.shape) for n, p in network.named_parameters() if n.startswith(("head.", "gate."))}
        )
        assert len(shapes[-1]) == 2 + 9
    assert all(shape == shapes[0] for shape in shapes)


def test_the_heads_input_is_what_the_head_sees():
    """The classifier's weights times `pooled` are the logits; gradients per class are computed from them."""
    for kind in KINDS:
        network = Network("small_resnet", 5, kind=kind, gate=GATE).eval()
        weights = initial_weights(network, seeded())
        out = functional_call(network, weights, (images(), context()))
        matrix = weights["head.weight"].flatten(1)
        logits = torch.einsum("cd,bd...->bc...", matrix, out.pooled) + weights["head.bias"].view(
            -1, *[1] * (out.pooled.dim() - 2)
        )
        if kind == "segmentation":
            logits = F.interpolate(logits, (32, 32), mode="bilinear", align_corners=False)
        torch.testing.assert_close(out.logits, logits)


# ---- the decoder


def test_the_decoder_adds_up_the_levels():
    """Against the formulas, level by level."""
    network = Network("cnn", 3, kind="segmentation", width=8).eval()
    w = initial_weights(network, seeded())
    with torch.no_grad():
        maps = functional_call(
            network.backbone,
            {n.removeprefix("backbone."): t for n, t in w.items() if n[0] == "b"},
            (images(),),
        )
        inner, total = None, 0.0
        for level in reversed(range(4)):
            name = f"decoder.pyramid.{{}}.{level}.0.{{}}"
            own = F.conv2d(
                maps[level], w[name.format("inner_blocks", "weight")], w[name.format("inner_blocks", "bias")]
            )
            inner = own if inner is None else own + F.interpolate(inner, own.shape[-2:], mode="nearest")
            out = F.conv2d(
                inner,
                w[name.format("layer_blocks", "weight")],
                w[name.format("layer_blocks", "bias")],
                padding=1,
            )
            total = total + F.interpolate(out.relu(), (16, 16), mode="bilinear", align_corners=False)
        torch.testing.assert_close(functional_call(network, w, (images(),)).pooled, total)


# ---- the gate in the network


@pytest.mark.parametrize("projection", [None, 24])
def test_pooling_is_the_mean_over_open_positions(projection):
    network = Network("small_resnet", 5, gate=GATE, projection=projection).eval()
    weights = initial_weights(network, seeded(1))
    with torch.no_grad():
        out = functional_call(network, weights, (images(4), context()))
        top = functional_call(
            network.backbone,
            {n[9:]: t for n, t in weights.items() if n.startswith("backbone.")},
            (images(4),),
        )[-1]
    if projection:
        top = F.conv2d(top, weights["projection.weight"], weights["projection.bias"])
    assert 0 < out.mask.mean() < 1
    for image in range(4):
        torch.testing.assert_close(out.pooled[image], top[image][:, out.mask[image, 0] == 1].mean(-1))


def test_features_ignore_mask_and_projection():
    plain, gated = (
        Network("small_resnet", 5, gate=g, projection=p).eval() for g, p in ((None, None), (GATE, 8))
    )
    weights = initial_weights(gated, seeded())
    shut = {**weights, "gate.mlp.2.bias": torch.tensor([1e3, 0.0])}
    bare = {
        **initial_weights(plain, seeded()),
        **{n: t for n, t in weights.items() if n.startswith("backbone.")},
    }
    expected = functional_call(plain, bare, (images(),)).features
    for w in (weights, shut):
        torch.testing.assert_close(functional_call(gated, w, (images(), context())).features, expected)


def test_a_closed_gate_leaves_the_bias_and_finite_gradients():
    network = Network("small_resnet", 5, gate=GATE)
    weights = {**initial_weights(network, seeded()), "gate.mlp.2.bias": torch.tensor([50.0, 0.0])}
    weights = {n: t.requires_grad_(n in trained(network)) for n, t in weights.items()}
    noise = gumbel((2, network.positions(32), 2), seeded())
    out = functional_call(network, weights, (images(), context(), noise))
    assert (out.mask == 0).all() and (out.pooled == 0).all()
    torch.testing.assert_close(out.logits, weights["head.bias"].expand(2, -1))
    gradients = torch.autograd.grad(
        out.logits.square().sum() + out.mask.mean(), [weights[n] for n in trained(network)], allow_unused=True
    )
    assert all(g is None or g.isfinite().all() for g in gradients)


def test_a_closed_gate_leaves_the_finer_maps_to_the_decoder():
    network = Network("small_resnet", 5, kind="segmentation", gate=GATE).eval()
    weights = {**initial_weights(network, seeded()), "gate.mlp.2.bias": torch.tensor([1e3, 0.0])}
    with torch.no_grad():
        one, other = functional_call(network, weights, (images(), context())).logits
        assert not torch.allclose(one, other)
        blind = {
            n: (torch.zeros_like(t) if n.startswith("decoder.pyramid.inner_blocks.2.") else t)
            for n, t in weights.items()
        }
        torch.testing.assert_close(
            functional_call(network, blind, (images(), context())).logits, torch.stack([one, other])
        )


def test_residual_gate_pools_over_all_positions():
    network = Network("cnn", 5, gate=GATE._replace(residual=True)).eval()
    weights = initial_weights(network, seeded())
    shut = {**weights, "gate.mlp.2.bias": torch.tensor([1e3, 0.0])}
    wide = {**weights, "gate.mlp.2.bias": torch.tensor([0.0, 1e3])}
    closed, opened = (functional_call(network, w, (images(), context())) for w in (shut, wide))
    torch.testing.assert_close(closed.pooled, closed.features)
    torch.testing.assert_close(opened.pooled, 2 * opened.features)


def test_an_untrained_gate_is_mostly_open():
    network = Network("small_resnet", 5, gate=GateConfig()).eval()
    shares = []
    for seed in range(5):
        weights = initial_weights(network, seeded(seed))
        rows = torch.randn(10, 128, generator=seeded(seed + 10))
        noise = gumbel((8, network.positions(64), 2), seeded(seed))
        shares.append(
            float(functional_call(network, weights, (images(8, 64, seed), rows, noise)).mask.mean())
        )
    assert all(0.5 < share < 0.9 for share in shares), shares


def test_a_gate_needs_contexts():
    network = Network("cnn", 5, gate=GATE)
    with pytest.raises(ValueError, match="contexts"):
        network(images())


# ---- pixels


def test_pixels_are_standardised_by_channel():
    x = torch.zeros(2, 4, 5, 3, dtype=torch.uint8)
    x[0, 1, 2] = torch.tensor([255, 51, 0])
    out = standardise(x, (0.5, 0.2, 0.0), (0.25, 0.5, 1.0))
    assert out.shape == (2, 3, 4, 5)
    torch.testing.assert_close(out[0, :, 1, 2], torch.tensor([2.0, 0.0, 0.0]))
    torch.testing.assert_close(out[1, :, 0, 0], torch.tensor([-2.0, -0.4, 0.0]))
