"""Time of a client step with the fast text tower, relative to open_clip's plain tower.

A step is: text features of all classes, logits with cached image features, cross-entropy, backward pass, SGD
update. The plain loop works as in CoOp: one client after another, 77 tokens per class. The fast tower
processes the whole micro-cohort at once.

    python -m benchmarks.text_tower [--repeats N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import open_clip
import torch
import torch.nn.functional as F
from open_clip.model import CLIP

from raysim.nn.text import TextTower

CLASSES = [
    "agricultural",
    "airplane",
    "baseball diamond",
    "beach",
    "buildings",
    "chaparral",
    "dense residential",
    "forest",
    "freeway",
    "golf course",
    "harbor",
    "intersection",
    "medium residential",
    "mobile home park",
    "overpass",
    "parking lot",
    "river",
    "runway",
    "sparse residential",
    "storage tanks",
    "tennis court",
]  # UC Merced
LENGTH, IMAGES, RATE = 4, 32, 0.002


def small_tower() -> CLIP:
    vision = {"layers": [1, 1, 1, 1], "width": 16, "image_size": 64, "patch_size": None}
    return CLIP(64, vision, {"width": 64, "heads": 2, "layers": 2}).eval().requires_grad_(False)


def plain_encode(clip: CLIP, prompt_Pw: torch.Tensor, tokens_CL: torch.Tensor) -> torch.Tensor:
    """Text features [C, d]; the prompt replaces the placeholders in the tokens of "X X X X name."."""
    length = len(prompt_Pw)
    x = clip.token_embedding(tokens_CL)
    x = (
        torch.cat([x[:, :1], prompt_Pw.expand(len(x), -1, -1), x[:, 1 + length :]], dim=1)
        + clip.positional_embedding
    )
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask))
    return F.normalize(x[torch.arange(len(x)), tokens_CL.argmax(-1)] @ clip.text_projection, dim=-1)


def update(
    text_KCd: torch.Tensor, prompts: torch.Tensor, images_KBd: torch.Tensor, labels_KB: torch.Tensor
) -> torch.Tensor:
    """One SGD step of every client on its own cross-entropy."""
    logits_KBC = 100 * images_KBd @ text_KCd.transpose(1, 2)
    loss = F.cross_entropy(logits_KBC.flatten(0, 1), labels_KB.flatten(), reduction="sum") / IMAGES
    (gradient,) = torch.autograd.grad(loss, prompts)
    return prompts.detach() - RATE * gradient


def median_seconds(step: Callable[[], object], repeats: int) -> float:
    step()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Steps:
    """A step of K clients with the fast tower, and the same step with the plain one."""

    def __init__(self, clip: CLIP, names: Sequence[str], clients: int, device: str = "cpu") -> None:
        self.clip, tokenizer = clip, open_clip.SimpleTokenizer()
        self.tower = TextTower.from_clip(clip)
        self.suffixes = self.tower.prepare(self.tower.strip(tokenizer([f"{c}." for c in names])), LENGTH)
        self.tokens_CL = tokenizer([f"{'X ' * LENGTH}{c}." for c in names]).to(device)
        rng = torch.Generator().manual_seed(0)
        prompts = 0.02 * torch.randn(clients, LENGTH, self.tower.width, generator=rng)
        images = F.normalize(torch.randn(clients, IMAGES, self.tower.embed_dim, generator=rng), dim=-1)
        labels = torch.randint(len(names), (clients, IMAGES), generator=rng)
        self.prompts = prompts.to(device).requires_grad_()
        self.images, self.labels = images.to(device), labels.to(device)
        directions = (False, True)
        self.flops = sum(self.tower.flops(clients, self.suffixes, backward) for backward in directions)

    def fast(self) -> torch.Tensor:
        """Move all prompts at once; return them."""
        text_KCd = self.tower.encode(self.prompts, self.suffixes)
        return update(text_KCd, self.prompts, self.images, self.labels)

    def plain(self) -> torch.Tensor:
        """Move one prompt after the other; return them."""
        moved = []
        for k in range(len(self.prompts)):
            prompt = self.prompts[k : k + 1].detach().requires_grad_()
            text_1Cd = plain_encode(self.clip, prompt[0], self.tokens_CL)[None]
            moved.append(update(text_1Cd, prompt, self.images[k : k + 1], self.labels[k : k + 1]))
        return torch.cat(moved)

    def difference(self) -> float:
        """Return the norm of the difference of both updates, over the norm of the plain one."""
        moved = self.plain() - self.prompts.detach()
        return float((self.fast() - self.prompts.detach() - moved).norm() / moved.norm())


def measure(name: str, clip: CLIP, repeats: int) -> None:
    for clients in (1, 4, 8):
        steps = Steps(clip, CLASSES, clients)
        error = steps.difference()
        ours = median_seconds(steps.fast, repeats)
        theirs = median_seconds(steps.plain, max(3, repeats // 4))
        print(
            f"{name:9} K={clients}  plain {1e3 * theirs:9.1f} ms  fast {1e3 * ours:8.1f} ms  ratio "
            f"{ours / theirs:.3f}  "
            f"updates differ by {error:.0e}  {steps.flops / ours / 1e9:.0f} GFLOP/s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Ratio of a client step with the fast text tower to the plain loop."
    )
    parser.add_argument("--repeats", type=int, default=12)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.manual_seed(0)
    measure("width 64", small_tower(), 4 * repeats)
    measure("ViT-B-32", open_clip.create_model("ViT-B-32").eval().requires_grad_(False), repeats)


if __name__ == "__main__":
    main()
