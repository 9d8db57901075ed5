"""Bundled backbone `scenes-clip`: a small open_clip CLIP, pretrained on captions of the bundled scenes.

Only the rows of the token embedding that pretraining used are stored. The others are drawn at loading with a
fixed seed, so that unknown words still differ from each other.

Shapes: V vocabulary, w text width.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng

FOLDER = Path(__file__).parent
WEIGHTS = "scenes_clip.safetensors"
CARD = "scenes_clip.json"
EMBEDDING = "token_embedding.weight"


def load(folder: Path | None = None) -> tuple[Any, dict[str, Any]]:
    """Load the model and its record.

    Args:
        folder: Folder of `scenes_clip.safetensors` and `scenes_clip.json`; None takes those of the package.

    Returns:
        An `open_clip.CLIP` in evaluation mode, frozen, float32; and its record: sha256, image_size, mean,
        std, seen_tokens (the ids that pretraining used), architecture, templates and pretraining.

    Raises:
        UserError: A file is missing or damaged.
    """
    from safetensors.torch import load as parse

    folder = folder or FOLDER
    weights, card_file = folder / WEIGHTS, folder / CARD
    for file in (weights, card_file):
        if not file.is_file():
            raise UserError(f"the bundled backbone's file {file} is missing: install raysim again")
    try:
        card = json.loads(card_file.read_text())
        expected, seen = card["sha256"], card["seen_tokens"]
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"the bundled backbone's record {card_file} is damaged: install raysim again"
        ) from None
    content = weights.read_bytes()
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise UserError(
            f"the bundled backbone's file {weights} is damaged (sha256 {actual[:12]}, expected "
            f"{expected[:12]}): install raysim again"
        )
    clip = build(card["architecture"])
    state = {name: tensor.float() for name, tensor in parse(content).items()}
    rows = torch.from_numpy(unseen_rows(*clip.token_embedding.weight.shape))
    rows[seen] = state[EMBEDDING]
    counters = {
        name: value for name, value in clip.state_dict().items() if name.endswith("num_batches_tracked")
    }
    clip.load_state_dict({**counters, **state, EMBEDDING: rows}, strict=True)
    return clip.eval().requires_grad_(False), {**card, "seen_tokens": set(seen)}


def build(architecture: dict[str, Any]) -> Any:
    """Build an `open_clip.CLIP` with untrained weights.

    Args:
        architecture: `embed_dim`, `vision_cfg`, `text_cfg` and `quick_gelu`, as in open_clip's model
            configurations.
    """
    from open_clip import CLIP, CLIPTextCfg, CLIPVisionCfg

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CLIP(
            architecture["embed_dim"],
            CLIPVisionCfg(**architecture["vision_cfg"]),
            CLIPTextCfg(**architecture["text_cfg"]),
            quick_gelu=architecture["quick_gelu"],
        )


def unseen_rows(vocabulary: int, width: int) -> np.ndarray:
    """Draw the embeddings [V, w] float32 of unseen words: normal with deviation 0.02, by a fixed seed."""
    return numpy_rng(0, "unseen tokens").standard_normal((vocabulary, width), dtype=np.float32) * np.float32(
        0.02
    )
