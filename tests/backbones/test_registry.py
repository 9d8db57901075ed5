"""The backbone registry: files, folders, flags and errors, on a tiny CLIP added to open_clip's architectures."""

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

from raysim.backbones import Backbone, load_backbone, registry, weights
from raysim.core.errors import UserError

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
TINY = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": TEXT,
}
RESNET = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
    "text_cfg": TEXT,
}


@pytest.fixture(scope="module", autouse=True)
def architectures(tmp_path_factory):
    """`tiny-vit` and `tiny-rn`, known to open_clip for these tests."""
    folder = tmp_path_factory.mktemp("configs")
    for name, config in (("tiny-vit", TINY), ("tiny-rn", RESNET)):
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    yield
    open_clip.factory._MODEL_CONFIG_PATHS.remove(folder)
    open_clip.factory._rescan_model_configs()


@pytest.fixture
def vit() -> Backbone:
    return load_backbone("tiny-vit/random")


@pytest.fixture
def weight_file(vit: Backbone, tmp_path: Path) -> Path:
    save_file(vit.clip.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


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
        found = backbone.clip.visual.forward_intermediates(images(backbone), indices=1)
    dense = backbone._all_tokens(images(backbone))[:, 1:]
    torch.testing.assert_close(dense.mean(1), found["image_features"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-vit-quickgelu"])
def test_a_local_file_by_architecture(name: str, vit: Backbone, weight_file: Path):
    loaded = load_backbone(name, str(weight_file))
    same = torch.equal(loaded.encode_images(images(vit)), vit.encode_images(images(vit)))
    quick = name.endswith("quickgelu")
    assert same == (not quick) and (loaded.fingerprint == vit.fingerprint) == (not quick)
    assert (
        any(isinstance(module, open_clip.transformer.QuickGELU) for module in loaded.clip.modules()) == quick
    )


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


def test_a_path_without_an_architecture_is_refused(weight_file: Path):
    with pytest.raises(UserError, match=r"which architecture.*ViT-B-32-quickgelu"):
        load_backbone(path=str(weight_file))


@pytest.mark.parametrize("name", ["tiny-rn", "tiny-rn-quickgelu"])
def test_weights_of_another_architecture(name: str, weight_file: Path):
    with pytest.raises(UserError, match=f"does not hold the weights of a {name}"):
        load_backbone(name, str(weight_file))


def test_files_that_are_no_weights(tmp_path: Path):
    for name, content in (("a.pt", b"hello"), ("b.safetensors", b"hello"), ("c.bin", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name} does not hold the weights of a tiny-vit"):
            load_backbone("tiny-vit", str(tmp_path / name))
    with pytest.raises(UserError, match=r"several weight files \(a.pt, b.safetensors, c.bin\)"):
        load_backbone("tiny-vit", str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no weight file"):
        load_backbone("tiny-vit", str(tmp_path / "empty"))
    with pytest.raises(UserError, match="no such file or folder"):
        load_backbone("tiny-vit", str(tmp_path / "absent.pt"))


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
        ("ViT-B-32", "needs a local file"),
    ],
)
def test_names_that_cannot_be_loaded(name: str, message: str):
    with pytest.raises(UserError, match=message):
        load_backbone(name)


def test_random_weights_take_no_path(weight_file: Path):
    with pytest.raises(UserError, match="its weights are drawn"):
        load_backbone("tiny-vit/random", str(weight_file))


def test_a_text_tower_of_another_kind_is_refused(weight_file: Path):
    (weight_file.parent / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": {**TINY, "custom_text": True}})
    )
    with pytest.raises(UserError, match=r"task\.backbone=tiny-vit is a CustomTextCLIP"):
        load_backbone("tiny-vit", str(weight_file.parent))


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


def test_what_names_say_about_the_activation():
    """A tag knows its own; a file derived from OpenAI's weights has QuickGELU, which the file cannot tell."""
    names = [*registry.DOWNLOADS, *registry.RANDOM, *registry.FILES, "ViT-B-32-quickgelu", "ViT-B-16"]
    said = {name: registry._source(name) for name in names}
    quick = {name for name, source in said.items() if source.quick_gelu}
    assert quick == {
        "ViT-B-32/openai",
        "ViT-B-16/openai",
        "RemoteCLIP-ViT-B-32",
        "GeoRSCLIP-ViT-B-32",
        "ViT-B-32-quickgelu",
    }
    assert all(source.tag_config for name, source in said.items() if name in registry.DOWNLOADS)


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
