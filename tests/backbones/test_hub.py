"""Repositories of Hugging Face: small, with random weights, in the local cache's layout and as clones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from raysim.backbones import hub
from raysim.backbones.backbone import Backbone
from raysim.backbones.registry import load_backbone
from raysim.core.errors import UserError
from tests.fakes.clips import TINY, transformers_config, transformers_state

NAME = "hf-hub:org/small-clip"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIXELS = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]}


def repository(folder: Path, layout: str, state: dict[str, torch.Tensor], act: str = "quick_gelu") -> Path:
    """A repository of this layout; `folder` is its clone or its snapshot."""
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "open_clip":
        config = {
            "model_cfg": {**TINY, "quick_gelu": act == "quick_gelu"},
            "preprocess_cfg": {"mean": PIXELS["image_mean"], "std": PIXELS["image_std"]},
        }
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        torch.save(state, folder / "open_clip_pytorch_model.bin")
    else:
        (folder / "config.json").write_text(json.dumps(transformers_config(act)))
        processor = {**PIXELS, "size": {"shortest_edge": 32}, "crop_size": {"height": 32}, "resample": 2}
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
        save_file(transformers_state(state), folder / "model.safetensors")
        torch.save(transformers_state(state), folder / "pytorch_model.bin")  # both, as on the hub
    return folder


def cached(cache: Path, layout: str, state: dict[str, torch.Tensor], revision: str = "main") -> Path:
    """The same in the local cache, as the hub's client leaves it after a download."""
    home = cache / "models--org--small-clip"
    (home / "refs").mkdir(parents=True, exist_ok=True)
    (home / "refs" / revision).write_text(COMMIT)
    return repository(home / "snapshots" / COMMIT, layout, state)


@pytest.mark.parametrize("layout", ["open_clip", "transformers"])
@pytest.mark.parametrize("place", ["cache", "clone", "revision"])
def test_a_repository_says_everything_itself(
    layout: str, place: str, vit: Backbone, hub_cache: Path, tmp_path: Path
) -> None:
    state, name, path = vit.clip.state_dict(), NAME, None
    if place == "clone":
        path = str(repository(tmp_path / "clone", layout, state))
    else:
        cached(hub_cache, layout, state, "v1" if place == "revision" else "main")
        name = f"{NAME}@v1" if place == "revision" else NAME
    loaded = load_backbone(name, path)
    assert loaded.name == name and loaded.image_size == 32
    assert loaded.mean == (0.4, 0.5, 0.6) and loaded.std == (0.2, 0.25, 0.3)
    quick = load_backbone("tiny-vit-quickgelu", str(weight_file(state, tmp_path)))
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.encode_images(batch, patches=True), quick.encode_images(batch, patches=True))
    texts = [each.clip.encode_text(each.tokenize(["a beach", "harbor"])) for each in (loaded, quick)]
    assert torch.equal(*texts)


def weight_file(state: dict[str, torch.Tensor], folder: Path) -> Path:
    save_file(state, folder / "alone.safetensors")
    return folder / "alone.safetensors"


def test_a_folder_of_transformers_under_an_architectures_name(vit: Backbone, tmp_path: Path) -> None:
    folder = repository(tmp_path / "hf", "transformers", vit.clip.state_dict())
    loaded = load_backbone("tiny-vit-quickgelu", str(folder))
    assert any(isinstance(module, open_clip.transformer.QuickGELU) for module in loaded.clip.modules())
    with pytest.raises(UserError, match=r"config.json says quick_gelu = True.*use tiny-vit-quickgelu"):
        load_backbone("tiny-vit", str(folder))
    with pytest.raises(UserError, match="does not hold the weights of a tiny-rn-quickgelu: its shapes are"):
        load_backbone("tiny-rn-quickgelu", str(folder))
    plain = repository(tmp_path / "plain", "transformers", vit.clip.state_dict(), "gelu")
    assert load_backbone("tiny-vit", str(plain)).mean == (0.4, 0.5, 0.6)


def test_what_is_said_of_repositories_that_cannot_be_had(hub_cache: Path) -> None:
    with pytest.raises(UserError, match=r"in no local cache.*huggingface.co/org/small-clip was not asked"):
        load_backbone(NAME)
    for name in ("hf-hub:small-clip", "hf-hub:", "hf-hub:org/", "hf-hub:a/b/c"):
        with pytest.raises(UserError, match=f"{name} is not a repository.*hf-hub:ORG/REPO"):
            load_backbone(name)


def test_what_is_said_of_repositories_without_a_description(tmp_path: Path, vit: Backbone) -> None:
    (tmp_path / "RemoteCLIP-ViT-B-32.pt").write_bytes(b"..")
    with pytest.raises(
        UserError, match=r"has no open_clip_config.json and no config.json.*download the weight"
    ):
        load_backbone(NAME, str(tmp_path))
    with pytest.raises(UserError, match="needs the folder of the repository"):
        load_backbone(NAME, str(tmp_path / "RemoteCLIP-ViT-B-32.pt"))


def test_the_hub_is_asked_once_when_it_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = []

    def refuse(repo: str, file: str, revision: str | None = None, *, local: bool = False) -> Path:
        asked.append((file, local))
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(hub, "hub_file", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(UserError, match=r"cannot be reached \(no connection\)"):
        load_backbone(NAME)
    assert asked == [("open_clip_config.json", False), ("config.json", True)]


def test_a_pointer_in_a_clone_is_named(vit: Backbone, tmp_path: Path) -> None:
    """A clone without git-lfs has pointers in place of the weights."""
    folder = repository(tmp_path / "clone", "transformers", vit.clip.state_dict())
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\nsize 605157884\n")
    with pytest.raises(UserError, match=r"model.safetensors is text, a git-lfs pointer.*605,157,884"):
        load_backbone(NAME, str(folder))


def changed(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda config: {**config, **parts}


def tower(name: str, **settings: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda config: {**config, name: {**config[name], **settings}}


CONFIGS = {
    "siglip": (changed(model_type="siglip"), "describes a model of type 'siglip', not 'clip'"),
    "activation": (tower("text_config", hidden_act="gelu"), "hidden_act = gelu, quick_gelu is not allowed"),
    "unknown": (tower("vision_config", hidden_act="relu"), "hidden_act"),
    "epsilon": (tower("text_config", layer_norm_eps=1e-6), "text_config.layer_norm_eps = 1e-06"),
    "width": (tower("vision_config", hidden_size=64), "does not hold the weights of a model of config.json"),
    "layers": (tower("vision_config", num_hidden_layers=3), "does not hold the weights of a model of config"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations_that_cannot_be_built(case: str, vit: Backbone, tmp_path: Path) -> None:
    change, message = CONFIGS[case]
    folder = repository(tmp_path / "clone", "transformers", vit.clip.state_dict())
    (folder / "config.json").write_text(json.dumps(change(transformers_config())))
    with pytest.raises(UserError, match=message):
        load_backbone(NAME, str(folder))


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        ({"size": 64, "crop_size": 32}, "resizing to 64 px and cropping to 32 px is not allowed"),
        ({"resample": 0}, r"resample = 0 is not allowed; it should be one of \[2, 3\]"),
    ],
)
def test_preprocessing_that_cannot_be_done(
    processor: dict[str, Any], message: str, vit: Backbone, tmp_path: Path
) -> None:
    folder = repository(tmp_path / "clone", "transformers", vit.clip.state_dict())
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    with pytest.raises(UserError, match=message):
        load_backbone(NAME, str(folder))


def test_older_and_shorter_configurations(vit: Backbone, tmp_path: Path) -> None:
    """The first CLIPs of transformers say `text_config_dict`; a number may stand for a size; no processor."""
    folder = repository(tmp_path / "clone", "transformers", vit.clip.state_dict())
    config = transformers_config()
    old = {k: v for k, v in config.items() if not k.endswith("_config")}
    old |= {f"{name}_config_dict": config[f"{name}_config"] for name in ("text", "vision")}
    (folder / "config.json").write_text(json.dumps(old))
    (folder / "preprocessor_config.json").unlink()
    loaded = load_backbone(NAME, str(folder))
    assert loaded.mean == open_clip.OPENAI_DATASET_MEAN and loaded.image_size == 32
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        load_backbone(NAME, str(folder))
