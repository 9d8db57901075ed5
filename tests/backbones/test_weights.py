"""Weights: seeds, files, folders and archives, and what is said about those that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from raysim.backbones import weights
from raysim.backbones.backbone import Backbone
from raysim.backbones.registry import load_backbone
from raysim.core.errors import UserError
from tests.fakes.clips import TINY


def picture(seed: int = 0, shape: tuple[int, int] = (50, 70)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def images(backbone: Backbone, count: int = 3) -> torch.Tensor:
    return torch.stack([backbone.preprocess(picture(seed)) for seed in range(count)])


def test_random_weights_are_seeded_and_leave_the_generator_alone(vit: Backbone):
    state = torch.get_rng_state()
    again = load_backbone("tiny-vit/random")
    assert torch.equal(torch.get_rng_state(), state)
    assert again.fingerprint == vit.fingerprint and len(vit.fingerprint) == 64
    assert torch.equal(again.encode_images(images(again)), vit.encode_images(images(vit)))


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-vit-quickgelu"])
def test_a_local_file_by_architecture(name: str, vit: Backbone, weight_file: Path):
    loaded = load_backbone(name, str(weight_file))
    same = torch.equal(loaded.encode_images(images(vit)), vit.encode_images(images(vit)))
    quick = name.endswith("quickgelu")
    assert same == (not quick) and (loaded.fingerprint == vit.fingerprint) == (not quick)
    assert (
        any(isinstance(module, open_clip.transformer.QuickGELU) for module in loaded.clip.modules()) == quick
    )


def test_half_precision_files_are_computed_in_float32(vit: Backbone, tmp_path: Path):
    save_file(
        {k: v.half() if v.is_floating_point() else v for k, v in vit.clip.state_dict().items()},
        tmp_path / "half.safetensors",
    )
    loaded = load_backbone("tiny-vit", str(tmp_path / "half.safetensors"))
    torch.testing.assert_close(
        loaded.encode_images(images(vit)), vit.encode_images(images(vit)), rtol=0, atol=1e-2
    )


@pytest.mark.parametrize("quick", [False, True])
def test_a_folder_in_open_clips_layout(quick: bool, weight_file: Path):
    config = {
        "model_cfg": {**TINY, "quick_gelu": quick},
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    }
    (weight_file.parent / "open_clip_config.json").write_text(json.dumps(config))
    right, wrong = ("tiny-vit-quickgelu", "tiny-vit")[:: 1 if quick else -1]
    loaded = load_backbone(right, str(weight_file.parent))
    assert loaded.mean == (0.5, 0.5, 0.5)
    assert (
        loaded.fingerprint != load_backbone(right, str(weight_file)).fingerprint
    )  # other preprocessing, other features
    assert float(loaded.preprocess(np.full((32, 32, 3), 255, np.uint8)).max()) == pytest.approx(2.0)
    with pytest.raises(UserError, match=f"use {right}$"):
        load_backbone(wrong, str(weight_file.parent))


def test_an_archive_of_openai_needs_quickgelu(vit: Backbone, tmp_path: Path):
    """OpenAI publishes TorchScript archives; here one whose state dict is the tiny model's."""
    file = tmp_path / "archive.pt"
    torch.jit.save(torch.jit.trace(_Parts(vit.clip), torch.zeros(1)), str(file))
    with pytest.raises(UserError, match=r"use task\.backbone=tiny-vit-quickgelu"):
        load_backbone("tiny-vit", str(file))
    loaded = load_backbone("tiny-vit-quickgelu", str(file))
    assert torch.equal(loaded.clip.visual.proj, vit.clip.visual.proj)


class _Parts(torch.nn.Module):
    """A CLIP's modules and parameters under the same names, with a trivial forward."""

    def __init__(self, clip: torch.nn.Module):
        super().__init__()
        for name, module in clip.named_children():
            self.add_module(name, module)
        for name, parameter in clip.named_parameters(recurse=False):
            self.register_parameter(name, parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize("name", ["tiny-rn", "tiny-rn-quickgelu"])
def test_weights_of_another_architecture(name: str, weight_file: Path):
    with pytest.raises(
        UserError, match=f"does not hold the weights of a {name}: its shapes are those of tiny-vit .*use task"
    ):
        load_backbone(name, str(weight_file))


def test_a_folder_with_no_or_several_weight_files(tmp_path: Path):
    for name in ("a.pt", "b.safetensors", "c.bin"):
        (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(UserError, match=r"several weight files \(a.pt, b.safetensors, c.bin\)"):
        load_backbone("tiny-vit", str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no weight file"):
        load_backbone("tiny-vit", str(tmp_path / "empty"))
    with pytest.raises(UserError, match="no such file or folder"):
        load_backbone("tiny-vit", str(tmp_path / "absent.pt"))


def test_random_weights_take_no_path(weight_file: Path):
    with pytest.raises(UserError, match="its weights are random"):
        load_backbone("tiny-vit/random", str(weight_file))


@pytest.mark.parametrize("name", ["ViT-B-32/openai", "ViT-B-16/laion2b_s34b_b88k"])
def test_weights_that_cannot_be_had(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as error:
        load_backbone(name)
    for part in (
        "HF_HUB_OFFLINE=1",
        f"task.backbone={name} task.backbone_path=/path/file.safetensors",
        "task.backbone=scenes-clip",
    ):
        assert part in str(error.value)
    assert "\n" not in str(error.value) and capfd.readouterr().err == ""


def test_a_tag_with_a_file_keeps_the_tags_activation_and_preprocessing(
    monkeypatch: pytest.MonkeyPatch, weight_file: Path
):
    tagged = {
        "quick_gelu": True,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "interpolation": "bilinear",
        "resize_mode": "squash",
    }
    monkeypatch.setattr(weights.Source, "tag_config", tagged)
    loaded = load_backbone("tiny-vit/mine", str(weight_file))
    assert loaded.mean == (0.5, 0.5, 0.5)
    assert any(isinstance(module, open_clip.transformer.QuickGELU) for module in loaded.clip.modules())
    _, _, transform = open_clip.create_model_and_transforms(
        "tiny-vit",
        image_mean=tagged["mean"],
        image_std=tagged["std"],
        image_interpolation="bilinear",
        image_resize_mode="squash",
    )
    assert torch.equal(loaded.preprocess(picture()), transform(Image.fromarray(picture())))
