"""Names and shapes of a CLIP's tensors: prefixes, the layout of transformers, and whose shapes they are.

Every tensor of a file must find its place exactly once: what is missing, left over, or of another shape is an
error that says so.

Shapes: w width of a tower, d embedding, L text positions, V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from raysim.core.errors import UserError

Tensors = dict[str, torch.Tensor]
TOKENS = "token_embedding.weight"
HF_TOKENS = "text_model.embeddings.token_embedding.weight"
HF_TOWERS = ("text_model.", "vision_model.")
BUFFERS = ("position_ids", "attn_mask", "num_batches_tracked")  # no weights: computed, or counted
OPENAI_EXTRAS = ("input_resolution", "context_length", "vocab_size")  # numbers in OpenAI's archives

HF_SINGLE = {  # name in transformers -> name in open_clip
    HF_TOKENS: TOKENS,
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "text_projection.weight": "text_projection",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # transformers spells it so
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "visual_projection.weight": "visual.proj",
    "logit_scale": "logit_scale",
}
HF_TRANSPOSED = ("text_projection.weight", "visual_projection.weight")  # a linear layer there, a matrix here
HF_BLOCK = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
HF_LAYER = re.compile(r"(text|vision)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")


def clip_tensors(tensors: Mapping[str, torch.Tensor], file: Path) -> Tensors:
    """Return the tensors of a CLIP by open_clip's names.

    Args:
        tensors: Tensors by their names in the file: of open_clip, OpenAI or transformers, each also behind
            prefixes such as `module.` (DataParallel), `model.` (a wrapper) or `_orig_mod.` (torch.compile).
        file: The file, for messages.

    Raises:
        UserError: They are no CLIP's, or more than one CLIP's, or not complete.
    """
    named = {name: tensor for name, tensor in tensors.items() if not _ignored(name)}
    _refuse_other_models(named, file)
    prefix, tail = _place_of_clip(named, file)
    outside = [name for name in named if not name.startswith(prefix)]
    if outside:
        raise UserError(
            f"{file} holds {len(outside)} tensors beside the CLIP under '{prefix}' ({_few(outside)}), which "
            "would be left out: save the CLIP alone"
        )
    inner = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    if tail == HF_TOKENS:
        inner = from_transformers(inner, file)
    elif tail == f"text.{TOKENS}":  # open_clip's own layout where the text tower is a module
        inner = {name.removeprefix("text."): tensor for name, tensor in inner.items()}
    if "logit_scale" in inner:
        inner["logit_scale"] = inner["logit_scale"].reshape(())
    return inner


def _ignored(name: str) -> bool:
    """Return whether a tensor is a buffer or a number that is no weight."""
    last = name.rpartition(".")[2]
    return last in ("position_ids", "attn_mask") or last in OPENAI_EXTRAS


def _place_of_clip(named: Mapping[str, torch.Tensor], file: Path) -> tuple[str, str]:
    """Return the prefix of the CLIP's names, and the name of its token table behind it."""
    found = []
    for name in named:
        for tail in (HF_TOKENS, f"text.{TOKENS}", TOKENS):
            if name == tail or name.endswith(f".{tail}"):
                found.append((name.removesuffix(tail), tail))
                break
    if len(found) > 1:
        raise UserError(
            f"{file} holds {len(found)} CLIPs, under {', '.join(repr(prefix) for prefix, _ in found)}: save "
            "one alone (a teacher, or averaged weights?)"
        )
    if found:
        return found[0]
    if any(name.startswith(HF_TOWERS) or f".{HF_TOWERS[1]}" in name for name in named):
        raise UserError(
            f"{file} is in the layout of transformers (text_model.., vision_model..) but has no "
            f"{HF_TOKENS}: it is only an image tower, or not whole; take the weights of the whole CLIPModel"
        )
    raise UserError(
        f"{file} holds no CLIP: {len(named)} tensors, none of them a text tower's token table ({_few(named)})"
    )


def _refuse_other_models(named: Mapping[str, torch.Tensor], file: Path) -> None:
    """Refuse what is known and cannot be a CLIP's towers here."""
    if not named:
        raise UserError(f"{file} holds no tensors")
    if any("lora_A" in name or "lora_B" in name for name in named):
        raise UserError(
            f"{file} holds a LoRA adapter, not the weights of a model: merge it first "
            "(model.merge_and_unload()) and save the whole model"
        )
    if any(name.endswith("positional_embedding_res") for name in named):
        raise UserError(
            f"{file} holds a Long-CLIP, whose text tower has two tables of positions (248 tokens); raysim's "
            "has one: use a CLIP with 77 tokens"
        )
    if any(name.endswith(("text_model.head.weight", "logit_bias")) for name in named):
        raise UserError(
            f"{file} holds a SigLIP, whose text tower is not causal as CLIP's is: use a CLIP, e.g. ViT-B-32"
        )
    quantised = [name for name, tensor in named.items() if tensor.dtype in (torch.int8, torch.uint8)]
    if quantised:
        raise UserError(
            f"{file} holds quantised weights ({_few(quantised)} are {named[quantised[0]].dtype}): take the "
            "file in float32 or float16"
        )


def from_transformers(tensors: Mapping[str, torch.Tensor], file: Path) -> Tensors:
    """Return the tensors of a transformers `CLIPModel` by open_clip's names.

    Queries, keys and values, three linear layers there, become one matrix [3 w, w] here, in this order.

    Raises:
        UserError: A tensor has no place, or one is missing.
    """
    out: Tensors = {}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    unknown = []
    for name, tensor in tensors.items():
        layer = HF_LAYER.fullmatch(name)
        if name in HF_SINGLE:
            out[HF_SINGLE[name]] = tensor.t().contiguous() if name in HF_TRANSPOSED else tensor
        elif layer is None:
            unknown.append(name)
        else:
            tower, number, part, kind = layer.groups()
            block = f"{'visual.' if tower == 'vision' else ''}transformer.resblocks.{number}."
            if part in HF_BLOCK:
                out[f"{block}{HF_BLOCK[part]}.{kind}"] = tensor
            elif part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
                parts.setdefault(f"{block}attn.in_proj_{kind}", {})[part[10]] = tensor
            else:
                unknown.append(name)
    missing = [name for name, place in HF_SINGLE.items() if place not in out]
    missing += [f"{name} ({letter})" for name, qkv in parts.items() for letter in "qkv" if letter not in qkv]
    if unknown or missing:
        words = [f"{len(missing)} tensors are missing ({_few(missing)})"] if missing else []
        words += [f"{len(unknown)} have no place in a CLIP ({_few(unknown)})"] if unknown else []
        raise UserError(
            f"{file} is in the layout of transformers (text_model.., vision_model..), but its tensors are "
            f"not those of a whole CLIPModel: {', and '.join(words)}"
        )
    return {**out, **{name: torch.cat([qkv[letter] for letter in "qkv"]) for name, qkv in parts.items()}}


def check_fit(tensors: Tensors, expected: Mapping[str, torch.Tensor], spelled: str, file: Path) -> None:
    """Check that tensors have exactly the names and shapes that an architecture expects.

    Args:
        tensors: A CLIP's tensors by open_clip's names.
        expected: The architecture's own tensors.
        spelled: Its name.
        file: The file, for messages.

    Raises:
        UserError: They do not fit; says which architectures of open_clip they fit.
    """
    wanted = {name: tensor.shape for name, tensor in expected.items() if not name.endswith(BUFFERS)}
    given = {name: tensor.shape for name, tensor in tensors.items() if not name.endswith(BUFFERS)}
    if wanted == given:
        return
    fitting = [name for name in architectures_of(tensors) if name not in (spelled, f"{spelled}-quickgelu")]
    intro = f"{file} does not hold the weights of a {spelled}"
    if fitting:
        raise UserError(
            f"{intro}: its shapes are those of {', '.join(fitting[:4])} ({shape_words(tensors)}); use "
            f"task.backbone={fitting[0]}, or {fitting[0]}-quickgelu where they descend from OpenAI's"
        )
    missing, extra = [n for n in wanted if n not in given], [n for n in given if n not in wanted]
    other = [n for n in wanted if n in given and given[n] != wanted[n]]
    words = [f"{len(missing)} tensors are missing ({_few(missing)})"] if missing else []
    words += [f"{len(extra)} are unknown ({_few(extra)})"] if extra else []
    words += [f"{other[0]} is {tuple(given[other[0]])}, not {tuple(wanted[other[0]])}"] if other else []
    held = shape_words(tensors) or "no CLIP that is known"
    raise UserError(f"{intro}: {', '.join(words)}; it holds {held}")


def architectures_of(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the architectures of open_clip with these shapes, without `-quickgelu`, shortest names first."""
    import open_clip

    shape = _shape(tensors)
    names = {name.removesuffix("-quickgelu") for name in open_clip.list_models()}
    return sorted(
        (name for name in names & set(open_clip.list_models()) if shape and _config_shape(name) == shape),
        key=lambda name: (len(name), name),
    )


def _shape(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Return what a configuration of open_clip says, as the shapes say it; empty where that is unclear."""
    try:
        text = {
            "width": tensors[TOKENS].shape[1],
            "layers": _layers(tensors, r"transformer\.resblocks\.(\d+)\."),
            "context": tensors["positional_embedding"].shape[0],
            "vocabulary": tensors[TOKENS].shape[0],
            "embed_dim": tensors["text_projection"].shape[1],
        }
        if "visual.layer1.0.conv1.weight" in tensors:
            grid = round((tensors["visual.attnpool.positional_embedding"].shape[0] - 1) ** 0.5)
            stages = tuple(_layers(tensors, rf"visual\.layer{k}\.(\d+)\.") for k in range(1, 5))
            width = tensors["visual.layer1.0.conv1.weight"].shape[0]
            return {**text, "image": ("ResNet", width, stages, 32 * grid)}
        patch = tensors["visual.conv1.weight"].shape
        grid = round((tensors["visual.positional_embedding"].shape[0] - 1) ** 0.5)
        layers = _layers(tensors, r"visual\.transformer\.resblocks\.(\d+)\.")
        return {**text, "image": ("ViT", patch[0], layers, patch[-1], grid * patch[-1])}
    except (KeyError, IndexError):
        return {}


def _config_shape(name: str) -> dict[str, Any] | None:
    """Return the same of an architecture of open_clip, None where it is no plain CLIP."""
    import open_clip

    config = open_clip.get_model_config(name)
    vision, text = config["vision_cfg"], config["text_cfg"]
    size, layers = vision.get("image_size", 224), vision.get("layers", 12)
    other = "timm_model_name" in vision or "hf_model_name" in text or isinstance(size, list)
    if other or config.get("custom_text"):
        return None
    patch = vision.get("patch_size")
    if isinstance(layers, list):
        image: tuple[Any, ...] = ("ResNet", vision.get("width", 64), tuple(layers), size)
    else:
        image = ("ViT", vision.get("width", 768), layers, patch, size // patch * patch)
    return {
        "width": text.get("width", 512),
        "layers": text.get("layers", 12),
        "context": text.get("context_length", 77),
        "vocabulary": text.get("vocab_size", 49408),
        "embed_dim": config["embed_dim"],
        "image": image,
    }


def shape_words(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the shapes of a CLIP in words, or nothing where they are unclear."""
    shape = _shape(tensors)
    if not shape:
        return ""
    kind, width, layers, *rest = shape["image"]
    image = f"{rest[0]} px" if kind == "ResNet" else f"patches of {rest[0]} px, {rest[1]} px"
    depth = "-".join(map(str, layers)) if kind == "ResNet" else str(layers)
    return (
        f"a {kind} of width {width} with {depth} layers, {image}, a text tower of width {shape['width']} "
        f"with {shape['layers']} layers, embedding {shape['embed_dim']}"
    )


def check_values(tensors: Mapping[str, torch.Tensor], file: Path) -> None:
    """Check that all weights are finite, and that none of the large matrices is only zeros.

    Raises:
        UserError: Names how many tensors, and the first.
    """
    bad = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            bad[name] = int((~tensor.isfinite()).sum())
    if bad:
        first = next(iter(bad))
        raise UserError(
            f"{file} has NaN or infinite weights in {len(bad)} of {len(tensors)} tensors (first: {first}, "
            f"{bad[first]:,} of {tensors[first].numel():,} values): its training diverged, it overflowed in "
            "half precision, or it is damaged; use another checkpoint"
        )
    empty = [name for name in (TOKENS, "visual.conv1.weight", "text_projection") if name in tensors]
    empty = [name for name in empty if not bool(tensors[name].any())]
    if empty:
        raise UserError(f"{file} has only zeros in {_few(empty)}: it is not whole; fetch it again")
    scale = tensors.get("logit_scale")
    if scale is not None and float(scale) > 20:
        raise UserError(
            f"{file} has logit_scale = {float(scale):g}: that looks like the factor of the cosines itself, "
            "not its logarithm (4.6 for 100); use weights as open_clip or transformers save them"
        )


def _layers(names: Iterable[str], pattern: str) -> int:
    """Return how many numbered layers match."""
    return len({match[1] for name in names if (match := re.match(pattern, name))})


def _few(names: Iterable[str], count: int = 3) -> str:
    """Return the first names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")
