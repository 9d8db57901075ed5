"""Registry of the frozen CLIP backbones.

The names are `scenes-clip` (bundled), `ARCH/TAG` (open_clip's, e.g. `ViT-B-16/openai`), `ARCH/random`, the
published remote-sensing weights in `raysim.backbones.published`, `hf-hub:ORG/REPO` (a repository of Hugging
Face in the layout of open_clip or transformers), what plug-ins add (`raysim.backbones.own`), and for a path
to any other file or folder the architecture: `ViT-B-32`, or `ViT-B-32-quickgelu` where the weights descend
from OpenAI's. A path replaces every download.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from raysim.backbones import bundled, hub, own, weights
from raysim.backbones.backbone import Backbone
from raysim.backbones.published import PUBLISHED, published_file
from raysim.backbones.weights import Source
from raysim.core.config import canonical_json, unknown_name
from raysim.core.errors import UserError
from raysim.nn.text import TextTower

BUNDLED = "scenes-clip"
FILES = {name: entry.source for name, entry in PUBLISHED.items()}
DOWNLOADS = ("ViT-B-32/openai", "ViT-B-32/laion2b_s34b_b79k", "ViT-B-16/openai", "ViT-B-16/laion2b_s34b_b88k")
RANDOM = ("ViT-B-32/random", "ViT-B-16/random")


def load_backbone(name: str = BUNDLED, path: str | None = None, device: str = "cpu") -> Backbone:
    """Load a frozen backbone by its name.

    Args:
        name: Name, as the module's docstring lists them.
        path: Weight file, folder with one weight file, or folder in the layout of open_clip or transformers.
            It replaces the download. Activation and preprocessing are those of the name, and with a folder
            that describes itself the folder's.
        device: Device on which it computes.

    Raises:
        UserError: Unknown name, weights that cannot be loaded, or a file that does not fit.
    """
    if name == BUNDLED:
        return _bundled(path, device)
    import open_clip

    if name.startswith(hub.SCHEME):
        return _backbone(name, *hub.from_hub(name, path), device)
    if name in own.BACKBONES:
        return _backbone(name, own.make(name, path), name, device)
    source = _source(name)
    described = _described(path)
    if described is None:
        return _backbone(name, _weights(name, source, path), source.description, device)
    config, load = described
    clip, description = load(config.parent)
    if _quick_gelu(clip) != source.quick_gelu:
        raise UserError(
            f"{config} says quick_gelu = {_quick_gelu(clip)}, task.backbone={name} the opposite: "
            f"use {source.architecture if source.quick_gelu else source.architecture + '-quickgelu'}"
        )
    if isinstance(clip, open_clip.CLIP):
        weights.refuse_other_architecture(source, clip, config)
    return _backbone(name, clip, description, device)


def _described(path: str | None) -> tuple[Path, Callable[[Path], tuple[Any, str]]] | None:
    """Return the configuration in a folder that describes its weights, and what loads them."""
    if path is None:
        return None
    own, transformers = Path(path) / weights.DIRECTORY_CONFIG, Path(path) / weights.TRANSFORMERS_CONFIG
    if own.is_file():
        return own, weights.from_directory
    return (transformers, hub.from_transformers_folder) if transformers.is_file() else None


def _weights(name: str, source: Source, path: str | None) -> Any:
    """Return the model of a name, with weights from the path, the download or a seed."""
    if path is not None:
        if name.endswith("/random"):
            raise UserError(f"task.backbone={name} takes no task.backbone_path: its weights are random")
        return weights.from_file(source, Path(path))
    if name.endswith("/random"):
        return weights.random(source)
    if source.tag:
        return weights.downloaded(source)
    if name in PUBLISHED:
        return weights.from_file(source, published_file(name))
    raise UserError(
        f"task.backbone={name} needs a local file, task.backbone_path=/path/file: or name published weights, "
        f"for example ViT-B-32/openai; the remote-sensing ones are {', '.join(PUBLISHED)}"
    )


def _source(name: str) -> Source:
    """Return architecture, activation and tag of a name."""
    import open_clip

    if name in FILES:
        return FILES[name]
    spelled, _, tag = name.partition("/")
    architecture = spelled.removesuffix("-quickgelu")
    if architecture not in open_clip.list_models():
        names = [
            BUNDLED,
            *FILES,
            *DOWNLOADS,
            *RANDOM,
            "any ARCH/TAG of open_clip",
            "hf-hub:ORG/REPO",
            "any ARCH with task.backbone_path",
            *own.BACKBONES,
        ]
        raise unknown_name("backbone", name, names)
    quick_gelu = spelled.endswith("-quickgelu") or bool(
        open_clip.get_model_config(architecture).get("quick_gelu", False)
    )
    if tag in ("", "random"):
        return Source(architecture, quick_gelu)
    source = Source(architecture, quick_gelu, tag)
    if not source.tag_config:
        tags = sorted(
            {
                *open_clip.list_pretrained_tags_by_model(architecture),
                *open_clip.list_pretrained_tags_by_model(spelled),
                "random",
            }
        )
        raise unknown_name(f"weights of {architecture}", tag, tags)
    trained_with = bool(source.tag_config.get("quick_gelu", False))
    if quick_gelu and not trained_with:
        raise UserError(
            f"task.backbone={name}: '{tag}' was trained without QuickGELU; use {architecture}/{tag}"
        )
    return Source(architecture, trained_with, tag)


def _bundled(path: str | None, device: str) -> Backbone:
    """Load the bundled backbone."""
    if path is not None:
        raise UserError(
            f"task.backbone_path = {path}: which architecture is it? Set task.backbone=ViT-B-32, or "
            "task.backbone=ViT-B-32-quickgelu "
            "if the weights descend from OpenAI's (the file does not say which, and the wrong one loses "
            "accuracy without an error); "
            f"{BUNDLED} itself needs no path"
        )
    weights, card = bundled.read()
    preprocessing = card["preprocessing"]
    return Backbone(
        name=BUNDLED,
        fingerprint=_fingerprint(weights, BUNDLED, preprocessing),
        embed_dim=card["architecture"]["embed_dim"],
        image_size=preprocessing["size"],
        context_length=card["architecture"]["text_cfg"]["context_length"],
        logit_scale=float(weights["logit_scale"].exp()),
        device=torch.device(device),
        preprocessing=preprocessing,
        load_clip=lambda: bundled.load()[0].to(device),
        load_tower=lambda: bundled.tower(weights, card["architecture"]),
        seen_tokens=frozenset(card["seen_tokens"]),
    )


def _backbone(name: str, clip: Any, description: str, device: str) -> Backbone:
    """Freeze a model and put it together with its tokenizer and preprocessing."""
    import open_clip
    from open_clip.transform import PreprocessCfg

    if not isinstance(clip, open_clip.CLIP):
        raise UserError(
            f"task.backbone={name} is a {type(clip).__name__}, whose text tower is not CLIP's: use a CLIP, "
            "e.g. ViT-B-32"
        )
    clip = clip.float().eval().requires_grad_(False)
    preprocessing = vars(PreprocessCfg(**clip.visual.preprocess_cfg))
    fingerprint = _fingerprint(clip.state_dict(), description, preprocessing)
    size, clip = clip.visual.image_size, clip.to(device)
    return Backbone(
        name=name,
        fingerprint=fingerprint,
        embed_dim=int(clip.visual.output_dim),
        image_size=int(size if isinstance(size, int) else size[0]),
        context_length=clip.context_length,
        logit_scale=float(clip.logit_scale.exp()),
        device=clip.logit_scale.device,
        preprocessing=preprocessing,
        load_clip=lambda: clip,
        load_tower=lambda: TextTower.from_clip(clip),
    )


def _quick_gelu(clip: Any) -> bool:
    """Return whether a model has QuickGELU as its activation."""
    from open_clip.transformer import QuickGELU

    return any(isinstance(module, QuickGELU) for module in clip.modules())


def _fingerprint(weights: Mapping[str, torch.Tensor], description: str, preprocess: dict[str, Any]) -> str:
    """Return the SHA-256 over architecture, preprocessing and weights, in hex."""
    digest = hashlib.sha256(canonical_json([description, preprocess]).encode())
    for name, weight in sorted(weights.items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        values: Any = weight.detach().cpu().contiguous().reshape(-1).numpy()
        digest.update(values)
    return digest.hexdigest()
