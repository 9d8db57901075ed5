"""Backbones that plug-ins add: functions that return a CLIP of open_clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raysim.core.errors import UserError, first_cause
from raysim.core.registry import Registry

Maker = Callable[[str | None], Any]


def _check(name: str, thing: object) -> None:
    """Raise UserError where a thing cannot make a backbone, or its name is one of raysim's forms."""
    if not callable(thing):
        raise UserError(
            f"'{name}' is {thing!r}; it should be a function of a path that returns an open_clip.CLIP"
        )
    import open_clip  # heavy: only a process that adds a backbone needs it here

    if name.removesuffix("-quickgelu") in open_clip.list_models():
        raise UserError(
            f"backbone '{name}': this is the name of an architecture of open_clip; choose another name"
        )


BACKBONES: Registry[Maker] = Registry("backbone", {}, _check)


def make(name: str, path: str | None) -> Any:
    """Return the CLIP of an added backbone.

    Args:
        name: A name in `BACKBONES`.
        path: `task.backbone_path`; None where there is none.

    Returns:
        An `open_clip.CLIP` whose image tower has its preprocessing (`visual.preprocess_cfg`).

    Raises:
        UserError: The function failed, or what it returned is something else.
    """
    try:
        clip = BACKBONES[name](path)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"backbone '{name}' (task.backbone_path = {path}): {first_cause(error)}") from None
    if not hasattr(getattr(clip, "visual", None), "preprocess_cfg"):
        raise UserError(
            f"backbone '{name}' returned a {type(clip).__name__} without visual.preprocess_cfg; return what "
            "open_clip.create_model returns, or set visual.preprocess_cfg (size, mean, std)"
        )
    return clip
