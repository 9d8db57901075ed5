"""Pretraining of the bundled backbone: `python -m raysim.backbones.pretrain`.

A small open_clip CLIP learns to match scenes and captions. Its scenes are from the stream "pretraining",
which no dataset uses. Two in five are clear summer pictures. Each other domain is rarer, mostly weaker than
in a federation's scenes, and always named in its captions. So a prompt without domain words fits clear
summer, and a federation has something to learn. A caption matches every image of its class, and of its
domain where it names one (Yang et al., "Unified Contrastive Learning in Image-Text-Label Space", CVPR 2022):
with 24 classes, other images of the same class are no negatives.

Shapes: N scenes, S pixels a side, P pairs in a batch, L tokens of the longest caption, d embedding.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from raysim.backbones import bundled
from raysim.core.config import Config, knob
from raysim.core.seeds import derive, numpy_rng
from raysim.data.scenes import CLASSES, VERSION, draw
from raysim.data.scenes.canvas import SIZE
from raysim.data.scenes.captions import TEMPLATES, caption
from raysim.data.scenes.domains import DOMAINS

STREAM = "pretraining"
MEAN, STD = (0.45, 0.45, 0.42), (0.25, 0.24, 0.24)
CONTEXT = 77


class Pretraining(Config):
    """Settings that determine the weights, bit for bit on one machine."""

    seed: int = knob(0, "seed of scenes, captions, weights and batches", basis="guess")
    scenes: int = knob(32_768, "distinct scenes drawn", basis="guess", ge=256)
    passes: int = knob(
        4, "passes over the scenes, each with random rotations and mirroring", basis="guess", ge=1
    )
    batch: int = knob(256, "image-caption pairs in a step", basis="guess", ge=2)
    rate: float = knob(2e-3, "peak learning rate of AdamW, cosine schedule", basis="guess", gt=0)
    decay: float = knob(0.05, "weight decay", basis="guess", ge=0)
    clear: float = knob(
        0.4,
        "share of clear summer scenes; the other domains share the rest",
        basis="computed",
        ge=0,
        le=1,
    )
    weakest: float = knob(0.2, "least strength of another domain", basis="computed", ge=0, le=1)
    strongest: float = knob(
        1.0,
        "greatest strength of another domain; 1 is that of a federation's scenes",
        basis="computed",
        ge=0,
        le=1,
    )
    told: float = knob(
        0.4,
        "share of clear scenes whose caption names the domain; captions of the others always do",
        basis="guess",
        ge=0,
        le=1,
    )
    embed_dim: int = knob(64, "size of the common embedding", basis="guess", ge=8)


def architecture(embed_dim: int) -> dict[str, Any]:
    """Return the model's configuration in open_clip's form."""
    return {
        "embed_dim": embed_dim,
        "quick_gelu": False,
        "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "head_width": 64, "image_size": SIZE},
        "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    }


def pairs(plan: Pretraining) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the scenes.

    Returns:
        Images [N, S, S, 3] uint8, classes [N] and domains [N] int64.
    """
    names, domains = list(CLASSES), list(DOMAINS)
    rng = numpy_rng(plan.seed, "pretraining mixture")
    share = np.array([plan.clear] + [(1 - plan.clear) / (len(domains) - 1)] * (len(domains) - 1))
    labels = rng.permutation(np.arange(plan.scenes) % len(names))
    shown = rng.choice(len(domains), size=plan.scenes, p=share)
    strength = rng.uniform(plan.weakest, plan.strongest, plan.scenes)
    images = np.empty((plan.scenes, SIZE, SIZE, 3), np.uint8)
    for index in range(plan.scenes):
        images[index], _ = draw(
            plan.seed, STREAM, index, names[labels[index]], domains[shown[index]], float(strength[index])
        )
    return images, labels.astype(np.int64), shown.astype(np.int64)


class Words:
    """The few tokens that captions use, numbered in the order of their ids so that [EOT] is the highest."""

    def __init__(self) -> None:
        """Tokenise all words of all captions."""
        from open_clip import SimpleTokenizer

        from raysim.data.scenes.captions import DOMAIN_WORDS, SYNONYMS

        self.tokenizer = SimpleTokenizer(context_length=CONTEXT)
        groups = (SYNONYMS, DOMAIN_WORDS)
        texts = [*TEMPLATES, ",", *(word for group in groups for words in group.values() for word in words)]
        self.seen = torch.unique(self.tokenizer(texts))
        self.rows: dict[str, torch.Tensor] = {}

    def __call__(self, text: str) -> torch.Tensor:
        """Return the row numbers [CONTEXT] of a caption's tokens; they are kept, because captions repeat."""
        if text not in self.rows:
            self.rows[text] = torch.searchsorted(self.seen, self.tokenizer([text])[0])
        return self.rows[text]


def text_features(clip: Any, rows_PL: torch.Tensor) -> torch.Tensor:
    """Return the features [P, d] of captions; tokens after the longest are cut, as none can reach [EOT]."""
    last = rows_PL.argmax(dim=1)
    length = int(last.max()) + 1
    hidden = clip.token_embedding(rows_PL[:, :length]) + clip.positional_embedding[:length]
    hidden = clip.ln_final(clip.transformer(hidden, attn_mask=clip.attn_mask[:length, :length]))
    return F.normalize(hidden[torch.arange(len(hidden)), last] @ clip.text_projection, dim=-1)


def augmented(images: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Return standardised images [P, 3, S, S] float32, the batch rotated and mirrored at random."""
    images = np.rot90(images, int(rng.integers(4)), axes=(1, 2))
    if rng.random() < 0.5:
        images = images[:, :, ::-1]
    # channels-last in memory
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div_(255)
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def contrastive_loss(
    clip: Any, images: torch.Tensor, rows_PL: torch.Tensor, match_PP: torch.Tensor
) -> torch.Tensor:
    """Return the contrastive loss; `match_PP[i, j]` is whether caption j is true of image i."""
    image_Pd, text_Pd = F.normalize(clip.visual(images), dim=-1), text_features(clip, rows_PL)
    logits_PP = clip.logit_scale.exp() * image_Pd @ text_Pd.T
    target = match_PP.float()
    images_to_texts = -(target / target.sum(1, keepdim=True) * logits_PP.log_softmax(1)).sum(1).mean()
    texts_to_images = -(target / target.sum(0, keepdim=True) * logits_PP.log_softmax(0)).sum(0).mean()
    return (images_to_texts + texts_to_images) / 2


def draw_captions(
    plan: Pretraining, labels: np.ndarray, shown: np.ndarray, rng: np.random.Generator
) -> list[str]:
    """Draw a caption for each scene of a batch; a caption without a domain means a clear picture."""
    names, domains = list(CLASSES), list(DOMAINS)
    names_domain = (rng.random(len(labels)) < plan.told) | (shown > 0)
    return [
        caption(rng, names[label], domains[domain] if named else None)
        for label, domain, named in zip(labels, shown, names_domain, strict=True)
    ]


def train(plan: Pretraining, data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[Any, Words]:
    """Return the trained model, whose token embedding has rows for the seen tokens only, and its words."""
    images, labels, shown = data
    words = Words()
    shape = architecture(plan.embed_dim)
    clip = bundled.build({**shape, "text_cfg": {**shape["text_cfg"], "vocab_size": len(words.seen)}})
    clip.visual.to(memory_format=torch.channels_last)
    matrices = [weight for weight in clip.parameters() if weight.ndim >= 2]
    others = [weight for weight in clip.parameters() if weight.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": plan.decay}, {"params": others, "weight_decay": 0}],
        lr=plan.rate,
    )
    steps = plan.passes * (plan.scenes // plan.batch)
    rng, started = numpy_rng(plan.seed, "pretraining batches"), time.perf_counter()
    for step in range(steps):
        place = step % (plan.scenes // plan.batch)
        if place == 0:
            order = rng.permutation(plan.scenes)
        chosen = order[place * plan.batch : (place + 1) * plan.batch]
        label, domain = labels[chosen], shown[chosen]
        captions = draw_captions(plan, label, domain, rng)
        match = (label[:, None] == label[None, :]) & (domain[:, None] == domain[None, :])
        loss = contrastive_loss(
            clip,
            augmented(images[chosen], rng),
            torch.stack([words(text) for text in captions]),
            torch.from_numpy(match),
        )
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * min((step + 1) / 50, 0.5 * (1 + math.cos(math.pi * step / steps)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
        optimizer.step()
        clip.logit_scale.data.clamp_(max=math.log(100))
        if step % 64 == 0:
            print(
                f"step {step:5d} of {steps}  loss {loss.item():.3f}  {time.perf_counter() - started:.0f} s",
                flush=True,
            )
    return clip.eval(), words


def save(clip: Any, words: Words, plan: Pretraining, folder: Path) -> None:
    """Write the weights in fp16, with the seen rows only, and the record."""
    from open_clip.transform import PreprocessCfg
    from safetensors.torch import save as pack

    state = {
        name: value.half().contiguous()
        for name, value in clip.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    content = pack(dict(sorted(state.items())))
    record = {
        "name": "scenes-clip",
        "sha256": hashlib.sha256(content).hexdigest(),
        "preprocessing": vars(PreprocessCfg(size=SIZE, mean=MEAN, std=STD)),
        "architecture": architecture(plan.embed_dim),
        "templates": TEMPLATES,
        "pretraining": {**plan.model_dump(), "stream": STREAM, "scenes_version": VERSION},
        "seen_tokens": words.seen.tolist(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / bundled.WEIGHTS).write_bytes(content)
    (folder / bundled.CARD).write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    """Compute the weights and write them."""
    parser = argparse.ArgumentParser(
        prog="python -m raysim.backbones.pretrain", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=bundled.FOLDER, help="folder for the two files")
    given = parser.parse_args()
    torch.set_num_threads(1)
    plan, started = Pretraining(), time.perf_counter()
    torch.manual_seed(derive(plan.seed, "pretraining"))
    data = pairs(plan)
    print(f"{plan.scenes} scenes in {time.perf_counter() - started:.0f} s", flush=True)
    clip, words = train(plan, data)
    save(clip, words, plan, given.out)
    print(f"written to {given.out} after {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
