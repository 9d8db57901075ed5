"""LoveDA: land cover of 0.3 m per pixel, 5,987 images of 1024 px in three Chinese cities, urban and rural, 7 classes per pixel.

Reference: Wang et al., "LoveDA: a remote sensing land-cover dataset for domain adaptive semantic
    segmentation", NeurIPS 2021
Datasets and Benchmarks.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np

from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.dataset import DatasetInfo
from raysim.data.folder import candidates, data_roots, subfolders
from raysim.data.masks import pair
from raysim.data.segmentation import FORBIDDEN, MaskedFiles
from raysim.data.splits import TEST, by_domain

CLASSES = ("background", "building", "road", "water", "barren", "forest", "agriculture")
DOMAINS = ("urban", "rural")
COUNTS = {
    ("Train", "urban"): 1156,
    ("Train", "rural"): 1366,
    ("Val", "urban"): 677,
    ("Val", "rural"): 992,
}  # from memory, unconfirmed
HELD_BACK = (Fraction(4, 5), Fraction(1, 5))  # of the authors' training images: for training, for validation
LOG = logging.getLogger(__name__)


class LoveDA(MaskedFiles):
    """The archives' layout: `Train/Urban/images_png/1366.png` with `Train/Urban/masks_png/1366.png`, so `Val` and `Rural`.

    Mask values: 0 no data (ignored), 1 background to 7 agriculture. `Test` has no masks and is left out. The
    split: the authors' validation images are for test, a fifth of each domain's training images for
    validation.

    Args:
        path: The folder that holds `Train` and `Val`, or one that holds it; None looks for `loveda` in every
            folder of `$RAYSIM_DATA`.

    Raises:
        UserError: Nothing was found, folders are missing, or files do not fit together.
    """

    info = DatasetInfo(
        name="loveda",
        title="LoveDA",
        counts=dict.fromkeys(CLASSES, 0),
        aliases=("2021LoveDA",),
        layouts=("LoveDA", "2021LoveDA"),
        example="Train/Urban/images_png/1366.png, Train/Urban/masks_png/1366.png, Val/...",
        archive="Train.zip and Val.zip",
        size="about 6.5 GB",
        page="https://zenodo.org/records/5706578",
        terms="the authors: for academic purposes only; the imagery is Google's",
        total=sum(COUNTS.values()),
    )

    def __init__(self, path: str | None = None) -> None:
        root = _find(path)
        if root is None:
            places = ", ".join(
                map(str, [Path(path)] if path else [folder / "loveda" for folder in data_roots()])
            )
            raise UserError(
                f"LoveDA ('loveda') was not found in {places or 'RAYSIM_DATA, which is not set'}. Expected "
                f"there: {self.info.example}. To "
                f"mend it: get {self.info.archive} from {self.info.page} and unpack both to one folder, "
                "$RAYSIM_DATA/loveda"
            )
        self.name, self.classes, self.templates, self.domains = (
            self.info.name,
            CLASSES,
            self.info.templates,
            DOMAINS,
        )
        self.images, self.masks, cells = [], [], []
        for part, domain in COUNTS:
            images, masks = pair(
                root / part / domain.title() / "images_png", root / part / domain.title() / "masks_png"
            )
            if len(images) != COUNTS[part, domain]:
                LOG.warning(
                    "LoveDA in %s: %d images in %s/%s, expected %d",
                    root,
                    len(images),
                    part,
                    domain,
                    COUNTS[part, domain],
                )
            self.images += images
            self.masks += masks
            cells += [(part == "Val", DOMAINS.index(domain))] * len(images)
        self._held_out, self.attributes = (
            np.array([held for held, _ in cells]),
            np.array([domain for _, domain in cells]),
        )
        table = np.full(256, FORBIDDEN, dtype=np.uint8)
        table[: len(CLASSES) + 1] = [IGNORE, *range(len(CLASSES))]
        self._adopt(table)

    @classmethod
    def find(cls) -> Path | None:
        """The folder of `Train` and `Val` under `$RAYSIM_DATA`, or None."""
        return _find(None)

    def parts(self, split_seed: int) -> np.ndarray | None:
        """The authors' validation images for test; of the others a fifth of each domain for validation. [N] int8."""
        known = self.pixels[:, :-1].any(axis=1)
        assigned = by_domain(self, split_seed, np.flatnonzero(known & ~self._held_out), HELD_BACK)
        assigned[known & self._held_out] = TEST
        return assigned


def _find(path: str | None) -> Path | None:
    for folder in candidates(LoveDA.info, path):
        for layout in (".", *LoveDA.info.layouts):
            if {"Train", "Val"} & set(subfolders(folder / layout)):
                return (folder / layout).resolve()
    return None
