"""Bundled scenes for segmentation: in a river scene the foreground is "river", the rest "background"."""

from __future__ import annotations

import numpy as np

from raysim.core.config import digest
from raysim.data.dataset import DatasetInfo
from raysim.data.scenes import CLASSES, PER_CELL, SceneDataset
from raysim.data.scenes.captions import TEMPLATES
from raysim.data.scenes.domains import DOMAINS


class SceneMasks(SceneDataset):
    """Bundled scenes with a class for every pixel: 0 is background, k the foreground of scene class k - 1.

    `labels` is the class of the scene's foreground, not the most frequent class of its pixels, which is the
    background in most scenes.

    Args:
        per_cell: Scenes of each class in each domain, as for `SceneDataset`.
        seed: Seed of the generator, as for `SceneDataset`.
        stream: Name of the series of scenes, as for `SceneDataset`.
    """

    info = DatasetInfo(
        name="scene_masks",
        title="Bundled scenes with masks",
        counts={"background": 0, **dict.fromkeys(CLASSES, PER_CELL * len(DOMAINS))},
        templates=TEMPLATES,
        size="none, drawn by a program",
        terms="Apache-2.0, as the program",
    )
    segments = True

    def __init__(self, per_cell: int = PER_CELL, seed: int = 0, stream: str = "federation") -> None:
        super().__init__(per_cell, seed, stream)
        self.name = self.info.name
        self.labels = self.labels + 1
        self.classes = ("background", *CLASSES)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the generator's version and arguments, in hex; not that of `SceneDataset`."""
        return digest({"masks": super().fingerprint}, 64)

    def mask(self, index: int) -> np.ndarray:
        """Return the class of every pixel of the scene at `index`.

        Returns:
            [S, S] uint8.
        """
        return self.foreground(index).astype(np.uint8) * np.uint8(self.labels[index])
