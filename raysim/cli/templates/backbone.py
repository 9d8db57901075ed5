"""TITLE: a frozen CLIP of my own.

raysim check FILE [--path WEIGHTS]       does it keep what raysim relies on?
raysim run task.backbone=NAME --plugin FILE
"""

from __future__ import annotations

from typing import Any

import open_clip

from raysim import BACKBONES


def make(path: str | None) -> Any:
    """Return an `open_clip.CLIP`.

    Args:
        path: `task.backbone_path`: here a file of weights in open_clip's layout; None: random weights, which
            are the same each time.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        # Any architecture of open_clip, or open_clip.CLIP(embed_dim, vision_cfg, text_cfg).
        # `visual.preprocess_cfg` says how images are resized and standardised; create_model sets it.
        return open_clip.create_model("ViT-B-32", pretrained=path)


BACKBONES.add(make, name="NAME")
