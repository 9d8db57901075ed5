"""Registry of the frozen CLIP backbones.

The names are `scenes-clip` (bundled), `ARCH/TAG` (open_clip's, e.g. `ViT-B-16/openai`), `ARCH/random`, the
published remote-sensing weights in `raysim.backbones.published`, `hf-hub:ORG/REPO` (a repository of Hugging
Face in the layout of open_clip or transformers), what plug-ins add (`raysim.backbones.own`), and for a path
to any other file or folder the architecture: `ViT-B-32`, or `ViT-B-32-quickgelu` where the weights descend
from OpenAI's. A path replaces every download.

Shapes: N images, S x S pixels, M patches, d embedding, T texts, L context length.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from raysim.backbones import hub, own, weights
from raysim.backbones.published import PUBLISHED, published_file
from raysim.backbones.weights import Source
from raysim.core.config import canonical_json, unknown_name
from raysim.core.errors import UserError

BUNDLED = "scenes-clip"
FILES = {name: entry.source for name, entry in PUBLISHED.items()}
DOWNLOADS = ("ViT-B-32/openai", "ViT-B-32/laion2b_s34b_b79k", "ViT-B-16/openai", "ViT-B-16/laion2b_s34b_b88k")
RANDOM = ("ViT-B-32/random", "ViT-B-16/random")


@dataclass(frozen=True, eq=False)
class Backbone:
    """Frozen CLIP with its tokenizer and preprocessing.

    Args:
        name: Name, as in `task.backbone`.
        fingerprint: SHA-256 over weights, architecture and preprocessing; it does not depend on the path.
        clip: `open_clip.CLIP`, in evaluation mode, float32, without gradients.
        transform: Validation transform of open_clip, for a PIL image.
        tokenizer: Tokenizer of open_clip.
        mean: Mean of each channel, which `preprocess` subtracts.
        std: Standard deviation of each channel, by which it divides.
        seen_tokens: Token ids that occurred in pretraining; None where unknown.
    """

    name: str
    fingerprint: str
    clip: Any
    transform: Callable[[Any], torch.Tensor]
    tokenizer: Any
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seen_tokens: frozenset[int] | None = None

    @property
    def embed_dim(self) -> int:
        """Size d of an image or text feature."""
        return int(self.clip.visual.output_dim)

    @property
    def image_size(self) -> int:
        """Side S of an image in pixels."""
        size = self.clip.visual.image_size
        return int(size if isinstance(size, int) else size[0])

    @property
    def logit_scale(self) -> float:
        """Factor of the cosines in the logits (exp of the stored parameter; 100 for OpenAI's)."""
        return float(self.clip.logit_scale.exp())

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        device: torch.device = self.clip.logit_scale.device
        return device

    def tokenize(self, texts: Sequence[str]) -> torch.Tensor:
        """Return token ids [T, L] int64, each row [SOS] .. [EOT] 0 .. 0; longer texts are cut."""
        ids: torch.Tensor = self.tokenizer(list(texts), context_length=self.clip.context_length)
        return ids

    def unseen_words(self, texts: Sequence[str]) -> list[str]:
        """Return the words with a token that pretraining did not use; none where that is unknown."""
        if self.seen_tokens is None:
            return []
        words = dict.fromkeys(word for text in texts for word in re.findall(r"[^\W_]+", text.lower()))
        return [word for word in words if not self.seen_tokens.issuperset(self.tokenizer.encode(word))]

    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        """Return an image [H, W, 3] uint8 RGB resized, cropped and standardised, [3, S, S] float32."""
        from PIL import Image

        return self.transform(Image.fromarray(image))

    @torch.no_grad()
    def encode_images(self, images: torch.Tensor, patches: bool = False) -> torch.Tensor:
        """Compute image features on the backbone's device.

        Args:
            images: Images as `preprocess` returns them. [N, 3, S, S]
            patches: Whether to add the patch features in the same space: for a ViT every token after the last
                layer norm and the projection (as PLOT and FedOTP do), for a ResNet every position after the
                pool's value and output projections.

        Returns:
            Features [N, d], or [N, 1 + M, d] with the pooled feature first; each of L2 norm 1, float32, on
            the CPU.

        Raises:
            UserError: Patches are wanted of an image tower that is neither a ViT nor a ResNet.
        """
        images = images.to(self.device, torch.float32)
        features = self._all_tokens(images) if patches else self.clip.encode_image(images)
        return F.normalize(features.float(), dim=-1).cpu()

    def _all_tokens(self, images: torch.Tensor) -> torch.Tensor:
        """Return the pooled feature and the patch features, [N, 1 + M, d], not normalised."""
        from open_clip.modified_resnet import ModifiedResNet
        from open_clip.transformer import VisionTransformer

        visual = self.clip.visual
        if isinstance(visual, ModifiedResNet):
            outputs = visual.forward_intermediates(images, indices=1)
            positions = outputs["image_intermediates"][-1].flatten(2).transpose(1, 2)
            tokens = visual.attnpool.c_proj(visual.attnpool.v_proj(positions))
        elif (
            isinstance(visual, VisionTransformer)
            and visual.pool_type == "tok"
            and visual.attn_pool is None
            and visual.proj is not None
        ):
            outputs = visual.forward_intermediates(
                images, indices=1, normalize_intermediates=True, output_fmt="NLC"
            )
            tokens = outputs["image_intermediates"][-1] @ visual.proj
        else:
            raise UserError(
                f"{self.name}: its image tower has no patch features in the text's space; use a ViT or "
                "ResNet CLIP"
            )
        return torch.cat([outputs["image_features"].unsqueeze(1), tokens], dim=1)


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
    import open_clip

    if name == BUNDLED:
        return _bundled(path, device)
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
    from open_clip.transform import PreprocessCfg

    from raysim.backbones import bundled

    clip, card = bundled.load()
    clip.visual.preprocess_cfg = vars(
        PreprocessCfg(size=card["image_size"], mean=tuple(card["mean"]), std=tuple(card["std"]))
    )
    return _backbone(BUNDLED, clip, BUNDLED, device, frozenset(card["seen_tokens"]))


def _backbone(
    name: str, clip: Any, description: str, device: str, seen_tokens: frozenset[int] | None = None
) -> Backbone:
    """Freeze a model and put it together with its tokenizer and preprocessing."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    if not isinstance(clip, open_clip.CLIP):
        raise UserError(
            f"task.backbone={name} is a {type(clip).__name__}, whose text tower is not CLIP's: use a CLIP, "
            "e.g. ViT-B-32"
        )
    clip = clip.float().eval().requires_grad_(False)
    preprocess = PreprocessCfg(**clip.visual.preprocess_cfg)
    return Backbone(
        name=name,
        fingerprint=_fingerprint(clip, description, vars(preprocess)),
        clip=clip.to(device),
        transform=image_transform_v2(preprocess, is_train=False),
        tokenizer=open_clip.SimpleTokenizer(context_length=clip.context_length),
        mean=tuple(preprocess.mean),
        std=tuple(preprocess.std),
        seen_tokens=seen_tokens,
    )


def _quick_gelu(clip: Any) -> bool:
    """Return whether a model has QuickGELU as its activation."""
    from open_clip.transformer import QuickGELU

    return any(isinstance(module, QuickGELU) for module in clip.modules())


def _fingerprint(clip: Any, description: str, preprocess: dict[str, Any]) -> str:
    """Return the SHA-256 over architecture, preprocessing and weights, in hex."""
    digest = hashlib.sha256(canonical_json([description, preprocess]).encode())
    for name, weight in sorted(clip.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).numpy())
    return digest.hexdigest()
