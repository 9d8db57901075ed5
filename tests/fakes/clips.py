"""Two tiny CLIPs as open_clip configures them, a ViT and a ResNet, and the ViT as transformers saves it."""

from __future__ import annotations

import re
from typing import Any

import torch

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}


TINY = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": TEXT,
}


RESNET = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
    "text_cfg": TEXT,
}


def transformers_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of an open_clip ViT as transformers' `CLIPModel` names and cuts them.

    Written from the side of transformers, not from the converter: a linear layer's weight is [out, in].
    """
    names = {
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "ln_final": "text_model.final_layer_norm",
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
        "logit_scale": "logit_scale",
    }
    inner = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
    }
    out = {
        "text_projection.weight": state["text_projection"].t(),
        "visual_projection.weight": state["visual.proj"].t(),
        "text_model.embeddings.position_ids": torch.arange(77)[None],
    }
    for name, tensor in state.items():
        stem, _, kind = name.rpartition(".")
        if name in names:
            out[names[name]] = tensor
        elif stem in names:
            out[f"{names[stem]}.{kind}"] = tensor
        elif ".resblocks." in name or name.startswith("transformer.resblocks."):
            tower, number, part = re.fullmatch(
                r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)", name
            ).groups()  # type: ignore[union-attr]
            layer = f"{'vision' if tower else 'text'}_model.encoder.layers.{number}."
            if part.startswith("attn.in_proj_"):
                for letter, piece in zip("qkv", tensor.chunk(3), strict=True):
                    out[f"{layer}self_attn.{letter}_proj.{part[13:]}"] = piece
            else:
                stem, _, kind = part.rpartition(".")
                out[f"{layer}{inner[stem]}.{kind}"] = tensor
    return {name: tensor.contiguous() for name, tensor in out.items()}


def transformers_config(act: str = "quick_gelu") -> dict[str, Any]:
    """`config.json` of `TINY` as transformers writes it."""
    tower = {"hidden_act": act, "num_hidden_layers": 2, "layer_norm_eps": 1e-5}
    return {
        "model_type": "clip",
        "projection_dim": 24,
        "text_config": {
            **tower,
            "hidden_size": 16,
            "intermediate_size": 64,
            "num_attention_heads": 2,
            "max_position_embeddings": 77,
            "vocab_size": 49408,
        },
        "vision_config": {
            **tower,
            "hidden_size": 32,
            "intermediate_size": 128,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
    }
