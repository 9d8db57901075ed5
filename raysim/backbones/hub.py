"""Weights in repositories of Hugging Face, and folders in the layout of its transformers.

A repository in open_clip's layout has `open_clip_config.json`; one of transformers has `config.json` with
`model_type` "clip". Both say architecture, activation and preprocessing, so that nothing has to be named.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raysim.backbones.weight_files import short
from raysim.backbones.weights import (
    DIRECTORY_CONFIG,
    KNOWN_FILES,
    TRANSFORMERS_CONFIG,
    filled,
    from_directory,
    only_file,
    quiet,
)
from raysim.core.config import canonical_json
from raysim.core.errors import UserError

SCHEME = "hf-hub:"
PREPROCESSOR = "preprocessor_config.json"
ACTIVATIONS = {"quick_gelu": True, "gelu": False}  # name in transformers -> whether it is QuickGELU
RESAMPLING = {2: "bilinear", 3: "bicubic"}  # numbers of Pillow
EPSILON = 1e-5  # of the layer norms in open_clip's towers


def from_hub(name: str, path: str | None) -> tuple[Any, str]:
    """Return the model of `hf-hub:ORG/REPO` or `hf-hub:ORG/REPO@REVISION`, and its description.

    Args:
        name: The backbone's name.
        path: A clone of the repository, which replaces the download; None asks the hub or its local cache.

    Raises:
        UserError: The repository cannot be reached, or has no CLIP that is described.
    """
    repo, _, revision = name.removeprefix(SCHEME).partition("@")
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise UserError(
            f"task.backbone={name} is not a repository of Hugging Face: it should be {SCHEME}ORG/REPO, or "
            f"{SCHEME}ORG/REPO@REVISION"
        )
    folder = Path(path) if path is not None else _downloaded(name, repo, revision or None)
    if not folder.is_dir():
        raise UserError(
            f"task.backbone_path = {path}: {name} needs the folder of the repository (its clone), with "
            f"{DIRECTORY_CONFIG} or {TRANSFORMERS_CONFIG}"
        )
    if (folder / DIRECTORY_CONFIG).is_file():
        return from_directory(folder)
    if (folder / TRANSFORMERS_CONFIG).is_file():
        return from_transformers_folder(folder)
    raise UserError(_undescribed(name, str(folder)))


def _undescribed(name: str, where: str) -> str:
    """Return the message about a repository that does not say what its weights are."""
    return (
        f"task.backbone={name}: {where} has no {DIRECTORY_CONFIG} and no {TRANSFORMERS_CONFIG}, so nothing "
        "says which architecture its weights are of: download the weight file and name both, for example "
        "task.backbone=ViT-B-32-quickgelu task.backbone_path=/path/file.pt"
    )


def hub_file(repo: str, file: str, revision: str | None = None, *, local: bool = False) -> Path:
    """Return a file of a repository, from the local cache or the hub.

    Args:
        repo: ORG/REPO.
        file: Path in the repository.
        revision: Branch, tag or commit; None takes the main branch.
        local: Whether to look into the local cache only.

    Raises:
        Exception: What the hub's client raises, of many types.
    """
    from huggingface_hub import hf_hub_download

    with quiet():
        return Path(hf_hub_download(repo, file, revision=revision, local_files_only=local))


def _downloaded(name: str, repo: str, revision: str | None) -> Path:
    """Return the local folder of a repository with its description and one weight file."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

    unasked: list[Exception] = []  # the hub did not answer: whether the repository has the file is unknown

    def first(*files: str) -> Path | None:
        for file in files:
            try:
                return hub_file(repo, file, revision, local=bool(unasked))
            except LocalEntryNotFoundError as error:
                unasked.append(error)
            except EntryNotFoundError:
                continue
        return None

    try:
        config = first(DIRECTORY_CONFIG, TRANSFORMERS_CONFIG)
        order = KNOWN_FILES
        if config is not None and config.name == TRANSFORMERS_CONFIG:
            order = (*KNOWN_FILES[2:], *KNOWN_FILES[:2])
        weights = first(*order) if config is not None else None
        if weights is not None:
            first(PREPROCESSOR)
    except RepositoryNotFoundError as error:
        raise UserError(
            f"task.backbone={name}: there is no such repository, or it is private or gated (then set "
            f"HF_TOKEN) ({short(error)})"
        ) from None
    except Exception as error:  # the hub's client and its transport raise many types
        raise UserError(unreachable(name, repo, error)) from None
    if config is not None and weights is not None:
        return config.parent
    if unasked:
        raise UserError(unreachable(name, repo, unasked[0]))
    if config is None:
        raise UserError(_undescribed(name, "the repository"))
    raise UserError(
        f"task.backbone={name}: the repository has none of {', '.join(order)}; download its weight file and "
        "name it: task.backbone=ARCH task.backbone_path=/path/file"
    )


def unreachable(name: str, repo: str, error: Exception) -> str:
    """Return the message about a repository that could not be asked."""
    offline = os.environ.get("HF_HUB_OFFLINE", "")
    asked = f"was not asked (HF_HUB_OFFLINE={offline})" if offline else "cannot be reached"
    return (
        f"the weights of {name} cannot be loaded: they are in no local cache, and "
        f"https://huggingface.co/{repo} {asked} ({short(error)}). Fetch them on another machine and name "
        f"them: task.backbone={name} task.backbone_path=/path; or use the bundled "
        "task.backbone=scenes-clip, which needs no download"
    )


def from_transformers_folder(folder: Path) -> tuple[Any, str]:
    """Return the model of a folder that transformers' `CLIPModel.save_pretrained` wrote, and its description.

    Raises:
        UserError: It is no CLIP, has a setting that open_clip's towers do not have, or does not fit.
    """
    from open_clip import CLIP, CLIPTextCfg, CLIPVisionCfg

    config = _json(folder / TRANSFORMERS_CONFIG)
    architecture = open_clip_config(config, folder / TRANSFORMERS_CONFIG)
    file = only_file(folder)
    clip = CLIP(
        architecture["embed_dim"],
        CLIPVisionCfg(**architecture["vision_cfg"]),
        CLIPTextCfg(**architecture["text_cfg"]),
        quick_gelu=architecture["quick_gelu"],
    )
    clip = filled(clip, f"model of {TRANSFORMERS_CONFIG}", file)
    size = architecture["vision_cfg"]["image_size"]
    clip.visual.preprocess_cfg = preprocessing(folder / PREPROCESSOR, size)
    return clip, canonical_json(architecture)


def open_clip_config(config: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return open_clip's configuration of a transformers `CLIPConfig`.

    Args:
        config: Content of `config.json`; what it leaves out has the defaults of transformers.
        file: The file, for messages.

    Raises:
        UserError: Another kind of model, or a setting that open_clip's towers do not have.
    """
    kind = config.get("model_type")
    if kind != "clip":
        raise UserError(
            f"{file} describes a model of type '{kind}', not 'clip': raysim needs a CLIP with its causal "
            "text tower (SigLIP and towers of one kind alone cannot be used)"
        )
    # the first CLIPs of transformers have their settings under *_config_dict, newer ones under *_config
    text, vision = (
        {**(config.get(f"{tower}_config_dict") or {}), **(config.get(f"{tower}_config") or {})}
        for tower in ("text", "vision")
    )
    activations = {tower.get("hidden_act", "quick_gelu") for tower in (text, vision)}
    if len(activations) > 1 or not activations <= set(ACTIVATIONS):
        raise UserError(
            f"{file}: hidden_act = {', '.join(sorted(activations))} is not allowed; it should be the same in "
            f"both towers, one of {', '.join(ACTIVATIONS)}"
        )
    for tower, settings in (("text", text), ("vision", vision)):
        if abs(settings.get("layer_norm_eps", EPSILON) - EPSILON) > 1e-9:
            raise UserError(
                f"{file}: {tower}_config.layer_norm_eps = {settings['layer_norm_eps']} is not allowed; it "
                f"should be {EPSILON}, as in open_clip's towers"
            )
    width, heads = vision.get("hidden_size", 768), vision.get("num_attention_heads", 12)
    text_width = text.get("hidden_size", 512)
    return {
        "embed_dim": config.get("projection_dim", 512),
        "quick_gelu": ACTIVATIONS[activations.pop()],
        "vision_cfg": {
            "image_size": vision.get("image_size", 224),
            "layers": vision.get("num_hidden_layers", 12),
            "width": width,
            "head_width": width // heads,
            "patch_size": vision.get("patch_size", 32),
            "mlp_ratio": vision.get("intermediate_size", 3072) / width,
        },
        "text_cfg": {
            "context_length": text.get("max_position_embeddings", 77),
            "vocab_size": text.get("vocab_size", 49408),
            "width": text_width,
            "heads": text.get("num_attention_heads", 8),
            "layers": text.get("num_hidden_layers", 12),
            "mlp_ratio": text.get("intermediate_size", 2048) / text_width,
        },
    }


def preprocessing(file: Path, size: int) -> dict[str, Any]:
    """Return open_clip's preprocessing as `preprocessor_config.json` says it; CLIP's own without the file.

    Args:
        file: The configuration of transformers' image processor.
        size: Pixels a side that the image tower takes.

    Raises:
        UserError: It says what open_clip's preprocessing cannot do.
    """
    from open_clip.transform import PreprocessCfg

    if not file.is_file():
        return vars(PreprocessCfg(size=size))
    config = _json(file)
    side = config.get("size", size)
    crop = bool(config.get("do_center_crop", True))
    resized = side if isinstance(side, int) else side.get("shortest_edge", side.get("height"))
    squash = isinstance(side, dict) and "shortest_edge" not in side
    cropped = config.get("crop_size", size)
    cropped = cropped if isinstance(cropped, int) else cropped.get("height")
    if resized != size or (crop and cropped != size):
        raise UserError(
            f"{file}: resizing to {resized} px and cropping to {cropped} px is not allowed; both should be "
            f"the {size} px of the image tower"
        )
    resample = config.get("resample", 3)
    if resample not in RESAMPLING:
        raise UserError(
            f"{file}: resample = {resample} is not allowed; it should be one of {sorted(RESAMPLING)} "
            "(bilinear, bicubic)"
        )
    kept: dict[str, Callable[..., Any]] = {"image_mean": tuple, "image_std": tuple}
    given = {key: kind(config[key]) for key, kind in kept.items() if config.get(key) is not None}
    plain = PreprocessCfg()
    return vars(
        PreprocessCfg(
            size=size,
            mean=given.get("image_mean", plain.mean),
            std=given.get("image_std", plain.std),
            interpolation=RESAMPLING[resample],
            resize_mode="squash" if squash else "shortest",
        )
    )


def _json(file: Path) -> dict[str, Any]:
    """Return the content of a configuration."""
    try:
        content = json.loads(file.read_text())
        if not isinstance(content, dict):
            raise ValueError("it is no table of settings")
    except (ValueError, OSError) as error:
        raise UserError(f"{file} cannot be read as JSON: {short(error)}") from None
    return content
