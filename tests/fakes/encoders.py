"""A dataset of noise and a small image encoder, for tests of the feature cache."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from raysim.core.errors import UserError
from raysim.data.dataset import Dataset
from raysim.data.features import features
from raysim.data.views import resize

SIZE = 16


class Noise(Dataset):
    """Random pictures of different shapes that count in a file how often one is decoded."""

    name, classes, domains, templates = "noise", ("noise",), ("all",), ("{}",)

    def __init__(
        self, images: int = 70, counter: Path | None = None, delay: float = 0.0, broken: int = -1
    ) -> None:
        self.labels = self.attributes = np.zeros(images, dtype=np.int64)
        self.counter, self.delay, self.broken = counter, delay, broken

    @property
    def fingerprint(self) -> str:
        return f"noise of {len(self)}"

    def image(self, index: int) -> np.ndarray:
        if index == self.broken:
            raise UserError(f"cannot read image {index}")
        time.sleep(self.delay)
        if self.counter is not None:
            with self.counter.open("ab") as file:
                file.write(b".")
        return np.random.default_rng(index).integers(0, 256, (20 + index % 5, 24, 3), dtype=np.uint8)


class Encoder:
    """A tiny stand-in for a backbone: pooled colours through a fixed matrix."""

    def __init__(self, fingerprint: str = "one", mean: float = 0.5) -> None:
        self.name, self.fingerprint, self.embed_dim, self.image_size = "tiny", fingerprint, 8, SIZE
        self.clip, self.device = torch.nn.Linear(3, 8), torch.device("cpu")
        with torch.no_grad():
            self.clip.weight.copy_(torch.arange(24.0).reshape(8, 3).sin())
            self.clip.bias.zero_()
        self.mean = mean
        self.threads: set[int] = set()

    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(resize(image, SIZE).copy()).permute(2, 0, 1).float() / 255 - self.mean

    def encode_images(self, images: torch.Tensor, patches: bool = False) -> torch.Tensor:
        self.threads.add(torch.get_num_threads())
        pooled = self.clip(images.mean((2, 3)))
        tokens = self.clip(images.unfold(2, 8, 8).unfold(3, 8, 8).mean((4, 5)).flatten(2).transpose(1, 2))
        out = torch.cat([pooled[:, None], tokens], dim=1) if patches else pooled
        return torch.nn.functional.normalize(out, dim=-1)


def get(dataset: Dataset, encoder: Any, folder: Path, kind: Any = "features", **more: Any) -> np.ndarray:
    return features(
        dataset, encoder, inputs=kind, image_size=more.pop("image_size", SIZE), cache_dir=folder, **more
    )


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.arrow")
    return path
