"""Names and values of tensors: prefixes, the layout of transformers, other architectures, damaged values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from raysim.backbones.backbone import Backbone
from raysim.backbones.layouts import architectures_of
from raysim.backbones.registry import load_backbone
from raysim.core.errors import UserError
from tests.fakes.clips import transformers_state

State = dict[str, torch.Tensor]


def file_of(state: State, folder: Path) -> str:
    save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, folder / "w.safetensors")
    return str(folder / "w.safetensors")


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.", "model.module.", "net.clip."])
@pytest.mark.parametrize("layout", ["open_clip", "transformers"])
def test_prefixes_and_layouts_give_the_same_features(
    prefix: str, layout: str, vit: Backbone, tmp_path: Path
) -> None:
    state = vit.clip.state_dict()
    if layout == "transformers":
        state = transformers_state(state)
    loaded = load_backbone("tiny-vit", file_of({f"{prefix}{n}": t for n, t in state.items()}, tmp_path))
    assert loaded.fingerprint == vit.fingerprint
    texts = ["a storage tank", "beach"]
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.encode_images(images, patches=True), vit.encode_images(images, patches=True))
    encoded = (each.clip.encode_text(each.tokenize(texts)) for each in (loaded, vit))
    assert torch.equal(*encoded)


def test_queries_keys_and_values_keep_their_places(vit: Backbone, tmp_path: Path) -> None:
    state = transformers_state(vit.clip.state_dict())
    a, b = (f"text_model.encoder.layers.0.self_attn.{letter}_proj.weight" for letter in "qv")
    swapped = {**state, a: state[b], b: state[a]}
    assert load_backbone("tiny-vit", file_of(swapped, tmp_path)).fingerprint != vit.fingerprint


def test_a_text_tower_as_a_module(vit: Backbone, tmp_path: Path) -> None:
    """open_clip's layout of models with a text module: `text.transformer..` in place of `transformer..`."""
    state = vit.clip.state_dict()
    named = {n if n.startswith(("visual", "logit")) else f"text.{n}": t for n, t in state.items()}
    assert load_backbone("tiny-vit", file_of(named, tmp_path)).fingerprint == vit.fingerprint


def test_a_scale_of_another_shape(vit: Backbone, tmp_path: Path) -> None:
    state = vit.clip.state_dict()
    state["logit_scale"] = state["logit_scale"].reshape(1)
    assert load_backbone("tiny-vit", file_of(state, tmp_path)).fingerprint == vit.fingerprint


def without(*names: str) -> Callable[[State], State]:
    return lambda state: {n: t for n, t in state.items() if n not in names}


def renamed(old: str, new: str) -> Callable[[State], State]:
    return lambda state: {new if n == old else n: t for n, t in state.items()}


def plus(*names: str) -> Callable[[State], State]:
    return lambda state: {**state, **{name: torch.ones(3) for name in names}}


HF = "is in the layout of transformers"
QUERY = "text_model.encoder.layers.1.self_attn.q_proj.weight"
WRONG: dict[str, tuple[bool, Callable[[State], State], str]] = {
    "query missing": (
        True,
        without(QUERY),
        rf"{HF}.*1 tensors are missing \(transformer.*in_proj_weight \(q\)",
    ),
    "projection missing": (True, without("visual_projection.weight"), f"{HF}.*visual_projection.weight"),
    "token table missing": (
        True,
        without("text_model.embeddings.token_embedding.weight"),
        f"{HF}.*only an image tower",
    ),
    "unknown layer": (True, plus("vision_model.encoder.layers.0.gate.weight"), f"{HF}.*1 have no place"),
    "layer missing": (
        True,
        lambda state: {n: t for n, t in state.items() if ".layers.1." not in n},
        "does not hold the weights of a tiny-vit: .*tensors are missing",
    ),
    "siglip": (True, plus("text_model.head.weight"), "holds a SigLIP"),
    "tensor missing": (False, without("ln_final.bias"), r"1 tensors are missing \(ln_final.bias\)"),
    "tensor unknown": (False, plus("visual.head.weight"), r"1 are unknown \(visual.head.weight\)"),
    "tensor renamed": (False, renamed("ln_final.bias", "ln_last.bias"), "missing.*and|missing.*unknown"),
    "lora": (False, plus("visual.proj.lora_A.weight"), "holds a LoRA adapter.*merge"),
    "long": (False, plus("positional_embedding_res"), "holds a Long-CLIP"),
    "two": (
        False,
        lambda state: {f"{k}.{n}": t for k in ("student", "teacher") for n, t in state.items()},
        "holds 2 CLIPs, under 'student.', 'teacher.'",
    ),
    "beside": (
        False,
        lambda state: {**{f"model.{n}": t for n, t in state.items()}, "head.weight": torch.ones(2)},
        r"holds 1 tensors beside the CLIP under 'model.' \(head.weight\)",
    ),
    "other model": (
        False,
        lambda state: {"conv1.weight": torch.ones(64, 3, 7, 7), "fc.bias": torch.ones(10)},
        "holds no CLIP: 2 tensors",
    ),
    "quantised": (
        False,
        lambda state: {**state, "visual.proj": torch.zeros(32, 24, dtype=torch.int8)},
        "holds quantised weights",
    ),
    "nan": (
        False,
        lambda state: {**state, "visual.proj": torch.full((32, 24), torch.nan)},
        r"has NaN or infinite weights in 1 of \d+ tensors \(first: visual.proj, 768 of 768 values\)",
    ),
    "infinite": (
        False,
        lambda state: {**state, "ln_final.bias": (torch.ones(16) * 70000).half()},
        r"first: ln_final.bias, 16 of 16",
    ),
    "zeros": (
        False,
        lambda state: {**state, "token_embedding.weight": torch.zeros(49408, 16)},
        "has only zeros in token_embedding.weight",
    ),
    "scale itself": (
        False,
        lambda state: {**state, "logit_scale": torch.tensor(100.0)},
        "logit_scale = 100: that looks like the factor",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_tensors_that_do_not_fit(case: str, vit: Backbone, tmp_path: Path) -> None:
    transformers, change, message = WRONG[case]
    state = vit.clip.state_dict()
    state = transformers_state(state) if transformers else state
    with pytest.raises(UserError, match=f"w.safetensors .*{message}|w.safetensors {message}"):
        load_backbone("tiny-vit", file_of(change(state), tmp_path))


@pytest.mark.parametrize("name", ["ViT-B-32", "RN50"])
def test_shapes_name_their_architecture(name: str) -> None:
    assert architectures_of(load_backbone(f"{name}/random").clip.state_dict())[0] == name


def test_the_message_names_the_architecture_that_fits(vit: Backbone, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"its shapes are those of tiny-vit \(a ViT of width 32 with 2 layers"
    ):
        load_backbone("ViT-B-32", file_of(vit.clip.state_dict(), tmp_path))
    with pytest.raises(UserError, match=r"its shapes are those of tiny-vit"):
        load_backbone("ViT-B-32", file_of(transformers_state(vit.clip.state_dict()), tmp_path))
