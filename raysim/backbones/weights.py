"""Models of open_clip filled with weights; every failure is one clear `UserError`."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from raysim.backbones.layouts import check_fit, check_values, clip_tensors
from raysim.backbones.weight_files import is_torchscript, read_tensors, refuse_other_files, short
from raysim.core.config import canonical_json
from raysim.core.errors import UserError
from raysim.core.seeds import derive

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
DIRECTORY_CONFIG, TRANSFORMERS_CONFIG = "open_clip_config.json", "config.json"
KNOWN_FILES = (  # of a repository on Hugging Face, in the order in which open_clip prefers them
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)


@dataclass(frozen=True)
class Source:
    """Facts about the weights that a backbone's name determines.

    Args:
        architecture: Name in open_clip, without `-quickgelu`.
        quick_gelu: Whether the weights were trained with QuickGELU. A weight file does not say it, and a
            wrong flag costs accuracy without an error.
        tag: Name of downloadable weights in open_clip.
        where: Web page of the file, for weights that open_clip does not know.
    """

    architecture: str
    quick_gelu: bool
    tag: str | None = None
    where: str = ""

    @property
    def spelled(self) -> str:
        """Name of the architecture with its activation."""
        return f"{self.architecture}-quickgelu" if self.quick_gelu else self.architecture

    @property
    def description(self) -> str:
        """Architecture as canonical JSON, for the fingerprint."""
        import open_clip

        return canonical_json(
            {**open_clip.get_model_config(self.architecture), "quick_gelu": self.quick_gelu}
        )

    @property
    def tag_config(self) -> dict[str, Any]:
        """Record of the tag in open_clip: preprocessing and address of the weights; empty without a tag."""
        import open_clip

        names = [self.spelled, self.architecture]
        return next(
            (
                dict(cfg)
                for name in names
                if self.tag and (cfg := open_clip.get_pretrained_cfg(name, self.tag))
            ),
            {},
        )


def downloaded(source: Source) -> Any:
    """Return the model with open_clip's own weights, from its cache or the hub.

    Raises:
        UserError: Neither has them.
    """
    from open_clip.pretrained import download_pretrained

    cfg = source.tag_config
    try:
        with quiet():
            file = download_pretrained(cfg)
    except Exception as error:  # the hub's client raises many types
        tried = cfg.get("hf_hub") or cfg.get("url")
        offline = os.environ.get("HF_HUB_OFFLINE", "")
        raise UserError(
            f"the weights '{source.tag}' of {source.architecture} cannot be loaded: they are in no local "
            f"cache, and {tried} "
            f"{f'was not asked (HF_HUB_OFFLINE={offline})' if offline else 'cannot be reached'} "
            f"({short(error)}). "
            f"Name a file: task.backbone={source.architecture}/{source.tag} "
            "task.backbone_path=/path/file.safetensors; "
            "or use the bundled task.backbone=scenes-clip, which needs no download"
        ) from None
    return from_file(source, Path(file))


def from_file(source: Source, path: Path) -> Any:
    """Return the model with the weights of a file, or of the only weight file in a folder.

    Raises:
        UserError: The file does not exist, is no weights, or has weights of another architecture.
    """
    file = only_file(path)
    refuse_other_files(file)
    if is_torchscript(file) and not source.quick_gelu:
        raise UserError(
            f"{file} is an archive in OpenAI's format, trained with QuickGELU: use "
            f"task.backbone={source.architecture}-quickgelu"
        )
    return filled(_empty(source), source.spelled, file)


def filled(clip: Any, spelled: str, file: Path) -> Any:
    """Return a model with the weights of a file: each tensor in its place, finite, and none left over.

    Args:
        clip: The model, with any weights. A model whose text tower is not CLIP's is returned as it is: the
            registry refuses it by name.
        spelled: Name of its architecture, for messages.
        file: A weight file.

    Raises:
        UserError: The file is no weights, or does not fit.
    """
    import open_clip

    if not isinstance(clip, open_clip.CLIP):
        return clip
    tensors = clip_tensors(read_tensors(file), file)
    own = clip.state_dict()
    check_fit(tensors, own, spelled, file)
    check_values(tensors, file)
    counters = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")}
    kept = {name: tensor for name, tensor in tensors.items() if name in own}
    clip.load_state_dict({**counters, **kept}, strict=True)
    return clip


def from_directory(path: Path) -> tuple[Any, str]:
    """Return the model of a folder in open_clip's own layout, and the description of its architecture.

    The folder contains `open_clip_config.json` and one weight file.

    Raises:
        UserError: The folder is not complete, or its weights do not fit its configuration.
    """
    import open_clip

    file = only_file(path)
    refuse_other_files(file)
    try:
        with quiet():
            clip, _, _ = open_clip.create_model_and_transforms(
                f"local-dir:{path}", pretrained_text=False, load_weights=False
            )
            description = {"quick_gelu": False, **open_clip.get_model_config(f"local-dir:{path}")}
    except Exception as error:
        raise UserError(
            f"{path} cannot be loaded as its {DIRECTORY_CONFIG} describes it: {short(error)}"
        ) from None
    return filled(clip, f"model of {DIRECTORY_CONFIG}", file), canonical_json(description)


def refuse_other_architecture(source: Source, clip: Any, config: Path) -> None:
    """Refuse a folder whose configuration describes another architecture than the name says.

    Raises:
        UserError: The tensors of the folder's model do not fit.
    """
    check_fit(clip.state_dict(), _empty(source).state_dict(), source.spelled, config.parent)


def random(source: Source) -> Any:
    """Return the model with seeded random weights: for tests of shapes and speed, not for accuracy."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, "random backbone", source.architecture))
        return _empty(source)


def _empty(source: Source) -> Any:
    """Build the model with the preprocessing of its source and random weights."""
    import open_clip

    with quiet():
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


def only_file(path: Path) -> Path:
    """Return the file itself, or the only weight file of a folder.

    A folder may hold the same weights as safetensors and as a PyTorch file (Hugging Face's repositories do):
    the safetensors file is taken.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"task.backbone_path = {path}: no such file or folder")
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    known = [name for name in KNOWN_FILES if (path / name).is_file()]
    described = any((path / name).is_file() for name in (DIRECTORY_CONFIG, TRANSFORMERS_CONFIG))
    if len(files) > 1 and known and described:
        return path / known[0]
    if len(files) != 1:
        content = (
            f"has several weight files ({', '.join(file.name for file in files)})"
            if files
            else "has no weight file"
        )
        raise UserError(
            f"task.backbone_path = {path}: the folder {content}; name one file, {' or '.join(SUFFIXES)}"
        )
    return files[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence open_clip, which uses the root logger and warns of flags that are set here on purpose."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
