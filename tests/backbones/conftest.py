"""Fixtures: tiny CLIPs that open_clip knows, and a file of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub.constants
import open_clip
import pytest
from safetensors.torch import save_file

from raysim.backbones.backbone import Backbone
from raysim.backbones.registry import load_backbone
from tests.fakes.clips import RESNET, TINY


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
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty local cache of Hugging Face's hub, which is switched off."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def vit() -> Backbone:
    return load_backbone("tiny-vit/random")


@pytest.fixture
def weight_file(vit: Backbone, tmp_path: Path) -> Path:
    save_file(vit.clip.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"
