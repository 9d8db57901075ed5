"""A frozen CLIP as raysim uses it.

Shapes: N images, S x S pixels, M patches, d embedding, T texts, L context length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from raysim.backbones import tokens
from raysim.core.errors import UserError
from raysim.nn.text import TextTower


@dataclass(frozen=True, eq=False)
class Backbone:
    """Frozen CLIP with its tokenizer and preprocessing.

    The whole CLIP is loaded when it is first needed. A process that trains prompts on cached features needs
    its text tower only, and does not import open_clip, which takes two seconds.

    Args:
        name: Name, as in `task.backbone`.
        fingerprint: SHA-256 over weights, architecture and preprocessing; it does not depend on the path.
        embed_dim: Size d of an image or text feature.
        image_size: Side S of an image in pixels.
        context_length: Length L of a tokenised text.
        logit_scale: Factor of the cosines in the logits (exp of the stored parameter; 100 for OpenAI's).
        device: Device of the weights.
        preprocessing: Settings of open_clip's validation transform (`open_clip.transform.PreprocessCfg`).
        load_clip: Returns the `open_clip.CLIP`, in evaluation mode, float32, without gradients.
        load_tower: Returns its text tower; UserError where prompts cannot be learned through it.
        seen_tokens: Token ids that occurred in pretraining; None where unknown.
    """

    name: str
    fingerprint: str
    embed_dim: int
    image_size: int
    context_length: int
    logit_scale: float
    device: torch.device
    preprocessing: dict[str, Any]
    load_clip: Callable[[], Any]
    load_tower: Callable[[], TextTower]
    seen_tokens: frozenset[int] | None = None

    @cached_property
    def clip(self) -> Any:
        """The `open_clip.CLIP`, on the device."""
        with torch.inference_mode(False):  # a method may train through weights that an evaluation loaded
            return self.load_clip()

    @cached_property
    def tower(self) -> TextTower:
        """The text tower for learned prompts, on the device."""
        with torch.inference_mode(False):
            return self.load_tower().to(self.device)

    @cached_property
    def tokenizer(self) -> Any:
        """Tokenizer of open_clip."""
        return tokens.tokenizer(self.context_length)

    @cached_property
    def transform(self) -> Callable[[Any], torch.Tensor]:
        """Validation transform of open_clip, for a PIL image."""
        from open_clip.transform import PreprocessCfg, image_transform_v2

        transform: Callable[[Any], torch.Tensor] = image_transform_v2(
            PreprocessCfg(**self.preprocessing), is_train=False
        )
        return transform

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, which `preprocess` subtracts."""
        return tuple(self.preprocessing["mean"])

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, by which `preprocess` divides."""
        return tuple(self.preprocessing["std"])

    def tokenize(self, texts: Sequence[str]) -> torch.Tensor:
        """Return token ids [T, L] int64, each row [SOS] .. [EOT] 0 .. 0; longer texts are cut."""
        ids: torch.Tensor = self.tokenizer(list(texts), context_length=self.context_length)
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
