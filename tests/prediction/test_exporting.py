"""What becomes a file: a linear classifier behind the image tower, as `raysim new method` writes one."""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from raysim.nn.networks import standardise
from raysim.prediction.exporting import classifier


def test_a_linear_classifier_is_exported_with_its_bias() -> None:
    """`raysim new method` writes such a method."""
    weight_Cd, bias_C = torch.randn(3, 5), torch.tensor([1.0, -2.0, 0.5])
    method = SimpleNamespace(name="mine", traits=SimpleNamespace(inputs="features"))
    method.predict = lambda model, params, x, scope: (x @ weight_Cd.T + bias_C)[None]
    clip = SimpleNamespace(visual=nn.Sequential(nn.Flatten(), nn.Linear(12, 5)))
    backbone = SimpleNamespace(embed_dim=5, clip=clip, mean=(0.5,) * 3, std=(0.2,) * 3)
    context = SimpleNamespace(backbone=backbone, device=torch.device("cpu"))
    made = classifier(method, None, context, {}, "shared")  # type: ignore[arg-type]
    images = torch.randint(0, 255, (4, 2, 2, 3), dtype=torch.uint8)
    features = F.normalize(clip.visual(standardise(images, (0.5,) * 3, (0.2,) * 3)), dim=-1)
    torch.testing.assert_close(made(images), features @ weight_Cd.T + bias_C)
