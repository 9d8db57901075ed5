"""CLIP's causal text tower for learned prompts: exact, without computing anything twice.

The tower is causal and its weights are frozen, so for prompts that stand before the class name

- tokens after [EOT] cannot influence the text feature: they are left out;
- [SOS] and the prompt are the same for all classes: they run once per client, and every class attends to
them. All tokens of
  a client, `[SOS] prompt | class 0 | class 1 | ...`, are one sequence of T rows whose attention mask is a
  tree: the prefix is the stem, each class a branch. No padding, one matrix product per linear layer for all
  classes and clients;
- the first block's projections of the class names never change: they are computed in `prepare`;
- the last block needs its query, output projection and MLP at the [EOT] rows only;
- weights get no gradients.

Shapes: K clients, C classes, P prompt tokens, Q = P + 1 prefix tokens, S suffix tokens of all classes, T = Q
+ S, w width, H heads, d embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from raysim.core.errors import UserError

QUICK_GELU = 1.702


@dataclass(frozen=True)
class _Tensors:
    def to(self, device: str | torch.device) -> Self:
        """The same on another device."""
        moved = {
            f.name: getattr(self, f.name).to(device)
            for f in fields(self)
            if isinstance(getattr(self, f.name), Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class _Norm(_Tensors):
    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class _Linear(_Tensors):
    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def rows(self, start: int, stop: int | None = None) -> _Linear:
        return _Linear(self.weight[start:stop], None if self.bias is None else self.bias[start:stop])


@dataclass(frozen=True)
class _Block:
    norm_1: _Norm
    qkv: _Linear
    out: _Linear
    norm_2: _Norm
    fc: _Linear
    act: str  # "silu", or how GELU is computed: "none", "tanh"
    proj: _Linear

    def to(self, device: str | torch.device) -> _Block:
        return replace(
            self, **{f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "act"}
        )

    def mlp(self, x: Tensor) -> Tensor:
        hidden = self.fc(self.norm_2(x))
        if self.act == "silu":
            return x + self.proj(F.silu(hidden))
        return x + self.proj(F.gelu(hidden, approximate=self.act))


@dataclass(frozen=True)
class Suffixes(_Tensors):
    """Class names made ready for a tower and a prompt length (see `TextTower.prepare`)."""

    classes: int
    prefix_length: int
    input_Sw: Tensor  # token and position embeddings
    qkv_S3w: Tensor  # the first block's projections of them
    mask_TT: Tensor  # added to the scores: 0 where a row may attend to a column, else -inf
    eot_C: Tensor  # rows of [EOT]
    eot_mask_CT: Tensor

    @property
    def tokens(self) -> int:
        """T: prefix and suffix tokens of one client."""
        return self.mask_TT.shape[0]


@dataclass(frozen=True)
class TextTower:
    """A frozen CLIP text tower in plain tensors; `from_clip` builds it.

    Reference: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML
        2021 (arXiv 2103.00020).
    """

    token_embedding: Tensor
    positions: Tensor
    blocks: tuple[_Block, ...]
    norm: _Norm
    projection: _Linear
    heads: int
    sos: int
    eot: int

    @classmethod
    def from_clip(cls, clip: Any, sos: int | None = None) -> TextTower:
        """Copy the text tower of an open_clip CLIP, refusing one that this form does not cover exactly.

        Args:
            clip: An `open_clip.CLIP` (or a model with the same text attributes). Half precision is copied as
                float32.
            sos: Token id of [SOS]; default the vocabulary's last but one, as in CLIP's own tokenizer ([EOT]
                is the last).

        Raises:
            UserError: The tower is not causal, not CLIP's own transformer, or pools elsewhere than at [EOT].
        """
        _check(clip)
        first = clip.transformer.resblocks[0]
        vocabulary = clip.token_embedding.weight.shape[0]
        projection = clip.text_projection
        if isinstance(projection, torch.nn.Linear):
            last = _linear(projection)
        elif projection is None:
            last = _Linear(torch.diag(torch.ones_like(_plain(clip.ln_final.weight))), None)
        else:
            last = _Linear(_plain(projection).T.contiguous(), None)
        return cls(
            token_embedding=_plain(clip.token_embedding.weight),
            positions=_plain(clip.positional_embedding),
            blocks=tuple(_block(block) for block in clip.transformer.resblocks),
            norm=_norm(clip.ln_final),
            projection=last,
            heads=first.attn.num_heads,
            sos=vocabulary - 2 if sos is None else sos,
            eot=vocabulary - 1 if clip.text_pool_type == "argmax" else int(clip.text_eos_id),
        )

    @property
    def width(self) -> int:
        """w: size of a prompt token."""
        return self.token_embedding.shape[1]

    @property
    def embed_dim(self) -> int:
        """d: size of a text feature."""
        return self.projection.weight.shape[0]

    @property
    def context_length(self) -> int:
        """The longest sequence, [SOS] and [EOT] included."""
        return self.positions.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.positions.device

    def to(self, device: str | torch.device) -> TextTower:
        """The same tower on another device."""
        return replace(
            self,
            token_embedding=self.token_embedding.to(device),
            positions=self.positions.to(device),
            blocks=tuple(block.to(device) for block in self.blocks),
            norm=self.norm.to(device),
            projection=self.projection.to(device),
        )

    def strip(self, rows: Tensor) -> list[list[int]]:
        """Tokenised texts `[SOS] words [EOT] 0 0 ..` as `words [EOT]`: what `prepare` takes.

        Args:
            rows: [C, L] int64 token ids.

        Raises:
            UserError: A row without [EOT].
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
        """Token embeddings without positions, e.g. of "a satellite photo of a", to be used as a prompt.

        Args:
            tokens: [P] token ids.

        Returns:
            [P, w].
        """
        return self.token_embedding[torch.as_tensor(tokens, dtype=torch.long, device=self.device)]

    def prepare(self, class_tokens: Sequence[Sequence[int]], prefix_length: int) -> Suffixes:
        """Everything about the class names that training cannot change.

        Args:
            class_tokens: C lists of token ids, each the name's tokens, '.', [EOT]; no [SOS], no context (see
                `strip`).
            prefix_length: P, the number of prompt tokens before the name; 0 for [SOS] alone.

        Raises:
            UserError: A sequence longer than the context, or one that does not end in its only [EOT].
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
        owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        order = torch.cat([torch.arange(length) for length in lengths]) + prefix_length + 1
        flat = torch.tensor([token for tokens in class_tokens for token in tokens])
        input_Sw = self.embed(flat) + self.positions[order.to(self.device)]
        # the stem is branch -1, seen by all; a branch sees itself; nobody sees what comes later
        branch = torch.cat([torch.full((prefix_length + 1,), -1), owner])
        position = torch.cat([torch.arange(prefix_length + 1), order])
        visible = (branch[None] == -1) | (branch[:, None] == branch[None])
        unseen = ~visible | (position[:, None] < position[None])
        mask_TT = (
            torch.zeros(unseen.shape, dtype=input_Sw.dtype)
            .masked_fill_(unseen, float("-inf"))
            .to(self.device)
        )
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
        """Text features of every class under every client's prompt; differentiable with respect to the prompts.

        Args:
            prompts_KPw: [K, P, w] prompt tokens without positions; P = 0 for plain class names.
            suffixes: Prepared for this tower and this P.

        Returns:
            [K, C, d], each of L2 norm 1, in the order given to `prepare`.
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
        """The last block at the [EOT] rows, [K, C, w]: all rows give keys and values, nothing else of them is needed."""
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
        """[K, T, n*w] -> n views [K, H, T, w/H]."""
        return [
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in x_KTnw.split(self.width, dim=2)
        ]

    def flops(self, clients: int, suffixes: Suffixes) -> int:
        """Floating-point operations (a multiply-add is two) of the matrix products of one forward `encode`.

        Args:
            clients: K.
            suffixes: As given to `encode`.
        """
        width, hidden, layers = self.width, self.blocks[0].fc.weight.shape[0], len(self.blocks)
        tokens, prefix, classes = suffixes.tokens, suffixes.prefix_length + 1, suffixes.classes
        after = 2 * width * width + 4 * width * hidden  # output projection and MLP of one row
        full = tokens * (after + 4 * tokens * width)
        last = classes * (after + 4 * tokens * width)
        if layers == 1:
            projections = prefix * 6 * width * width
        else:
            projections = (prefix + (layers - 2) * tokens) * 6 * width * width + (
                2 * tokens + classes
            ) * 2 * width * width
        return clients * (projections + (layers - 1) * full + last + classes * 2 * width * self.embed_dim)


def _plain(weight: Tensor) -> Tensor:
    copy = weight.detach().clone()
    return copy if copy.dtype in (torch.float32, torch.float64) else copy.float()


def _linear(layer: Any, scale: float = 1.0) -> _Linear:
    return _Linear(_plain(layer.weight) * scale, None if layer.bias is None else _plain(layer.bias) * scale)


def _norm(layer: Any) -> _Norm:
    return _Norm(_plain(layer.weight), _plain(layer.bias), layer.eps)


def _block(block: Any) -> _Block:
    from open_clip.transformer import QuickGELU

    attention, gelu = block.attn, block.mlp.gelu
    quick = isinstance(gelu, QuickGELU)
    # x sigmoid(1.702 x) = silu(1.702 x) / 1.702: one kernel instead of three, the factors go into the weights
    # beside it
    proj = _linear(block.mlp.c_proj)
    return _Block(
        norm_1=_norm(block.ln_1),
        qkv=_Linear(_plain(attention.in_proj_weight), _plain(attention.in_proj_bias)),
        out=_linear(attention.out_proj),
        norm_2=_norm(block.ln_2),
        fc=_linear(block.mlp.c_fc, QUICK_GELU if quick else 1.0),
        act="silu" if quick else gelu.approximate,
        proj=_Linear(proj.weight / QUICK_GELU, proj.bias) if quick else proj,
    )


def _check(clip: Any) -> None:
    """Refuse what `TextTower` would not reproduce exactly."""
    from open_clip.transformer import QuickGELU, ResidualAttentionBlock

    if not all(
        hasattr(clip, name)
        for name in ("transformer", "token_embedding", "positional_embedding", "ln_final", "attn_mask")
    ):
        raise UserError(
            f"{type(clip).__name__} has no CLIP text tower of its own (a Hugging Face or custom text "
            "tower): use a CLIP"
        )
    if clip.text_pool_type not in ("argmax", "eos"):
        raise UserError(
            f"the text tower pools by '{clip.text_pool_type}', not at the end-of-text token: it cannot be "
            "used exactly"
        )
    length = clip.positional_embedding.shape[0]
    causal = torch.full((length, length), float("-inf")).triu_(1)
    if clip.attn_mask is None or not torch.equal(clip.attn_mask.detach().float().cpu(), causal):
        raise UserError(
            "the text tower is not causal: the class names would change the prompt's features, so it "
            "cannot be used exactly"
        )
    for block in clip.transformer.resblocks:
        plain = (
            type(block) is ResidualAttentionBlock
            and isinstance(block.ls_1, torch.nn.Identity)
            and isinstance(block.ls_2, torch.nn.Identity)
            and not hasattr(block, "ln_1_kv")
            and type(block.mlp.gelu) in (torch.nn.GELU, QuickGELU)
            and block.attn.in_proj_weight is not None
            and block.attn.in_proj_bias is not None
            and block.attn.bias_k is None
            and not block.attn.add_zero_attn
        )
        if not plain:
            raise UserError(
                "the text tower's blocks are not CLIP's (layer scale, head scale or another activation): "
                "use a plain CLIP"
            )
