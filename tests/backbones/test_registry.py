"""The registry: names, features, preprocessing, fingerprints, and the bundled backbone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from raysim.backbones import registry
from raysim.backbones.backbone import Backbone
from raysim.backbones.registry import load_backbone
from raysim.core.errors import UserError
from tests.fakes.clips import TINY


def picture(seed: int = 0, shape: tuple[int, int] = (50, 70)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def images(backbone: Backbone, count: int = 3) -> torch.Tensor:
    return torch.stack([backbone.preprocess(picture(seed)) for seed in range(count)])


def test_what_a_backbone_tells(vit: Backbone):
    assert (vit.embed_dim, vit.image_size) == (24, 32)
    assert vit.logit_scale == pytest.approx(float(vit.clip.logit_scale.exp()))
    assert not vit.clip.training and not any(weight.requires_grad for weight in vit.clip.parameters())
    assert vit.mean == open_clip.OPENAI_DATASET_MEAN and vit.std == open_clip.OPENAI_DATASET_STD
    assert vit.unseen_words(["anything"]) == []
    tokens = vit.tokenize(["storage tanks", "beach"])
    assert torch.equal(tokens, open_clip.get_tokenizer("ViT-B-32")(["storage tanks", "beach"]))


def test_features_are_open_clips_own(vit: Backbone):
    batch = images(vit)
    torch.testing.assert_close(
        vit.encode_images(batch), vit.clip.encode_image(batch, normalize=True), rtol=0, atol=0
    )


@pytest.mark.parametrize("shape", [(50, 70), (32, 32), (300, 20), (7, 9)])
def test_preprocessing_is_open_clips_validation_transform(vit: Backbone, shape: tuple[int, int]):
    _, _, transform = open_clip.create_model_and_transforms("tiny-vit")
    image = picture(1, shape)
    assert torch.equal(vit.preprocess(image), transform(Image.fromarray(image)))
    assert vit.preprocess(image).shape == (3, 32, 32)


@pytest.mark.parametrize("name, count", [("tiny-vit", 16), ("tiny-rn", 4)])
def test_patch_features(name: str, count: int):
    backbone = load_backbone(f"{name}/random")
    batch = images(backbone)
    features = backbone.encode_images(batch, patches=True)
    assert features.shape == (3, 1 + count, 24) and features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(3, 1 + count))
    torch.testing.assert_close(features[:, 0], backbone.encode_images(batch), rtol=1e-5, atol=1e-6)


def test_patches_of_a_vit_are_all_its_tokens_in_the_joint_space(vit: Backbone):
    batch, visual = images(vit), vit.clip.visual
    with torch.no_grad():
        tokens = visual.ln_post(visual.transformer(visual._embeds(batch))) @ visual.proj
    expected = torch.nn.functional.normalize(tokens, dim=-1)
    torch.testing.assert_close(vit.encode_images(batch, patches=True), expected, rtol=1e-5, atol=1e-6)


def test_patches_of_a_resnet_are_what_its_pool_averages():
    """With uniform attention the pool is the mean of the dense features of positions and their mean."""
    backbone = load_backbone("tiny-rn/random")
    pool = backbone.clip.visual.attnpool
    with torch.no_grad():
        for layer in (pool.q_proj, pool.k_proj):
            layer.weight.zero_()
            layer.bias.zero_()
        pool.positional_embedding.zero_()
        layers = backbone.clip.visual.forward_intermediates(images(backbone), indices=1)
    dense = backbone._all_tokens(images(backbone))[:, 1:]
    torch.testing.assert_close(dense.mean(1), layers["image_features"], rtol=1e-4, atol=1e-6)


def test_the_fingerprint_follows_the_weights_not_the_path(vit: Backbone, weight_file: Path, tmp_path: Path):
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in vit.clip.state_dict().items()}}, elsewhere / "epoch.pt"
    )
    assert (
        load_backbone("tiny-vit", str(elsewhere)).fingerprint
        == load_backbone("tiny-vit", str(weight_file)).fingerprint
    )
    state = vit.clip.state_dict()
    state["visual.proj"] = state["visual.proj"] + 1e-3
    save_file(state, elsewhere / "changed.safetensors")
    assert load_backbone("tiny-vit", str(elsewhere / "changed.safetensors")).fingerprint != vit.fingerprint


def test_a_path_without_an_architecture_is_refused(weight_file: Path):
    with pytest.raises(UserError, match=r"which architecture.*ViT-B-32-quickgelu"):
        load_backbone(path=str(weight_file))


@pytest.mark.parametrize(
    "name, message",
    [
        ("ViT-B-33", "unknown backbone 'ViT-B-33'; did you mean"),
        ("ViT-B-32/openia", "unknown weights of ViT-B-32 'openia'; did you mean 'openai'"),
        ("ViT-B-32-quickgelu/laion2b_s34b_b79k", "trained without QuickGELU; use ViT-B-32/laion2b_s34b_b79k"),
        (
            "RemoteCLIP-ViT-B-32",
            "task.backbone_path=/path/file: download it from https://huggingface.co/chendelong/RemoteCLIP",
        ),
        ("GeoRSCLIP-ViT-B-32", "download it from https://huggingface.co/Zilun/GeoRSCLIP"),
        ("SkyCLIP-ViT-L-14", "download it from https://opendatasharing"),
        ("ViT-B-32", "needs a local file.*RemoteCLIP-ViT-B-32"),
    ],
)
def test_names_that_cannot_be_loaded(name: str, message: str, hub_cache: Path):
    with pytest.raises(UserError, match=message):
        load_backbone(name)


def test_a_text_tower_of_another_kind_is_refused(weight_file: Path):
    (weight_file.parent / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": {**TINY, "custom_text": True}})
    )
    with pytest.raises(UserError, match=r"task\.backbone=tiny-vit is a CustomTextCLIP"):
        load_backbone("tiny-vit", str(weight_file.parent))


def test_what_names_say_about_the_activation():
    """A tag knows its own; a file derived from OpenAI's weights has QuickGELU, which the file cannot tell."""
    names = [*registry.DOWNLOADS, *registry.RANDOM, *registry.FILES, "ViT-B-32-quickgelu", "ViT-B-16"]
    sources = {name: registry._source(name) for name in names}
    quick = {name for name, source in sources.items() if source.quick_gelu}
    assert quick == {
        "ViT-B-32/openai",
        "ViT-B-16/openai",
        *(set(registry.FILES) - {"GeoRSCLIP-ViT-H-14", "SkyCLIP-ViT-B-32"}),
        "ViT-B-32-quickgelu",
    }
    assert all(source.tag_config for name, source in sources.items() if name in registry.DOWNLOADS)


def test_vit_b_32_has_the_papers_shapes():
    backbone = load_backbone("ViT-B-32/random")
    assert (backbone.embed_dim, backbone.image_size, backbone.clip.token_embedding.weight.shape[1]) == (
        512,
        224,
        512,
    )
    assert 4 * backbone.clip.ln_final.weight.shape[0] == 2048  # four shared tokens
    assert backbone.encode_images(torch.zeros(1, 3, 224, 224), patches=True).shape == (1, 50, 512)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_images_are_encoded_on_the_gpu(vit: Backbone):
    other = load_backbone("tiny-vit/random", device="cuda")
    features = other.encode_images(images(vit), patches=True)
    assert (
        other.device.type == "cuda" and features.device.type == "cpu" and other.fingerprint == vit.fingerprint
    )
    torch.testing.assert_close(features, vit.encode_images(images(vit), patches=True), rtol=1e-2, atol=1e-3)


def test_the_bundled_backbone():
    backbone = load_backbone()
    assert backbone.name == "scenes-clip" and not backbone.clip.training
    assert backbone.preprocess(picture()).shape == (3, backbone.image_size, backbone.image_size)
    assert backbone.unseen_words(["forest", "a parking lot"]) == []
    assert backbone.unseen_words(["xylophone forest Chaparral", "xylophone."]) == ["xylophone", "chaparral"]
    assert backbone.encode_images(images(backbone), patches=True).shape[::2] == (3, backbone.embed_dim)
