"""Evaluation of the bundled backbone on a federation's scenes: `python -m raysim.backbones.evaluate`.

It measures zero-shot classification, centralized prompt learning (CoOp, Zhou et al., "Learning to Prompt for
Vision-Language Models", IJCV 2022), one prompt per domain, and a linear probe, all by open_clip's plain text
tower. Prompts learn on the training split; every number is from the test split.

Shapes: N images, C classes, D domains, T context tokens, L tokens, w text width, d embedding.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from raysim.backbones.backbone import Backbone
from raysim.backbones.registry import load_backbone
from raysim.core.seeds import torch_rng
from raysim.data.dataset import Dataset
from raysim.data.scenes import SceneDataset
from raysim.data.splits import split

START = "a satellite photo of"


def image_features(backbone: Backbone, dataset: Dataset, batch: int = 256) -> torch.Tensor:
    """Return the normalised features [N, d] of all images."""
    parts = []
    for first in range(0, len(dataset), batch):
        images = [
            backbone.preprocess(dataset.image(i)) for i in range(first, min(first + batch, len(dataset)))
        ]
        parts.append(backbone.encode_images(torch.stack(images)))
    return torch.cat(parts)


class Prompt(torch.nn.Module):
    """T learned tokens before each class name; they start from the embeddings of words."""

    def __init__(self, backbone: Backbone, classes: tuple[str, ...], start: str = START) -> None:
        """Take the embeddings of the words in `start`."""
        super().__init__()
        self.clip = backbone.clip
        ids_CL = backbone.tokenize([f"{start} {name}." for name in classes])
        self.length = int(ids_CL.argmax(dim=1).max()) + 1
        self.ids_CL = ids_CL[:, : self.length]
        self.tokens = len(backbone.tokenizer.encode(start))
        embedded = self.clip.token_embedding(self.ids_CL)
        self.context = torch.nn.Parameter(embedded[0, 1 : 1 + self.tokens].clone())
        self.before, self.after = embedded[:, :1], embedded[:, 1 + self.tokens :]

    def forward(self) -> torch.Tensor:
        """Return the class features [C, d]."""
        context = self.context.expand(len(self.ids_CL), -1, -1)
        hidden = (
            torch.cat([self.before, context, self.after], dim=1)
            + self.clip.positional_embedding[: self.length]
        )
        hidden = self.clip.ln_final(
            self.clip.transformer(hidden, attn_mask=self.clip.attn_mask[: self.length, : self.length])
        )
        return F.normalize(
            hidden[torch.arange(len(hidden)), self.ids_CL.argmax(dim=1)] @ self.clip.text_projection, dim=-1
        )


def learn_prompt(
    backbone: Backbone,
    classes: tuple[str, ...],
    features: torch.Tensor,
    labels: torch.Tensor,
    *,
    steps: int = 400,
) -> torch.Tensor:
    """Learn a prompt on the pooled data (centralized) and return its class features [C, d]."""
    prompt, generator = Prompt(backbone, classes), torch_rng(0, "evaluate")
    optimizer = torch.optim.Adam([prompt.context], lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(labels), (256,), generator=generator)
        loss = F.cross_entropy(backbone.logit_scale * features[chosen] @ prompt().T, labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return prompt().detach()


def linear_probe(features: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.nn.Linear:
    """Fit a logistic regression on the features."""
    probe = torch.nn.Linear(features.shape[1], classes)
    torch.nn.init.zeros_(probe.weight)
    torch.nn.init.zeros_(probe.bias)
    optimizer = torch.optim.LBFGS(probe.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(probe(features), labels) + 1e-5 * probe.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return probe


def _accuracy(features: torch.Tensor, weights: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of correct predictions of a linear classifier."""
    return float(((features @ weights.T).argmax(1) == labels).float().mean())


def evaluate(backbone: Backbone, dataset: Dataset, split_seed: int = 0) -> dict[str, Any]:
    """Compute all numbers of the model card.

    Returns:
        Accuracies, 0 to 1: `zero_shot` for each template, `zero_shot_domains` and `zero_shot_classes`; `coop`
        and `coop_domains` (one prompt for all domains); `coop_per_domain` and `coop_per_domain_domains` (one
        prompt for each domain, the mean and each); `linear_probe`.
    """
    features = image_features(backbone, dataset)
    labels, domains = torch.from_numpy(dataset.labels), torch.from_numpy(dataset.attributes)
    part = torch.from_numpy(split(dataset, split_seed).astype(np.int64))
    train, test = part == 0, part == 2
    out: dict[str, Any] = {"zero_shot": {}}
    with torch.no_grad():
        for template in dataset.templates:
            ids = backbone.tokenize([template.format(name) for name in dataset.classes])
            text = backbone.clip.encode_text(ids, normalize=True)
            out["zero_shot"][template] = _accuracy(features[test], text, labels[test])
            if template == dataset.templates[0]:
                plain = text
    where = [test & (domains == domain) for domain in range(len(dataset.domains))]
    out["zero_shot_domains"] = {
        name: _accuracy(features[at], plain, labels[at])
        for name, at in zip(dataset.domains, where, strict=True)
    }
    right = ((features @ plain.T).argmax(1) == labels).float()
    out["zero_shot_classes"] = {
        name: float(right[test & (labels == label)].mean()) for label, name in enumerate(dataset.classes)
    }
    common = learn_prompt(backbone, dataset.classes, features[train], labels[train])
    out["coop"] = _accuracy(features[test], common, labels[test])
    out["coop_domains"] = {
        name: _accuracy(features[at], common, labels[at])
        for name, at in zip(dataset.domains, where, strict=True)
    }
    single = {}
    for domain, name in enumerate(dataset.domains):
        at = train & (domains == domain)
        text = learn_prompt(backbone, dataset.classes, features[at], labels[at])
        single[name] = _accuracy(features[where[domain]], text, labels[where[domain]])
    out["coop_per_domain"], out["coop_per_domain_domains"] = float(np.mean(list(single.values()))), single
    probe = linear_probe(features[train], labels[train], len(dataset.classes))
    out["linear_probe"] = float((probe(features[test]).argmax(1) == labels[test]).float().mean())
    return out


def main() -> None:
    """Print the numbers as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m raysim.backbones.evaluate", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--per-cell", type=int, default=60, help="scenes of each class in each domain")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(evaluate(load_backbone(), SceneDataset(given.per_cell)), indent=1))


if __name__ == "__main__":
    main()
