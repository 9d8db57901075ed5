"""Networks: their shapes, the gate inside, and that nothing but the weights that are passed in matters."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from raysim.nn.gate import gumbel
from raysim.nn.networks import NETWORKS, GateConfig, Kind, Network, initial, normalised

SMALL = ("cnn", "small_resnet", "small_mobilenet")
KINDS: tuple[Kind, ...] = ("classification", "segmentation")
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
        out = functional_call(network, initial(network, seeded()), (images(2, size), context()))
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
    """The classifier's own weights applied to `pooled` give the logits: what gradients per class are computed from."""
    for kind in KINDS:
        network = Network("small_resnet", 5, kind=kind, gate=GATE).eval()
        weights = initial(network, seeded())
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
    w = initial(network, seeded())
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
    weights = initial(network, seeded(1))
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
    weights = initial(gated, seeded())
    shut = {**weights, "gate.mlp.2.bias": torch.tensor([1e3, 0.0])}
    bare = {**initial(plain, seeded()), **{n: t for n, t in weights.items() if n.startswith("backbone.")}}
    expected = functional_call(plain, bare, (images(),)).features
    for w in (weights, shut):
        torch.testing.assert_close(functional_call(gated, w, (images(), context())).features, expected)


def test_a_closed_gate_leaves_the_bias_and_finite_gradients():
    network = Network("small_resnet", 5, gate=GATE)
    weights = {**initial(network, seeded()), "gate.mlp.2.bias": torch.tensor([50.0, 0.0])}
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
    weights = {**initial(network, seeded()), "gate.mlp.2.bias": torch.tensor([1e3, 0.0])}
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
    weights = initial(network, seeded())
    shut = {**weights, "gate.mlp.2.bias": torch.tensor([1e3, 0.0])}
    wide = {**weights, "gate.mlp.2.bias": torch.tensor([0.0, 1e3])}
    closed, opened = (functional_call(network, w, (images(), context())) for w in (shut, wide))
    torch.testing.assert_close(closed.pooled, closed.features)
    torch.testing.assert_close(opened.pooled, 2 * opened.features)


def test_an_untrained_gate_is_mostly_open():
    network = Network("small_resnet", 5, gate=GateConfig()).eval()
    shares = []
    for seed in range(5):
        weights = initial(network, seeded(seed))
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


# ---- first values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_but_the_given_weights_matters(name, kind):
    """A module whose own tensors are all NaN works under `initial`, and a call in training mode leaves it as it was."""
    network = Network(name, 3, kind=kind, gate=GATE, projection=16)
    state = network.state_dict()
    assert not any("num_batches" in key for key in state)
    with torch.no_grad():
        for tensor in state.values():
            tensor.fill_(torch.nan)
    weights = initial(network, seeded())
    assert list(weights) and set(weights) == set(state)
    assert all(
        weights[key].shape == tensor.shape and weights[key].dtype == tensor.dtype
        for key, tensor in state.items()
    )
    noise = gumbel((2, network.positions(64), 2), seeded())
    out = functional_call(network.train(), weights, (images(2, 64), context(), noise))
    assert out.logits.isfinite().all()
    assert all(tensor.isnan().all() for tensor in network.state_dict().values())


def test_first_values_come_from_the_generator_alone():
    one = initial(Network("small_resnet", 4, gate=GATE), seeded(3))
    torch.manual_seed(99)
    again, other = (initial(Network("small_resnet", 4, gate=GATE), seeded(s)) for s in (3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    drawn = [name for name in one if one[name].dim() > 1]
    assert drawn and all(not torch.equal(one[name], other[name]) for name in drawn)


def test_first_values():
    network = Network("resnet18", 40, gate=GateConfig(open_bias=2.5))
    values = initial(network, seeded())
    modules = dict(network.named_modules())
    for name, tensor in values.items():
        module, last = modules[name.rpartition(".")[0]], name.rpartition(".")[2]
        if tensor.dim() > 1:
            fan_in, gain = tensor[0].numel(), 2.0 if isinstance(module, nn.Conv2d) else 1.0
            assert float(tensor.std()) == pytest.approx(
                (gain / fan_in) ** 0.5, rel=4 / tensor.numel() ** 0.5
            ), name
        elif name == "gate.mlp.2.bias":
            assert tensor.tolist() == [0.0, 2.5]
        else:
            assert (tensor == (1.0 if last in ("weight", "running_var") else 0.0)).all(), name


# ---- normalisation and functional form


def test_training_mode_writes_running_statistics_into_what_was_passed():
    network = Network("cnn", 4, width=8).train()
    weights = initial(network, seeded())
    before = {name: tensor.clone() for name, tensor in weights.items()}
    functional_call(network, weights, (images(4),))
    response = F.conv2d(images(4), before["backbone.stages.0.0.weight"], stride=2, padding=1)
    torch.testing.assert_close(weights["backbone.stages.0.1.running_mean"], 0.1 * response.mean((0, 2, 3)))
    torch.testing.assert_close(
        weights["backbone.stages.0.1.running_var"], 0.9 + 0.1 * response.transpose(0, 1).flatten(1).var(1)
    )
    changed = {name for name in weights if not torch.equal(weights[name], before[name])}
    assert changed == {name for name, _ in network.named_buffers()}
    after = {name: tensor.clone() for name, tensor in weights.items()}
    functional_call(network.eval(), weights, (images(4),))
    assert all(torch.equal(weights[name], after[name]) for name in weights)


@pytest.mark.parametrize("name", NETWORKS)
def test_group_norm_keeps_images_apart(name):
    network = Network(name, 4, norm="group").train()
    weights = initial(network, seeded())
    assert set(weights) == trained(network)
    with torch.no_grad():
        together = functional_call(network, weights, (images(3),)).logits
        alone = torch.cat(
            [functional_call(network, weights, (images(3)[n : n + 1],)).logits for n in range(3)]
        )
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SMALL)
def test_gradients_per_image_in_functional_form(name, kind):
    """`vmap(grad)` over images equals autograd, one image after another."""
    network = Network(name, 3, kind=kind, width=8, gate=GATE).eval()
    weights = initial(network, seeded())
    params = {n: t for n, t in weights.items() if n in trained(network)}
    buffers = {n: t for n, t in weights.items() if n not in params}

    def loss(params, buffers, rows, x):
        return functional_call(network, {**params, **buffers}, (x[None], rows)).logits.square().mean()

    together = vmap(grad(loss), in_dims=(None, None, None, 0))(params, buffers, context(), images())
    for image in range(2):
        leaves = {n: t.clone().requires_grad_() for n, t in params.items()}
        alone = torch.autograd.grad(loss(leaves, buffers, context(), images()[image]), list(leaves.values()))
        for n, expected in zip(leaves, alone, strict=True):
            torch.testing.assert_close(together[n][image], expected, rtol=1e-3, atol=1e-5)


def test_training_mode_inside_grad_when_the_statistics_are_an_argument():
    network = Network("small_resnet", 3, width=8).train()
    weights = initial(network, seeded())
    params = {n: t for n, t in weights.items() if n in trained(network)}
    buffers = {n: t for n, t in weights.items() if n not in params}

    def loss(params, buffers):
        return functional_call(network, {**params, **buffers}, (images(),)).logits.square().mean()

    gradients = grad(loss)(params, buffers)
    assert all(g.isfinite().all() for g in gradients.values())
    assert all((t != 0).any() for n, t in buffers.items() if n.endswith("running_mean"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SMALL)
def test_learns(name, kind):
    """Twenty steps on one batch, gate and all: the loss halves, and every trained tensor moves."""
    network = Network(name, 3, kind=kind, width=8, gate=GATE).train()
    weights = initial(network, seeded())
    first = {n: t.clone() for n, t in weights.items()}
    rows = context().requires_grad_()
    params = {n: weights[n].requires_grad_() for n in weights if n in trained(network)}
    optimiser = torch.optim.Adam([*params.values(), rows], lr=0.005)
    y = torch.arange(9) % 3
    x = images(9) + torch.tensor([-1.0, 0.0, 1.0])[y].view(-1, 1, 1, 1)
    target = y if kind == "classification" else y.view(-1, 1, 1).expand(-1, 32, 32)
    rng, losses = seeded(), []
    for _ in range(20):
        out = functional_call(network, weights, (x, rows, gumbel((9, network.positions(32), 2), rng)))
        losses.append(F.cross_entropy(out.logits, target))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < losses[0] / 2
    assert all(not torch.equal(params[n], first[n]) for n in params)
    assert not torch.equal(rows, context())


# ---- pixels


def test_pixels_are_standardised_by_channel():
    x = torch.zeros(2, 4, 5, 3, dtype=torch.uint8)
    x[0, 1, 2] = torch.tensor([255, 51, 0])
    out = normalised(x, (0.5, 0.2, 0.0), (0.25, 0.5, 1.0))
    assert out.shape == (2, 3, 4, 5)
    torch.testing.assert_close(out[0, :, 1, 2], torch.tensor([2.0, 0.0, 0.0]))
    torch.testing.assert_close(out[1, :, 0, 0], torch.tensor([-2.0, -0.4, 0.0]))
