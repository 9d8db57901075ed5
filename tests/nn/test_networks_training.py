"""Networks in training: first values, running statistics, gradients per image, and that they learn."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from raysim.core.types import TaskKind
from raysim.nn.convnets import NETWORKS
from raysim.nn.gate import GateConfig, gumbel
from raysim.nn.networks import Network, initial_weights

SMALL = ("cnn", "small_resnet", "small_mobilenet")


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


# ---- first values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_but_the_given_weights_matters(name, kind):
    """A module whose own tensors are NaN works with other weights; a training call leaves it unchanged."""
    network = Network(name, 3, kind=kind, gate=GATE, projection=16)
    state = network.state_dict()
    assert not any("num_batches" in key for key in state)
    with torch.no_grad():
        for tensor in state.values():
            tensor.fill_(torch.nan)
    weights = initial_weights(network, seeded())
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
    one = initial_weights(Network("small_resnet", 4, gate=GATE), seeded(3))
    torch.manual_seed(99)
    again, other = (initial_weights(Network("small_resnet", 4, gate=GATE), seeded(s)) for s in (3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    drawn = [name for name in one if one[name].dim() > 1]
    assert drawn and all(not torch.equal(one[name], other[name]) for name in drawn)


def test_first_values():
    network = Network("resnet18", 40, gate=GateConfig(open_bias=2.5))
    values = initial_weights(network, seeded())
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
    weights = initial_weights(network, seeded())
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
    weights = initial_weights(network, seeded())
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
    weights = initial_weights(network, seeded())
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
    weights = initial_weights(network, seeded())
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
    weights = initial_weights(network, seeded())
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
