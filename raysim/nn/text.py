"""CLIP's causal text tower for learned prompts: exact, and no result is computed twice.

The tower is causal and its weights are frozen. So for prompts before the class name

- tokens after [EOT] cannot influence the text feature and are left out;
- [SOS] and the prompt are the same for all classes: they are computed once per client, and every class
  attends to them. All tokens of a client, `[SOS] prompt | class 0 | class 1 | ...`, are one sequence of T
  rows whose attention mask is a tree: the prefix is the stem, each class is a branch. There is no padding,
  and each linear layer is one matrix product for all classes and clients;
- the first block's projections of the class names never change and are computed in `prepare`;
- the last block needs its query, output projection and MLP at the [EOT] rows only;
- weights get no gradients.

Shapes: K clients, C classes, P prompt tokens, Q = P + 1 prefix tokens, S suffix tokens of all classes, T = Q
+ S, w width, H heads, d embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from raysim.core.errors import UserError
from raysim.nn.text_layers import Block, Linear, Norm, TensorRecord, check_tower, frozen_copy


@dataclass(frozen=True)
class Suffixes(TensorRecord):
    """Class names, prepared for a tower and a prompt length (see `TextTower.prepare`)."""

    classes: int
    prefix_length: int
    input_Sw: Tensor  # token and position embeddings
    qkv_S3w: Tensor  # the first block's projections of them
    mask_TT: Tensor  # added to the scores: 0 where a row may attend to a column, else -inf
    eot_C: Tensor  # the row of [EOT] of each class
    eot_mask_CT: Tensor

    @property
    def tokens(self) -> int:
        """Number T of prefix and suffix tokens of a client."""
        return self.mask_TT.shape[0]


@dataclass(frozen=True)
class TextTower:
    """Frozen CLIP text tower in plain tensors; `from_clip` builds it.

    Reference: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML
        2021 (arXiv 2103.00020).
    """

    token_embedding: Tensor
    positions: Tensor
    blocks: tuple[Block, ...]
    norm: Norm
    projection: Linear
    heads: int
    sos: int
    eot: int

    @classmethod
    def from_clip(cls, clip: Any, sos: int | None = None) -> TextTower:
        """Copy the text tower of an open_clip CLIP; refuse a tower that cannot be reproduced exactly.

        Args:
            clip: An `open_clip.CLIP` (or a model with the same text attributes). Half precision is copied as
                float32.
            sos: Token id of [SOS]; None takes the last but one of the vocabulary, as in CLIP's own tokenizer
                ([EOT] is the last).

        Raises:
            UserError: The tower is not causal, not CLIP's own transformer, or pools elsewhere than at [EOT].
        """
        act, eps = check_tower(clip)
        vocabulary = clip.token_embedding.weight.shape[0]
        return cls.from_tensors(
            clip.state_dict(),
            heads=clip.transformer.resblocks[0].attn.num_heads,
            act=act,
            eps=eps,
            sos=vocabulary - 2 if sos is None else sos,
            eot=vocabulary - 1 if clip.text_pool_type == "argmax" else int(clip.text_eos_id),
        )

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], heads: int, act: str, eps: float, sos: int, eot: int
    ) -> TextTower:
        """Copy the text tower out of the weights of an open_clip CLIP.

        Args:
            tensors: Weights of the CLIP by name; those of the image tower are ignored.
            heads: Attention heads H of a block.
            act: "quick_gelu", or the approximation of GELU: "none", "tanh".
            eps: What layer norms add to the variance.
            sos: Token id of [SOS].
            eot: Token id of [EOT].
        """
        stem = "transformer.resblocks."
        blocks = {name.split(".")[2] for name in tensors if name.startswith(stem)}
        norm = Norm.of(tensors, "ln_final", eps)
        if "text_projection.weight" in tensors:
            last = Linear.of(tensors, "text_projection")
        elif "text_projection" in tensors:
            last = Linear(frozen_copy(tensors["text_projection"]).T.contiguous(), None)
        else:
            last = Linear(torch.diag(torch.ones_like(norm.weight)), None)
        return cls(
            token_embedding=frozen_copy(tensors["token_embedding.weight"]),
            positions=frozen_copy(tensors["positional_embedding"]),
            blocks=tuple(Block.of(tensors, f"{stem}{number}", act, eps) for number in range(len(blocks))),
            norm=norm,
            projection=last,
            heads=heads,
            sos=sos,
            eot=eot,
        )

    @property
    def width(self) -> int:
        """Size w of a prompt token."""
        return self.token_embedding.shape[1]

    @property
    def embed_dim(self) -> int:
        """Size d of a text feature."""
        return self.projection.weight.shape[0]

    @property
    def context_length(self) -> int:
        """Length of the longest sequence, with [SOS] and [EOT]."""
        return self.positions.shape[0]

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.positions.device

    def to(self, device: str | torch.device) -> TextTower:
        """Return the tower on another device."""
        return replace(
            self,
            token_embedding=self.token_embedding.to(device),
            positions=self.positions.to(device),
            blocks=tuple(block.to(device) for block in self.blocks),
            norm=self.norm.to(device),
            projection=self.projection.to(device),
        )

    def strip(self, rows: Tensor) -> list[list[int]]:
        """Return tokenised texts `[SOS] words [EOT] 0 0 ..` as `words [EOT]`, the form that `prepare` takes.

        Args:
            rows: Token ids. [C, L] int64

        Raises:
            UserError: A row has no [EOT].
        """
        result = []
        for row in rows.tolist():
            if self.eot not in row:
                raise UserError(
                    f"a class name is too long for the text tower's context of {self.context_length} tokens"
                )
            result.append([token for token in row[: row.index(self.eot) + 1] if token != self.sos])
        return result

    def embed(self, tokens: Sequence[int] | Tensor) -> Tensor:
        """Return token embeddings without positions, e.g. of "a satellite photo of a", for use as a prompt.

        Args:
            tokens: Token ids. [P]

        Returns:
            Embeddings. [P, w]
        """
        return self.token_embedding[torch.as_tensor(tokens, dtype=torch.long, device=self.device)]

    def prepare(self, class_tokens: Sequence[Sequence[int]], prefix_length: int) -> Suffixes:
        """Compute everything about the class names that training cannot change.

        Args:
            class_tokens: Token ids of each class: its name, '.', [EOT]; without [SOS] and without a prompt
                (see `strip`). C lists
            prefix_length: Number P of prompt tokens before the name; 0 for [SOS] alone.

        Raises:
            UserError: A sequence is longer than the context, or does not end in its only [EOT].
        """
        lengths = [len(tokens) for tokens in class_tokens]
        longest = max(lengths, default=0) + prefix_length + 1
        if longest > self.context_length:
            raise UserError(
                f"a prompt of {prefix_length} tokens and the longest class name need {longest} positions, "
                "the text tower has "
                f"{self.context_length}: use at most "
                f"{max(0, prefix_length + self.context_length - longest)} prompt tokens"
            )
        if not lengths or any(
            list(tokens).count(self.eot) != 1 or tokens[-1] != self.eot for tokens in class_tokens
        ):
            raise UserError("every class needs tokens that end in their only end-of-text token")
        order = torch.cat([torch.arange(length) for length in lengths]) + prefix_length + 1
        flat = torch.tensor([token for tokens in class_tokens for token in tokens])
        input_Sw = self.embed(flat) + self.positions[order.to(self.device)]
        mask_TT = _tree_mask(lengths, order, prefix_length + 1, input_Sw.dtype).to(self.device)
        eot_C = (torch.tensor(lengths).cumsum(0) + prefix_length).to(self.device)
        first = self.blocks[0]
        return Suffixes(
            classes=len(lengths),
            prefix_length=prefix_length,
            input_Sw=input_Sw,
            qkv_S3w=first.qkv(first.norm_1(input_Sw)),
            mask_TT=mask_TT,
            eot_C=eot_C,
            eot_mask_CT=mask_TT[eot_C].contiguous(),
        )

    def encode(self, prompts_KPw: Tensor, suffixes: Suffixes) -> Tensor:
        """Return the text features of every class with every client's prompt, differentiable in the prompts.

        Args:
            prompts_KPw: Prompt tokens without positions; P = 0 for plain class names. [K, P, w]
            suffixes: Class names, prepared for this tower and this P.

        Returns:
            Features of L2 norm 1, in the order of the classes in `prepare`. [K, C, d]
        """
        clients, length, width = prompts_KPw.shape
        if length != suffixes.prefix_length:
            raise ValueError(
                f"prompts of {length} tokens meet class names prepared for {suffixes.prefix_length}"
            )
        sos_K1w = (self.token_embedding[self.sos] + self.positions[0]).expand(clients, 1, width)
        prefix_KQw = torch.cat([sos_K1w, prompts_KPw + self.positions[1 : length + 1]], dim=1)
        x_KTw = torch.cat([prefix_KQw, suffixes.input_Sw.expand(clients, -1, -1)], dim=1)
        first = self.blocks[0]
        qkv_KT3w = torch.cat(
            [first.qkv(first.norm_1(prefix_KQw)), suffixes.qkv_S3w.expand(clients, -1, -1)], dim=1
        )
        for block, following in pairwise(self.blocks):
            q, k, v = self._split_heads(qkv_KT3w)
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=suffixes.mask_TT)
            x_KTw = block.mlp(x_KTw + block.out(attended.transpose(1, 2).flatten(2)))
            if following is not self.blocks[-1]:
                qkv_KT3w = following.qkv(following.norm_1(x_KTw))
        return F.normalize(self.projection(self.norm(self._last(x_KTw, qkv_KT3w, suffixes))), dim=-1)

    def _last(self, x_KTw: Tensor, qkv_KT3w: Tensor, suffixes: Suffixes) -> Tensor:
        """Return the last block's output at the [EOT] rows, [K, C, w]; other rows give keys and values."""
        block, width = self.blocks[-1], self.width
        x_KCw = x_KTw.index_select(1, suffixes.eot_C)
        if len(self.blocks) == 1:
            q_KCw, kv_KT2w = qkv_KT3w[..., :width].index_select(1, suffixes.eot_C), qkv_KT3w[..., width:]
        else:
            q_KCw, kv_KT2w = (
                block.qkv.rows(0, width)(block.norm_1(x_KCw)),
                block.qkv.rows(width)(block.norm_1(x_KTw)),
            )
        (q,), (k, v) = self._split_heads(q_KCw), self._split_heads(kv_KT2w)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=suffixes.eot_mask_CT)
        return block.mlp(x_KCw + block.out(attended.transpose(1, 2).flatten(2)))

    def _split_heads(self, x_KTnw: Tensor) -> list[Tensor]:
        """Return n views [K, H, T, w / H] of [K, T, n * w]."""
        return [
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in x_KTnw.split(self.width, dim=2)
        ]

    def flops(self, clients: int, suffixes: Suffixes, backward: bool = False) -> int:
        """Floating-point operations (a multiply-add is two) of the matrix products of one `encode`.

        Args:
            clients: K.
            suffixes: As given to `encode`.
            backward: Count the gradient to the prompts instead of the forward pass: the same products with
                the frozen weights, and five products of attention in place of two (see `nn.flops`).
        """
        width, hidden, layers = self.width, self.blocks[0].fc.weight.shape[0], len(self.blocks)
        tokens, prefix, classes = suffixes.tokens, suffixes.prefix_length + 1, suffixes.classes
        rows = (layers - 1) * tokens + classes  # queries of all blocks: the last has them at [EOT] only
        if layers == 1:
            projections = 3 * prefix
        else:
            projections = 3 * prefix + 3 * (layers - 2) * tokens + 2 * tokens + classes
        linear = 2 * width * (projections * width + rows * (width + 2 * hidden) + classes * self.embed_dim)
        attention = 4 * tokens * width * rows
        return clients * (linear + (attention * 5 // 2 if backward else attention))


def _tree_mask(lengths: list[int], position_S: Tensor, prefix: int, dtype: torch.dtype) -> Tensor:
    """Return the attention mask of the packed sequence, added to the scores. [T, T].

    The prefix is the stem, each class a branch: a token attends to the earlier tokens of the stem and of its
    own branch.

    Args:
        lengths: Tokens of each class. C
        position_S: Position of each suffix token in its own sequence. [S]
        prefix: Number of prefix tokens.
        dtype: Type of the scores.
    """
    owner_S = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    branch_T = torch.cat([torch.full((prefix,), -1), owner_S])
    position_T = torch.cat([torch.arange(prefix), position_S])
    visible_TT = (branch_T[None] == -1) | (branch_T[:, None] == branch_T[None])
    masked_TT = ~visible_TT | (position_T[:, None] < position_T[None])
    return torch.zeros(masked_TT.shape, dtype=dtype).masked_fill_(masked_TT, float("-inf"))
