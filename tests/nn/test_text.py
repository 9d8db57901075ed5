"""The fast text tower against open_clip's own, forward and gradient."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from raysim.core.errors import UserError
from raysim.nn.flops import count_flops
from raysim.nn.text import TextTower

open_clip = pytest.importorskip("open_clip")

CLASSES = [
    "forest.",
    "parking lot.",
    "circular farmland.",
    "x.",
    "mobile home park.",
    "sewage plant type oil field.",
    "beach.",
]


def small_clip(**text):
    from open_clip.model import CLIP

    torch.manual_seed(0)
    quick_gelu = text.pop("quick_gelu", False)
    vision = {"layers": [1, 1, 1, 1], "width": 16, "image_size": 64, "patch_size": None}
    text_cfg = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2, **text}
    clip = CLIP(64, vision, text_cfg, quick_gelu=quick_gelu).eval().requires_grad_(False)
    for block in clip.transformer.resblocks:  # open_clip starts biases at 0, which would hide a missing one
        for name, weight in block.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.1)
    return clip


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return open_clip.create_model("ViT-B-32", pretrained=None).eval().requires_grad_(False)


def class_tokens(tower: TextTower, names=CLASSES) -> list[list[int]]:
    return tower.strip(open_clip.get_tokenizer("ViT-B-32")(names))


def plain_encode(clip, prompts_Pw: Tensor, tokens: list[list[int]]) -> Tensor:
    """As in CoOp: the whole context of every class by open_clip's own modules, with the prompt inserted."""
    length = prompts_Pw.shape[0]
    rows = torch.zeros(len(tokens), clip.context_length, dtype=torch.long)
    for row, suffix in zip(rows, tokens, strict=True):
        row[: 1 + length + len(suffix)] = torch.tensor([49406] + [343] * length + suffix)
    x = clip.token_embedding(rows)
    x = (
        torch.cat([x[:, :1], prompts_Pw.expand(len(tokens), -1, -1), x[:, 1 + length :]], dim=1)
        + clip.positional_embedding
    )
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask))
    x = x[torch.arange(len(tokens)), rows.argmax(-1)]
    if isinstance(clip.text_projection, torch.nn.Linear):
        x = clip.text_projection(x)
    elif clip.text_projection is not None:
        x = x @ clip.text_projection
    return F.normalize(x, dim=-1)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().norm() / b.detach().norm())


def compare(clip, prompts_KPw: Tensor, names=CLASSES) -> tuple[float, float]:
    """Relative errors of feature and prompt gradient."""
    tower = TextTower.from_clip(clip)
    tokens = class_tokens(tower, names)
    prompts_KPw = prompts_KPw.clone().requires_grad_()
    weights = torch.randn(prompts_KPw.shape[0], len(names), tower.embed_dim, dtype=prompts_KPw.dtype)
    fast = tower.encode(prompts_KPw, tower.prepare(tokens, prompts_KPw.shape[1]))
    slow = torch.stack([plain_encode(clip, prompt, tokens) for prompt in prompts_KPw])
    if prompts_KPw.shape[1] == 0:
        return relative(fast, slow), 0.0
    (fast_grad,) = torch.autograd.grad((fast * weights).sum(), prompts_KPw)
    (slow_grad,) = torch.autograd.grad((slow * weights).sum(), prompts_KPw)
    return relative(fast, slow), relative(fast_grad, slow_grad)


TOWERS = [
    {},
    {"quick_gelu": True},
    {"heads": 4},
    {"layers": 1},
    {"layers": 3, "proj_bias": True},
    {"proj_type": "none"},
]


@pytest.mark.parametrize("text", TOWERS, ids=str)
@pytest.mark.parametrize("clients, length", [(1, 4), (3, 8), (2, 0)])
def test_equals_the_plain_tower_in_float64(text, clients, length):
    clip = small_clip(**text).double()
    feature, gradient = compare(clip, 0.02 * torch.randn(clients, length, 64, dtype=torch.float64))
    assert feature < 1e-10 and gradient < 1e-10


def test_equals_the_plain_tower_in_float32():
    feature, gradient = compare(small_clip(), 0.02 * torch.randn(3, 4, 64))
    assert feature < 1e-5 and gradient < 1e-5


def test_equals_vit_b_32(vit):
    feature, gradient = compare(vit, 0.02 * torch.randn(2, 4, 512), CLASSES[:5])
    assert feature < 1e-5 and gradient < 1e-5


def test_plain_texts_equal_encode_text():
    """A template's words as a prompt of token embeddings, and whole texts with P = 0."""
    clip = small_clip().double()
    tower = TextTower.from_clip(clip)
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    words = tower.strip(tokenizer(["a satellite photo of a"]))[0][:-1]
    reference = clip.encode_text(
        tokenizer([f"a satellite photo of a {name}" for name in CLASSES]), normalize=True
    )
    prompted = tower.encode(tower.embed(words)[None], tower.prepare(class_tokens(tower), len(words)))
    assert relative(prompted[0], reference) < 1e-10
    whole = tower.strip(tokenizer([f"a satellite photo of a {name}" for name in CLASSES]))
    assert (
        relative(tower.encode(torch.zeros(1, 0, 64).double(), tower.prepare(whole, 0))[0], reference) < 1e-10
    )


def test_stacked_clients_equal_single_ones():
    tower = TextTower.from_clip(small_clip())
    suffixes = tower.prepare(class_tokens(tower), 4)
    prompts = (0.02 * torch.randn(8, 4, 64)).requires_grad_()
    stacked = tower.encode(prompts, suffixes)
    single = torch.cat([tower.encode(prompt[None], suffixes) for prompt in prompts])
    torch.testing.assert_close(stacked, single, rtol=1e-5, atol=1e-6)
    weights = torch.randn_like(stacked)
    (a,) = torch.autograd.grad((stacked * weights).sum(), prompts)
    (b,) = torch.autograd.grad((single * weights).sum(), prompts)
    assert relative(a, b) < 1e-5


def test_a_class_does_not_see_the_others():
    tower = TextTower.from_clip(small_clip())
    tokens = class_tokens(tower)
    prompts = 0.02 * torch.randn(1, 4, 64)
    together = tower.encode(prompts, tower.prepare(tokens, 4))
    alone = torch.cat([tower.encode(prompts, tower.prepare([one], 4)) for one in tokens], dim=1)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "text", [{}, {"layers": 1}, {"layers": 4, "heads": 4}, {"width": 32}, {"proj_type": "none"}], ids=str
)
@pytest.mark.parametrize("clients, length", [(1, 4), (3, 4), (1, 8)])
def test_flops_match_the_counter(text, clients, length):
    tower = TextTower.from_clip(small_clip(**text))
    suffixes = tower.prepare(class_tokens(tower), length)
    prompts = torch.randn(clients, length, tower.width, requires_grad=True)
    forward = count_flops(lambda: tower.encode(prompts.detach(), suffixes))
    both = count_flops(lambda: tower.encode(prompts, suffixes).sum().backward())
    assert tower.flops(clients, suffixes) == forward
    assert tower.flops(clients, suffixes, backward=True) == both - forward


def test_weights_are_copies_without_gradients():
    clip = small_clip()
    tower = TextTower.from_clip(clip)
    prompts = torch.randn(1, 4, 64)
    suffixes = tower.prepare(class_tokens(tower), 4)
    before = tower.encode(prompts, suffixes)
    clip.requires_grad_(True)
    for weight in clip.parameters():
        weight.data.zero_()
    assert torch.equal(tower.to("cpu").encode(prompts, suffixes.to("cpu")), before)
    assert not before.requires_grad


def test_half_precision_weights_become_float32():
    tower = TextTower.from_clip(small_clip().half())
    assert tower.encode(torch.zeros(1, 2, 64), tower.prepare(class_tokens(tower), 2)).dtype == torch.float32


def test_context_overflow_names_the_longest_prompt():
    tower = TextTower.from_clip(small_clip(context_length=16))
    tokens = class_tokens(tower)
    longest = max(map(len, tokens))
    tower.prepare(tokens, 16 - 1 - longest)
    with pytest.raises(UserError, match=f"at most {15 - longest} prompt tokens"):
        tower.prepare(tokens, 16 - longest)


def test_mistakes_are_told():
    tower = TextTower.from_clip(small_clip())
    with pytest.raises(UserError, match="end-of-text"):
        tower.prepare([[5, 6]], 4)
    with pytest.raises(UserError, match="end-of-text"):
        tower.prepare([], 4)
    with pytest.raises(ValueError, match="prepared for 4"):
        tower.encode(torch.zeros(1, 3, 64), tower.prepare(class_tokens(tower), 4))


def _without_mask(clip):
    clip.attn_mask = None


@pytest.mark.parametrize(
    "text, spoil, message",
    [
        ({"no_causal_mask": True}, None, "not causal"),
        ({"ls_init_value": 0.1}, None, "blocks are not CLIP's"),
        ({"scale_attn": True}, None, "blocks are not CLIP's"),
        ({"pool_type": "last"}, None, "pools by 'last'"),
        ({}, _without_mask, "not causal"),
    ],
    ids=["no_causal_mask", "layer scale", "scaled attention", "pooling", "mask removed"],
)
def test_other_towers_are_refused(text, spoil, message):
    clip = small_clip(**text)
    if spoil:
        spoil(clip)
    with pytest.raises(UserError, match=message):
        TextTower.from_clip(clip)


def test_a_tower_of_another_kind_is_refused():
    with pytest.raises(UserError, match="no CLIP text tower"):
        TextTower.from_clip(torch.nn.Linear(2, 2))
