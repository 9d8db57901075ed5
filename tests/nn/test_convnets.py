"""Backbones: their maps, torchvision's as the reference, and pretrained weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torchvision import models

from raysim.core.errors import UserError
from raysim.nn import convnets
from raysim.nn.convnets import NETWORKS, build_backbone
from raysim.nn.gate import GateConfig
from raysim.nn.networks import Network, initial_weights


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 2, size: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, size, size, generator=seeded(seed))


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("name", NETWORKS)
def test_maps_run_from_fine_to_coarse(name, norm):
    module = build_backbone(name, norm=norm).eval()
    for size in (32, 65, 96):
        with torch.no_grad():
            maps = module(images(2, size))
        assert [tuple(m.shape[:2]) for m in maps] == [(2, c) for c in module.channels]
        rows = [m.shape[-1] for m in maps]
        assert len(maps) >= 3 and rows == sorted(rows, reverse=True) and len(set(rows)) == len(rows)
        assert rows[-1] == -(-size // module.stride)
    assert any(isinstance(m, nn.BatchNorm2d) for m in module.modules()) == (norm == "batch")
    assert any(isinstance(m, nn.GroupNorm) for m in module.modules()) == (norm == "group")


def renamed(network: Network, whole: nn.Module) -> dict[str, Tensor]:
    """torchvision's tensors by the names of this project; both have the same order, the classifier last."""
    theirs = [
        tensor for name, tensor in whole.state_dict().items() if not name.endswith("num_batches_tracked")
    ]
    ours = [name for name in network.state_dict() if name.startswith("backbone.")]
    return dict(zip(ours, theirs, strict=False))


@pytest.mark.parametrize(("name", "parameters"), [("resnet18", 11_689_512), ("resnet50", 25_557_032)])
def test_equals_torchvisions_resnet(name, parameters):
    whole = getattr(models, name)().eval()
    network = Network(name, 1000).eval()
    assert sum(p.numel() for p in network.parameters()) == parameters
    weights = {**renamed(network, whole), "head.weight": whole.fc.weight, "head.bias": whole.fc.bias}
    with torch.no_grad():
        torch.testing.assert_close(
            functional_call(network, weights, (images(2, 64),)).logits, whole(images(2, 64))
        )


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_small_resnet_has_torchvisions_blocks(norm, monkeypatch):
    """The same first weights, maps and gradients, bit by bit."""

    def built():
        torch.manual_seed(0)
        return build_backbone("small_resnet", norm=norm)

    ours = built()
    monkeypatch.setattr(
        convnets,
        "_Block",
        lambda before, after, stride, shortcut, norm: models.resnet.BasicBlock(
            before, after, stride, shortcut, norm_layer=norm
        ),
    )
    theirs = built()
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    expected = theirs.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in ours.state_dict().items())
    for module in (ours, theirs):
        sum(map_Bchw.sum() for map_Bchw in module(images(3))).backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    assert all(map(torch.equal, ours(images(3)), theirs(images(3))))


def test_equals_torchvisions_mobilenet():
    whole = models.mobilenet_v3_small().eval()
    network = Network("mobilenet_v3_small", 10).eval()
    weights = {**initial_weights(network, seeded()), **renamed(network, whole)}
    with torch.no_grad():
        out = functional_call(network, weights, (images(2, 64),))
        torch.testing.assert_close(out.features, whole.avgpool(whole.features(images(2, 64))).flatten(1))


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub folder, and no network."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_pretrained_weights_are_kept(checkpoints, norm):
    whole = models.mobilenet_v3_small()
    with torch.no_grad():
        for tensor in whole.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape, generator=seeded()) if tensor.is_floating_point() else 7)
    torch.save(whole.state_dict(), checkpoints / "mobilenet_v3_small-047dcff4.pth")
    network = Network(
        "mobilenet_v3_small", 5, norm=norm, pretrained=True, gate=GateConfig(d_e=6, d=16, heads=2)
    )
    values = initial_weights(network, seeded())
    theirs = {n: t for n, t in whole.features.state_dict().items() if not n.endswith("num_batches_tracked")}
    if norm == "group":
        theirs = {n: t for n, t in theirs.items() if "running" not in n}
    kept = [n for n in values if n.startswith("backbone.")]
    assert len(kept) == len(theirs)
    assert all(torch.equal(values[n], tensor) for n, tensor in zip(kept, theirs.values(), strict=True))
    assert values["head.weight"].shape == (5, 576) and abs(float(values["head.weight"].mean())) < 0.01
    functional_call(network.train(), values, (images(2, 64), torch.randn(3, 6, generator=seeded(1))))
    again = initial_weights(
        network, seeded()
    )  # a copy was handed out: training did not write into the module
    assert all(torch.equal(again[n], tensor) for n, tensor in zip(kept, theirs.values(), strict=True))


def test_missing_pretrained_weights_name_the_file(checkpoints):
    with pytest.raises(UserError, match=r"(?s)'resnet18'.*no network in tests.*TORCH_HOME") as error:
        Network("resnet18", 5, pretrained=True)
    assert str(checkpoints / "resnet18-f37072fd.pth") in str(error.value)


@pytest.mark.parametrize("content", ["broken", "another network's"])
def test_wrong_pretrained_weights_name_the_file(checkpoints, content):
    file = checkpoints / "resnet18-f37072fd.pth"
    if content == "broken":
        file.write_bytes(b"<html>not found</html>")
    else:
        torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7), "bn1.weight": torch.zeros(32)}, file)
    with pytest.raises(UserError, match="pretrained = true") as error:
        Network("resnet18", 5, pretrained=True)
    assert str(file) in str(error.value)


def test_refuses_what_it_has_not():
    with pytest.raises(UserError, match="did you mean 'resnet18'"):
        Network("resnet-18", 5)
    with pytest.raises(UserError, match="no pretrained weights of 'cnn'"):
        Network("cnn", 5, pretrained=True)
    with pytest.raises(UserError, match="width = 12"):
        Network("small_resnet", 5, width=12)


def test_a_shortcut_is_a_convolution_with_a_stride() -> None:
    """PyTorch's own corrupts memory at 8 channels and 64 px; at 16 channels it is the reference."""
    shortcut = convnets._Shortcut(16, 8, 1, stride=2, bias=False)
    x = torch.randn(3, 16, 12, 10, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = F.conv2d(x, shortcut.weight, stride=2)
    (wanted,) = torch.autograd.grad(expected.square().sum(), x)
    (found,) = torch.autograd.grad(shortcut(x).square().sum(), x)
    torch.testing.assert_close(shortcut(x), expected)
    torch.testing.assert_close(found, wanted)


def test_a_narrow_network_trains_at_64_pixels() -> None:
    """It runs in a process of its own, because the fault that it looks for ends the process."""
    code = """
import torch
import torch.nn.functional as F
from raysim.nn.convnets import build_backbone
network = build_backbone("small_resnet", width=8, norm="batch", pretrained=False)
for _ in range(4):
    x = torch.randn(16, 3, 64, 64).to(memory_format=torch.channels_last)
    network(x)[-1].sum().backward()
"""
    environment = {**os.environ, "MALLOC_CHECK_": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
