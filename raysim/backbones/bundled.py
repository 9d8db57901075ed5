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
from raysim.core.types import Tensors
from raysim.nn.text import TextTower

FOLDER = Path(__file__).parent
WEIGHTS = "scenes_clip.safetensors"
CARD = "scenes_clip.json"
EMBEDDING = "token_embedding.weight"


def load(folder: Path | None = None) -> tuple[Any, dict[str, Any]]:
    """Load the model and its record.

    Args:
        folder: As for `read`.

    Returns:
        An `open_clip.CLIP` in evaluation mode, frozen, float32; and its record.

    Raises:
        UserError: A file is missing or damaged.
    """
    weights, card = read(folder)
    clip = build(card["architecture"])
    clip.load_state_dict(weights, strict=True)
    return clip.eval().requires_grad_(False), card


def read(folder: Path | None = None) -> tuple[Tensors, dict[str, Any]]:
    """Read the weights of the model and its record.

    Args:
        folder: Folder of `scenes_clip.safetensors` and `scenes_clip.json`; None takes those of the package.

    Returns:
        The state of the `open_clip.CLIP`, float32; and its record: sha256, preprocessing, seen_tokens (the
        ids that pretraining used), architecture, templates and pretraining.

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
        expected, seen, text = card["sha256"], card["seen_tokens"], card["architecture"]["text_cfg"]
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
    state = {name: tensor.float() for name, tensor in parse(content).items()}
    rows = torch.from_numpy(unseen_rows(text["vocab_size"], text["width"]))
    rows[seen] = state[EMBEDDING]
    norms = [name.removesuffix("running_mean") for name in state if name.endswith("running_mean")]
    counters = {f"{name}num_batches_tracked": torch.tensor(0) for name in norms}
    return {**counters, **state, EMBEDDING: rows}, {**card, "seen_tokens": set(seen)}


def tower(weights: Tensors, architecture: dict[str, Any]) -> TextTower:
    """Return the text tower of the model without the model.

    Args:
        weights: As `read` returns them.
        architecture: That of the record.
    """
    text = architecture["text_cfg"]
    return TextTower.from_tensors(
        weights,
        heads=text["heads"],
        act="quick_gelu" if architecture["quick_gelu"] else "none",
        eps=1e-5,
        sos=text["vocab_size"] - 2,
        eot=text["vocab_size"] - 1,
    )


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
