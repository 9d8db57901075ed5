"""Prompts as the nearest words of the tokenizer.

A learned prompt is no text. Its vectors lie between words, and the nearest word may have nothing to do with
what the prompt does: CoOp's authors found mostly words without a connection to the task. The table is for
curiosity and for finding a prompt that has not moved, not for an explanation.

Shapes: P tokens of a prompt, W width of a token, V words.

Reference: Zhou et al., "Learning to Prompt for Vision-Language Models" (CoOp), IJCV 2022, section 4.3.
"""

from __future__ import annotations

import pyarrow as pa
import torch

from raysim.backbones.backbone import Backbone
from raysim.core.types import Tensors

SPECIAL = 2  # the last tokens of the vocabulary: [SOS] and [EOT]


def nearest_words(prompts: Tensors, backbone: Backbone, k: int) -> pa.Table:
    """Return the k nearest words of each token of each prompt, by Euclidean distance, as CoOp does.

    Args:
        prompts: Prompts [P, W] by name.
        backbone: Its tokenizer's words are searched, of the bundled one those that pretraining used.
        k: Words for each token, at least 1.

    Returns:
        A row per prompt, token and rank: prompt, token (its place, from 0), rank (from 1), word, distance.
    """
    embedding_VW = backbone.tower.token_embedding.cpu()
    words = torch.arange(len(embedding_VW) - SPECIAL)
    if backbone.seen_tokens is not None:
        words = torch.tensor(sorted(token for token in backbone.seen_tokens if token < len(words)))
    rows = []
    for name, prompt_PW in prompts.items():
        distances, places = torch.cdist(prompt_PW.float(), embedding_VW[words]).topk(
            min(k, len(words)), largest=False
        )
        for token in range(len(prompt_PW)):
            for rank, (distance, place) in enumerate(
                zip(distances[token], places[token], strict=True), start=1
            ):
                word = backbone.tokenizer.decoder[int(words[place])].removesuffix("</w>")
                rows.append((name, token, rank, word, float(distance)))
    columns = ("prompt", "token", "rank", "word", "distance")
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(columns)})
