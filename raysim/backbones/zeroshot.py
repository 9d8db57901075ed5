"""Zero-shot accuracy of a backbone on a dataset, by prompt template: what shows most wrong set-ups at once.

Shapes: N images, C classes, d embedding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from raysim.backbones.backbone import Backbone
from raysim.backbones.published import published_accuracies
from raysim.core.seeds import numpy_rng
from raysim.data.dataset import Dataset
from raysim.nn.text import TextTower

IMAGES, BATCH = 1000, 32
ENSEMBLE = "the mean of all templates"
TOLERANCE = 0.05  # below the lowest published accuracy that other prompts and samples explain
Z = 1.96  # of a 95 % interval


@dataclass(frozen=True)
class ZeroShotAccuracy:
    """Zero-shot accuracies on a sample of a dataset.

    Attributes:
        images: Number of images N.
        classes: Number of classes C.
        templates: Accuracy, 0 to 1, by template, and of the mean of their text features.
        published: Published accuracies by study; none where none is known.
    """

    images: int
    classes: int
    templates: dict[str, float]
    published: dict[str, float]

    @property
    def best(self) -> float:
        """Highest accuracy of a template."""
        return max(self.templates.values())

    @property
    def by_chance(self) -> bool:
        """Whether the best template is no better than twice a guess among the classes."""
        return self.best < 2 / self.classes

    @property
    def below(self) -> bool:
        """Whether the best template is below every published accuracy by more than the tolerance.

        The half width of the sample's 95 % interval comes on top of the tolerance.
        """
        if not self.published:
            return False
        lowest = min(self.published.values())
        return self.best < lowest - TOLERANCE - Z * (lowest * (1 - lowest) / self.images) ** 0.5


def sample(dataset: Dataset, images: int = IMAGES) -> np.ndarray:
    """Draw images of all classes in the dataset's own shares, by a fixed seed; all where there are fewer."""
    if len(dataset) <= images:
        return np.arange(len(dataset))
    return np.sort(numpy_rng(0, "zero-shot check").permutation(len(dataset))[:images])


def zeroshot_accuracy(
    backbone: Backbone,
    dataset: Dataset,
    indices: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> ZeroShotAccuracy:
    """Measure the zero-shot accuracy of every template of a dataset.

    Args:
        backbone: The backbone.
        dataset: A dataset that classifies images.
        indices: Which of its images. [N]
        progress: Called with (images done, images in all).
    """
    features_Nd = _image_features(backbone, dataset, indices, progress)
    labels_N = torch.from_numpy(dataset.labels[indices])
    texts = {template: _text_features(backbone, template, dataset.classes) for template in dataset.templates}
    if len(texts) > 1:
        texts[ENSEMBLE] = F.normalize(torch.stack(list(texts.values())).mean(0), dim=-1)
    return ZeroShotAccuracy(
        images=len(indices),
        classes=len(dataset.classes),
        templates={
            template: float(((features_Nd @ text_Cd.T).argmax(1) == labels_N).float().mean())
            for template, text_Cd in texts.items()
        },
        published=published_accuracies(backbone.name, dataset.name),
    )


def _image_features(
    backbone: Backbone, dataset: Dataset, indices: np.ndarray, progress: Callable[[int, int], None] | None
) -> torch.Tensor:
    """Return the normalised features [N, d]."""
    parts = []
    for first in range(0, len(indices), BATCH):
        chosen = indices[first : first + BATCH]
        images = torch.stack([backbone.preprocess(dataset.image(int(index))) for index in chosen])
        parts.append(backbone.encode_images(images))
        if progress is not None:
            progress(first + len(chosen), len(indices))
    return torch.cat(parts)


@torch.no_grad()
def _text_features(backbone: Backbone, template: str, classes: Sequence[str]) -> torch.Tensor:
    """Return the normalised features [C, d] of the class names in a template."""
    ids = backbone.tokenize([template.format(name) for name in classes])
    text: torch.Tensor = backbone.clip.encode_text(ids.to(backbone.device), normalize=True)
    return text.float().cpu()


def with_other_activation(backbone: Backbone) -> tuple[Backbone, str] | None:
    """Return the same weights with QuickGELU in place of GELU or the reverse, and what they have now.

    None where the towers have neither.
    """
    from open_clip.transformer import QuickGELU

    clip = copy.deepcopy(backbone.clip)
    quick = any(isinstance(module, QuickGELU) for module in clip.modules())
    other: type[nn.Module] = nn.GELU if quick else QuickGELU
    changed = 0
    for module in clip.modules():
        for name, child in module.named_children():
            if isinstance(child, QuickGELU if quick else nn.GELU):
                setattr(module, name, other())
                changed += 1
    if not changed:
        return None
    changed_one = replace(backbone, load_clip=lambda: clip, load_tower=lambda: TextTower.from_clip(clip))
    return changed_one, "GELU" if quick else "QuickGELU"
