"""Frozen CLIP models: the bundled one, open_clip's, and local files."""

from raysim.backbones.registry import Backbone, load_backbone

__all__ = ["Backbone", "load_backbone"]
