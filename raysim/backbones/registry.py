"""The registry of frozen CLIP backbones.

Names: `scenes-clip` (bundled), `ARCH/TAG` (open_clip's, e.g. `ViT-B-16/openai`), `ARCH/random`, the published
remote-sensing weights in `FILES` (with a path), and with a path to any file or folder simply the
architecture: `ViT-B-32`, or `ViT-B-32-quickgelu` where the weights descend from OpenAI's.

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

from raysim.backbones import weights
from raysim.backbones.weights import Source
from raysim.core.config import canonical, unknown
from raysim.core.errors import UserError

BUNDLED = "scenes-clip"
FILES = {
    # Both continue OpenAI's weights. RemoteCLIP's own example loads them into a model with plain GELU;
    # task.backbone=ViT-B-32 does that.
    "RemoteCLIP-ViT-B-32": Source(
        "ViT-B-32", True, where="https://huggingface.co/chendelong/RemoteCLIP (RemoteCLIP-ViT-B-32.pt)"
    ),
    "GeoRSCLIP-ViT-B-32": Source(
        "ViT-B-32", True, where="https://huggingface.co/Zilun/GeoRSCLIP (ckpt/RS5M_ViT-B-32.pt)"
    ),
}
DOWNLOADS = ("ViT-B-32/openai", "ViT-B-32/laion2b_s34b_b79k", "ViT-B-16/openai", "ViT-B-16/laion2b_s34b_b88k")
RANDOM = ("ViT-B-32/random", "ViT-B-16/random")


@dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen CLIP with its tokenizer and preprocessing.

    Args:
        name: As asked for.
        fingerprint: SHA-256 over weights, architecture and preprocessing; the same for the same weights from
            another path.
        clip: `open_clip.CLIP`, in evaluation mode, float32, without gradients.
        transform: open_clip's validation transform, on a PIL image.
        tokenizer: open_clip's.
        mean: Per channel, as `preprocess` subtracts it.
        std: Per channel.
        seen_tokens: Token ids that occurred in pretraining, where that is known.
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
        """d: size of an image or text feature."""
        return int(self.clip.visual.output_dim)

    @property
    def image_size(self) -> int:
        """S: pixels a side."""
        size = self.clip.visual.image_size
        return int(size if isinstance(size, int) else size[0])

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by (exp of the stored parameter; 100 for OpenAI's)."""
        return float(self.clip.logit_scale.exp())

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        device: torch.device = self.clip.logit_scale.device
        return device

    def tokenize(self, texts: Sequence[str]) -> torch.Tensor:
        """[T, L] int64 token ids, each row [SOS] .. [EOT] 0 .. 0; longer texts are cut."""
        ids: torch.Tensor = self.tokenizer(list(texts), context_length=self.clip.context_length)
        return ids

    def unseen_words(self, texts: Sequence[str]) -> list[str]:
        """Words, in order of appearance, with a token that pretraining never saw; empty where that is not known."""
        if self.seen_tokens is None:
            return []
        words = dict.fromkeys(word for text in texts for word in re.findall(r"[^\W_]+", text.lower()))
        return [word for word in words if not self.seen_tokens.issuperset(self.tokenizer.encode(word))]

    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        """[H, W, 3] uint8 RGB -> [3, S, S] float32, resized, cropped and normalised."""
        from PIL import Image

        return self.transform(Image.fromarray(image))

    @torch.no_grad()
    def encode_images(self, images: torch.Tensor, patches: bool = False) -> torch.Tensor:
        """Image features, computed on the backbone's device.

        Args:
            images: [N, 3, S, S] as `preprocess` makes them.
            patches: Also the patch features in the same space: for a ViT every token through the last layer
                norm and the projection (as PLOT and FedOTP do), for a ResNet every position through the
                pool's value and output projections.

        Returns:
            [N, d], or [N, 1 + M, d] with the pooled feature first; each of L2 norm 1, float32, on the CPU.

        Raises:
            UserError: Patches of an image tower that is neither of the two.
        """
        images = images.to(self.device, torch.float32)
        features = self._all_tokens(images) if patches else self.clip.encode_image(images)
        return F.normalize(features.float(), dim=-1).cpu()

    def _all_tokens(self, images: torch.Tensor) -> torch.Tensor:
        from open_clip.modified_resnet import ModifiedResNet
        from open_clip.transformer import VisionTransformer

        visual = self.clip.visual
        if isinstance(visual, ModifiedResNet):
            found = visual.forward_intermediates(images, indices=1)
            positions = found["image_intermediates"][-1].flatten(2).transpose(1, 2)
            tokens = visual.attnpool.c_proj(visual.attnpool.v_proj(positions))
        elif (
            isinstance(visual, VisionTransformer)
            and visual.pool_type == "tok"
            and visual.attn_pool is None
            and visual.proj is not None
        ):
            found = visual.forward_intermediates(
                images, indices=1, normalize_intermediates=True, output_fmt="NLC"
            )
            tokens = found["image_intermediates"][-1] @ visual.proj
        else:
            raise UserError(
                f"{self.name}: its image tower has no patch features in the text's space; use a ViT or "
                "ResNet CLIP"
            )
        return torch.cat([found["image_features"].unsqueeze(1), tokens], dim=1)


def load_backbone(name: str = BUNDLED, path: str | None = None, device: str = "cpu") -> Backbone:
    """A frozen backbone by name.

    Args:
        name: See the module's text.
        path: A weight file, a folder with one weight file, or a folder in open_clip's layout. With `ARCH/TAG`
            and the names in `FILES` it replaces the download and keeps what the name says about activation
            and preprocessing.
        device: Where it computes.

    Raises:
        UserError: Unknown name, weights that cannot be had, or a file that does not fit.
    """
    if name == BUNDLED:
        return _bundled(path, device)
    source = _source(name)
    if path is not None and (Path(path) / weights.DIRECTORY_CONFIG).is_file():
        clip, description = weights.from_directory(Path(path))
        if _quick_gelu(clip) != source.quick_gelu:
            raise UserError(
                f"{Path(path) / weights.DIRECTORY_CONFIG} says quick_gelu = {_quick_gelu(clip)}, "
                f"task.backbone={name} the opposite: "
                f"use {source.architecture if source.quick_gelu else source.architecture + '-quickgelu'}"
            )
    else:
        clip, description = _weights(name, source, path), source.description
    return _backbone(name, clip, description, device)


def _weights(name: str, source: Source, path: str | None) -> Any:
    if path is not None:
        if name.endswith("/random"):
            raise UserError(f"task.backbone={name} takes no task.backbone_path: its weights are drawn")
        return weights.from_file(source, Path(path))
    if name.endswith("/random"):
        return weights.random(source)
    if source.tag:
        return weights.downloaded(source)
    hint = (
        f"download it from {source.where}"
        if source.where
        else "or name published weights, for example ViT-B-32/openai"
    )
    raise UserError(f"task.backbone={name} needs a local file, task.backbone_path=/path/file: {hint}")


def _source(name: str) -> Source:
    """What a name says: architecture, activation, tag."""
    import open_clip

    if name in FILES:
        return FILES[name]
    given, _, tag = name.partition("/")
    architecture = given.removesuffix("-quickgelu")
    if architecture not in open_clip.list_models():
        known = [
            BUNDLED,
            *FILES,
            *DOWNLOADS,
            *RANDOM,
            "any ARCH/TAG of open_clip",
            "any ARCH with task.backbone_path",
        ]
        raise unknown("backbone", name, known)
    quick_gelu = given.endswith("-quickgelu") or bool(
        open_clip.get_model_config(architecture).get("quick_gelu", False)
    )
    if tag in ("", "random"):
        return Source(architecture, quick_gelu)
    source = Source(architecture, quick_gelu, tag)
    if not source.tag_config:
        tags = sorted(
            {
                *open_clip.list_pretrained_tags_by_model(architecture),
                *open_clip.list_pretrained_tags_by_model(given),
                "random",
            }
        )
        raise unknown(f"weights of {architecture}", tag, tags)
    trained_so = bool(source.tag_config.get("quick_gelu", False))
    if quick_gelu and not trained_so:
        raise UserError(
            f"task.backbone={name}: '{tag}' was trained without QuickGELU; use {architecture}/{tag}"
        )
    return Source(architecture, trained_so, tag)


def _bundled(path: str | None, device: str) -> Backbone:
    if path is not None:
        raise UserError(
            f"task.backbone_path = {path}: which architecture is it? Say task.backbone=ViT-B-32, or "
            "task.backbone=ViT-B-32-quickgelu "
            "if the weights descend from OpenAI's (the file does not tell, and the wrong one loses "
            "accuracy in silence); "
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
    name: str, clip: Any, description: str, device: str, seen: frozenset[int] | None = None
) -> Backbone:
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
        seen_tokens=seen,
    )


def _quick_gelu(clip: Any) -> bool:
    from open_clip.transformer import QuickGELU

    return any(isinstance(module, QuickGELU) for module in clip.modules())


def _fingerprint(clip: Any, description: str, preprocess: dict[str, Any]) -> str:
    digest = hashlib.sha256(canonical([description, preprocess]).encode())
    for name, weight in sorted(clip.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).numpy())
    return digest.hexdigest()
