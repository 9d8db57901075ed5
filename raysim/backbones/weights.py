"""Building an open_clip CLIP and filling it with weights: every way that can fail is one clear `UserError`."""

from __future__ import annotations

import logging
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from raysim.core.config import canonical
from raysim.core.errors import UserError
from raysim.core.seeds import derive

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
DIRECTORY_CONFIG = "open_clip_config.json"


@dataclass(frozen=True)
class Source:
    """What a backbone's name says about its weights.

    Args:
        architecture: open_clip's name, without `-quickgelu`.
        quick_gelu: Whether the weights were trained with QuickGELU. Nothing in a weight file tells; a wrong
            flag costs accuracy in silence.
        tag: open_clip's name of downloadable weights.
        where: Where a person finds the file, for weights that open_clip does not know.
    """

    architecture: str
    quick_gelu: bool
    tag: str | None = None
    where: str = ""

    @property
    def spelled(self) -> str:
        """The architecture with its activation in the name."""
        return f"{self.architecture}-quickgelu" if self.quick_gelu else self.architecture

    @property
    def description(self) -> str:
        """The architecture as canonical JSON, for the fingerprint."""
        import open_clip

        return canonical({**open_clip.get_model_config(self.architecture), "quick_gelu": self.quick_gelu})

    @property
    def tag_config(self) -> dict[str, Any]:
        """open_clip's record of the tag: preprocessing and where the weights are; empty without a tag."""
        import open_clip

        known = [self.spelled, self.architecture]
        return next(
            (
                dict(cfg)
                for name in known
                if self.tag and (cfg := open_clip.get_pretrained_cfg(name, self.tag))
            ),
            {},
        )


def downloaded(source: Source) -> Any:
    """The model with open_clip's own weights, from its cache or the hub.

    Raises:
        UserError: They can be had from neither.
    """
    from open_clip.pretrained import download_pretrained

    cfg = source.tag_config
    try:
        with _quiet():
            file = download_pretrained(cfg)
    except Exception as error:  # the hub's client has many kinds of failure
        tried = cfg.get("hf_hub") or cfg.get("url")
        offline = os.environ.get("HF_HUB_OFFLINE", "")
        raise UserError(
            f"the weights '{source.tag}' of {source.architecture} cannot be had: they are in no local "
            f"cache, and {tried} "
            f"{f'was not asked (HF_HUB_OFFLINE={offline})' if offline else 'cannot be reached'} "
            f"({_short(error)}). "
            f"Name a file: task.backbone={source.architecture}/{source.tag} "
            "task.backbone_path=/path/file.safetensors; "
            "or use the bundled task.backbone=scenes-clip, which needs no download"
        ) from None
    return from_file(source, Path(file))


def from_file(source: Source, path: Path) -> Any:
    """The model with the weights of a file, or of the only weight file in a folder.

    Raises:
        UserError: No such file, not weights, or weights of another architecture.
    """
    import open_clip

    file = _only_file(path)
    scripted = zipfile.is_zipfile(file) and any(
        name.endswith("/constants.pkl") for name in zipfile.ZipFile(file).namelist()
    )
    if scripted and not source.quick_gelu:
        raise UserError(
            f"{file} is an archive as OpenAI publishes them, trained with QuickGELU: use "
            f"task.backbone={source.architecture}-quickgelu"
        )
    clip = _empty(source)
    try:
        with _quiet():
            if scripted:
                state = torch.jit.load(str(file), map_location="cpu").state_dict()
                clip.load_state_dict(
                    {
                        k: v
                        for k, v in state.items()
                        if k not in ("input_resolution", "context_length", "vocab_size")
                    }
                )
            else:
                open_clip.load_checkpoint(clip, str(file), strict=True)
    except Exception as error:  # torch, pickle, zip and safetensors each have their own
        raise UserError(f"{file} does not hold the weights of a {source.spelled}: {_short(error)}") from None
    return clip


def from_directory(path: Path) -> tuple[Any, str]:
    """The model of a folder in open_clip's own layout (`open_clip_config.json` beside the weights), and its description.

    Raises:
        UserError: The folder is not complete, or its weights do not fit its configuration.
    """
    import open_clip

    _only_file(path)
    try:
        with _quiet():
            clip, _, _ = open_clip.create_model_and_transforms(f"local-dir:{path}", pretrained_text=False)
            description = {"quick_gelu": False, **open_clip.get_model_config(f"local-dir:{path}")}
    except Exception as error:
        raise UserError(
            f"{path} cannot be loaded as its {DIRECTORY_CONFIG} describes it: {_short(error)}"
        ) from None
    return clip, canonical(description)


def random(source: Source) -> Any:
    """The model with seeded random weights: for shapes and speed, not for accuracy."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, "random backbone", source.architecture))
        return _empty(source)


def _empty(source: Source) -> Any:
    import open_clip

    with _quiet():
        cfg = source.tag_config
        clip, _, _ = open_clip.create_model_and_transforms(
            source.architecture,
            force_quick_gelu=source.quick_gelu,
            pretrained_text=False,
            image_mean=cfg.get("mean"),
            image_std=cfg.get("std"),
            image_interpolation=cfg.get("interpolation"),
            image_resize_mode=cfg.get("resize_mode"),
        )
    return clip


def _only_file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"task.backbone_path = {path}: no such file or folder")
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if len(files) != 1:
        found = (
            f"holds several weight files ({', '.join(file.name for file in files)})"
            if files
            else "holds no weight file"
        )
        raise UserError(
            f"task.backbone_path = {path}: the folder {found}; name one file ending in {', '.join(SUFFIXES)}"
        )
    return files[0]


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]} ..."


@contextmanager
def _quiet() -> Iterator[None]:
    """open_clip logs through the root logger and warns of flags that are set here on purpose."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
