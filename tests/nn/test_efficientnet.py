"""EfficientNet-Lite0: timm as the reference, the weights that come by pip, and what is said without them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.func import functional_call

from raysim.core.errors import UserError
from raysim.nn import convnets, efficientnet
from raysim.nn.efficientnet import NAME
from raysim.nn.flops import count_flops
from raysim.nn.gate import GateConfig
from raysim.nn.networks import Network, initial_weights, standardise

installed = pytest.mark.skipif(find_spec(efficientnet.PACKAGE) is None, reason=f"needs {efficientnet.EXTRA}")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 2, size: int = 64, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, size, size, generator=seeded(seed))


def reference(*, pretrained: bool = False) -> nn.Module:
    """timm's own network, with seeded weights or, by hand and in order, with those of the package."""
    torch.manual_seed(0)
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    if pretrained:
        theirs = torch.load(efficientnet.weight_file(), weights_only=True)
        whole.load_state_dict(dict(zip(whole.state_dict(), theirs.values(), strict=True)))
    return whole


def test_equals_timms_network() -> None:
    whole, network = reference(), Network(NAME, 1000).eval()
    assert (
        sum(p.numel() for p in network.parameters())
        == sum(p.numel() for p in whole.parameters())
        == 4_652_008
    )
    theirs = [t for n, t in whole.state_dict().items() if not n.endswith("num_batches_tracked")]
    ours = list(network.state_dict())
    weights = dict(zip(ours, theirs, strict=True))
    for size in (64, 80, 65):
        with torch.no_grad():
            out = functional_call(network, weights, (images(2, size),))
            torch.testing.assert_close(out.logits, whole(images(2, size)))
            torch.testing.assert_close(out.features, whole.forward_features(images(2, size)).mean((-2, -1)))


def test_positions_of_the_gate() -> None:
    """The last map has ceil(S / 32) rows: 3 x 3 positions at 80 px, 5 x 5 at 160."""
    network = Network(NAME, 5, gate=GateConfig(d_e=6, d=16, heads=2)).eval()
    weights = initial_weights(network, seeded())
    for size, rows in ((64, 2), (80, 3), (160, 5)):
        with torch.no_grad():
            out = functional_call(network, weights, (images(1, size), torch.randn(3, 6, generator=seeded(1))))
        assert network.positions(size) == rows**2 and out.mask.shape == (1, 1, rows, rows)
        assert out.features.shape == (1, 1280)


def test_flops_are_those_of_the_paper() -> None:
    """407 million multiply-adds at 224 px (EfficientNet-Lite's table), two FLOPs each."""
    network = Network(NAME, 1000).eval()
    with torch.no_grad():
        flops = count_flops(lambda: network(images(1, 224)))
    assert flops / 2 == pytest.approx(407e6, rel=0.07)


def test_norms_of_another_kind() -> None:
    batch, group = (convnets.build_backbone(NAME, norm=norm) for norm in ("batch", "group"))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in group.modules())
    assert [n for n, _ in batch.named_parameters()] == [n for n, _ in group.named_parameters()]
    assert not dict(group.named_buffers()) and len(dict(batch.named_buffers())) == 2 * 49


# ---- with the weights of the package


@installed
def test_pretrained_weights_are_the_packages() -> None:
    whole, network = reference(pretrained=True), Network(NAME, 7, pretrained=True).eval()
    weights = initial_weights(network, seeded())
    with torch.no_grad():
        out = functional_call(network, weights, (images(),))
        torch.testing.assert_close(out.features, whole.forward_features(images()).mean((-2, -1)))
    assert weights["head.weight"].shape == (7, 1280)


@installed
def test_group_norms_keep_scale_and_shift() -> None:
    batch, group = (Network(NAME, 3, norm=norm, pretrained=True) for norm in ("batch", "group"))
    theirs = dict(batch.named_parameters())
    assert all(torch.equal(t, theirs[n]) for n, t in group.named_parameters() if n.startswith("backbone."))


@installed
def test_the_running_statistics_are_those_of_the_pixels() -> None:
    """The weights were trained with (x - 127) / 128: the first statistics tell it from ImageNet's deviation.

    Random pixels with the mean and deviation of natural images, smooth as they are.
    """
    network = Network(NAME, 3, pretrained=True).eval()
    noise = torch.rand(16, 14, 14, 3, generator=seeded()).movedim(-1, 1)
    smooth = nn.functional.interpolate(noise, (112, 112), mode="bicubic").clamp(0, 1)
    pixels = (smooth * 255).round().to(torch.uint8).movedim(1, -1)
    stem, norm = network.backbone.stages[0][0], network.backbone.stages[0][1]

    def ratio(statistics: tuple[tuple[float, ...], tuple[float, ...]]) -> float:
        with torch.no_grad():
            variance = stem(standardise(pixels, *statistics)).var((0, 2, 3))
        return float((variance / norm.running_var).log().median().abs())

    assert ratio(convnets.pixel_statistics(NAME)) < ratio(convnets.IMAGENET)
    assert convnets.pixel_statistics("resnet18") == convnets.IMAGENET


@installed
def test_a_segmentation_network_takes_them() -> None:
    network = Network(NAME, 4, kind="segmentation", pretrained=True).eval()
    with torch.no_grad():
        out = functional_call(network, initial_weights(network, seeded()), (images(1, 64),))
    assert out.logits.shape == (1, 4, 64, 64)


# ---- messages


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"is not installed: in the folder of raysim"):
        Network(NAME, 5, pretrained=True)
    Network(NAME, 5)  # from scratch it needs no package


def cut(content: bytes) -> bytes:
    return content[:1000]


def changed(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@installed
@pytest.mark.parametrize("change", [cut, changed])
def test_a_damaged_file(
    change: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "weights.pth").write_bytes(change(efficientnet.weight_file().read_bytes()))
    monkeypatch.setattr(efficientnet, "weight_file", lambda: tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"weights.pth is damaged \(sha256 .*--force-reinstall"):
        Network(NAME, 5, pretrained=True)


@installed
def test_another_order_of_timm_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = reference()
    state = whole.state_dict()
    names = list(state)
    swapped = [names[1], names[0], *names[2:]]
    monkeypatch.setattr(type(whole), "state_dict", lambda self: {name: state[name] for name in swapped})
    with pytest.raises(UserError, match="do not fit this version of timm"):
        efficientnet._translated(whole)
