"""Bundled scenes: labelled pictures like satellite images, drawn by a program, so no download is needed.

24 classes in 6 domains (seasons, sensors, time of day, weather), each scene with the mask of its foreground.
A scene depends on (seed, stream, index, class, domain) and nothing else. The scenes show that the software
works; they are not real imagery.

Shapes: N scenes, S = 64 pixels a side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from importlib.metadata import version
from pathlib import Path
from typing import Self

import numpy as np

from raysim.core.config import digest
from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng
from raysim.data.dataset import Dataset, DatasetInfo, Progress
from raysim.data.memo import in_threads
from raysim.data.scenes import built, nature, transport
from raysim.data.scenes.canvas import SIZE, Canvas
from raysim.data.scenes.captions import TEMPLATES
from raysim.data.scenes.domains import DOMAINS, expose

PER_CELL = 60  # default number of scenes of each class in each domain
BATCH = 256  # scenes that are drawn between two signs of progress
VERSION = 1  # version of the pixels; a test fails when they change and this does not

CLASSES: dict[str, Callable[[Canvas], None]] = {
    "forest": nature.forest,
    "river": nature.river,
    "lake": nature.lake,
    "beach": nature.beach,
    "island": nature.island,
    "wetland": nature.wetland,
    "meadow": nature.meadow,
    "desert": nature.desert,
    "snowy mountain": nature.snowy_mountain,
    "farmland": nature.farmland,
    "circular farmland": nature.circular_farmland,
    "golf course": nature.golf_course,
    "dense residential": built.dense_residential,
    "sparse residential": built.sparse_residential,
    "industrial area": built.industrial_area,
    "storage tanks": built.storage_tanks,
    "parking lot": built.parking_lot,
    "harbor": built.harbor,
    "stadium": built.stadium,
    "tennis court": built.tennis_court,
    "runway": transport.runway,
    "highway": transport.highway,
    "intersection": transport.intersection,
    "railway": transport.railway,
}


def draw(
    seed: int, stream: str, index: int, class_name: str, domain: str, strength: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one scene.

    Args:
        seed: Seed of the generator.
        stream: Name of the series of scenes; different streams have no scene in common.
        index: Number of the scene in its stream.
        class_name: Key of `CLASSES`.
        domain: Key of `DOMAINS`.
        strength: Strength of the domain: 1 in full, 0 a clear picture.

    Returns:
        The image [S, S, 3] uint8 RGB and its foreground [S, S] bool.
    """
    canvas = Canvas(numpy_rng(seed, "scenes", stream, index))
    CLASSES[class_name](canvas)
    foreground = canvas.mask > 0.5
    return expose(canvas, domain, strength), foreground


class SceneDataset(Dataset):
    """Bundled scenes, balanced over classes and domains; each is drawn when it is needed.

    Who needs all of them draws them once for all kinds of inputs (`at_hand`).

    Args:
        per_cell: Scenes of each class in each domain, 1 or more.
        seed: Seed of the generator.
        stream: Name of the series of scenes; different streams have no scene in common.

    Raises:
        UserError: `per_cell` is less than 1.
    """

    drawn = True
    info = DatasetInfo(
        name="scenes",
        title="Bundled scenes",
        counts=dict.fromkeys(CLASSES, PER_CELL * len(DOMAINS)),
        templates=TEMPLATES,
        size="none, drawn by a program",
        terms="Apache-2.0, as the program",
    )

    def __init__(self, per_cell: int = PER_CELL, seed: int = 0, stream: str = "federation") -> None:
        if per_cell < 1:
            raise UserError(
                f"per_cell = {per_cell} is not allowed: the scenes need at least 1 of each class in "
                "each domain"
            )
        self.name = self.info.name
        self.templates = self.info.templates
        self.classes = tuple(CLASSES)
        self.domains = tuple(DOMAINS)
        self.per_cell, self.seed, self.stream = per_cell, seed, stream
        self._drawn: np.ndarray | None = None  # images and foregrounds, where they are at hand. [N, S, S, 4]
        order = np.arange(per_cell * len(CLASSES) * len(DOMAINS), dtype=np.int64)
        self.labels = order % len(CLASSES)
        self.attributes = order // len(CLASSES) % len(DOMAINS)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the generator's version and arguments, in hex, which determine every pixel."""
        return digest(self._address, 64)

    @property
    def _address(self) -> dict[str, int | str]:
        return {"scenes": VERSION, "per_cell": self.per_cell, "seed": self.seed, "stream": self.stream}

    def scene(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the image [S, S, 3] uint8 RGB at `index` and its foreground [S, S] bool."""
        place = range(len(self))[index]
        if self._drawn is not None:
            return self._drawn[place, :, :, :3].copy(), self._drawn[place, :, :, 3].astype(bool)
        return draw(
            self.seed,
            self.stream,
            place,
            self.classes[self.labels[place]],
            self.domains[self.attributes[place]],
        )

    def at_hand(self, cache_dir: Path | None = None, progress: Progress | None = None) -> Self:
        """Return the dataset with all scenes read from the cache; what it lacks is drawn now.

        More than the usual number of scenes stay as they are: 16 KB each, they would fill a disk.
        """
        if self.per_cell > PER_CELL:
            return self
        from raysim.data.cache import cached_array

        def blocks() -> Iterator[np.ndarray]:
            for start in range(0, len(self), BATCH):
                places = range(len(self))[start : start + BATCH]
                scenes = in_threads(lambda k, places=places: self.scene(places[k]), len(places))  # type: ignore[misc]
                yield np.stack([np.dstack([image, mask.astype(np.uint8)]) for image, mask in scenes])
                if progress is not None:
                    progress(start + len(scenes), len(self))

        key = {**self._address, "libraries": {"numpy": version("numpy")}}
        whole = copy(self)
        # a host draws them itself sooner than a slow network brings them
        whole._drawn = cached_array("scenes-drawn", key, len(self), cache_dir, blocks, sent=False)
        return whole

    def image(self, index: int) -> np.ndarray:
        """Return the image at `index`.

        Returns:
            [S, S, 3] uint8 RGB.
        """
        return self.scene(index)[0]

    def foreground(self, index: int) -> np.ndarray:
        """Return the foreground of the image at `index`: water of a river, roofs of an industrial area.

        Returns:
            [S, S] bool.
        """
        return self.scene(index)[1]


def contact_sheet(
    columns: int = 12, seed: int = 0, *, domain: str | None = None, masks: bool = False, scale: int = 1
) -> np.ndarray:
    """Return one picture of many scenes: a row for each class, the domains from left to right.

    Args:
        columns: Scenes of each class.
        seed: Seed of the generator.
        domain: The only domain to show; None shows all.
        masks: Whether to show foregrounds instead of images.
        scale: Enlargement, in whole pixels.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    names = list(DOMAINS) if domain is None else [domain]
    sheet = np.zeros((len(CLASSES) * (SIZE + 2), columns * (SIZE + 2), 3), np.uint8)
    for row, class_name in enumerate(CLASSES):
        for column in range(columns):
            name = names[column * len(names) // columns]
            image, mask = draw(seed, "sheet", row * 1000 + column, class_name, name)
            top, left = row * (SIZE + 2), column * (SIZE + 2)
            sheet[top : top + SIZE, left : left + SIZE] = mask[:, :, None] * np.uint8(255) if masks else image
    return sheet.repeat(scale, axis=0).repeat(scale, axis=1)
