"""LoveDA: land cover in 7 classes of pixels, 5,987 images of 1024 px, 0.3 m per pixel.

The images are from three Chinese cities; the domains are urban and rural areas.

Reference: Wang et al., "LoveDA: a remote sensing land-cover dataset for domain adaptive semantic
    segmentation", NeurIPS 2021 Datasets and Benchmarks.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np

from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.dataset import DatasetInfo
from raysim.data.files import data_roots, subfolders
from raysim.data.folder import candidate_folders
from raysim.data.listing import LeftOut
from raysim.data.mask_files import pair
from raysim.data.segmentation import FORBIDDEN, MaskedFiles
from raysim.data.splits import TEST, by_domain

CLASSES = ("background", "building", "road", "water", "barren", "forest", "agriculture")
DOMAINS = ("urban", "rural")
# from memory, unconfirmed
COUNTS = {("Train", "urban"): 1156, ("Train", "rural"): 1366, ("Val", "urban"): 677, ("Val", "rural"): 992}
TRAIN_FRACTIONS = (Fraction(4, 5), Fraction(1, 5))  # of the authors' training images: training, validation
LOG = logging.getLogger(__name__)


class LoveDA(MaskedFiles):
    """Unpacked archives, with images like `Train/Urban/images_png/1366.png` and masks in `masks_png`.

    `Rural` and `Val` are laid out alike; `Test` has no masks and is not used. Mask value 0 is no data
    (ignored), 1 is background, .., 7 is agriculture. The split: the authors' validation images are the test
    images, and a fifth of each domain's training images are for validation.

    Args:
        path: Folder that contains `Train` and `Val`, or a folder that contains it; None searches `loveda` in
            every folder of `$RAYSIM_DATA`.

    Raises:
        UserError: The dataset was not found, folders are missing, or files do not fit together.
    """

    domain_kind = "region"
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
            raise _not_found(path)
        self.name, self.classes, self.templates, self.domains = (
            self.info.name,
            CLASSES,
            self.info.templates,
            DOMAINS,
        )
        self.images, self.masks, cells = [], [], []
        self.left_out = LeftOut()
        for part, domain in COUNTS:
            images, masks = pair(
                root / part / domain.title() / "images_png",
                root / part / domain.title() / "masks_png",
                self.left_out,
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
        self._is_test = np.array([is_test for is_test, _ in cells])
        self.attributes = np.array([domain for _, domain in cells])
        table = np.full(256, FORBIDDEN, dtype=np.uint8)
        table[: len(CLASSES) + 1] = [IGNORE, *range(len(CLASSES))]
        self._count_pixels(table)

    @classmethod
    def find(cls) -> Path | None:
        """Return the folder of `Train` and `Val` under `$RAYSIM_DATA`, or None."""
        return _find(None)

    def predefined_split(self, split_seed: int) -> np.ndarray | None:
        """Return a split: test is the authors' validation, validation a fifth of the rest. [N] int8."""
        labelled = self.pixels[:, :-1].any(axis=1)
        trainable = np.flatnonzero(labelled & ~self._is_test)
        assignment = by_domain(self, split_seed, trainable, TRAIN_FRACTIONS)
        assignment[labelled & self._is_test] = TEST
        return assignment


def _not_found(path: str | None) -> UserError:
    """Return the error that says where the dataset was searched and how to get it."""
    info = LoveDA.info
    places = [Path(path)] if path else [folder / "loveda" for folder in data_roots()]
    searched = ", ".join(map(str, places)) or "RAYSIM_DATA, which is not set"
    return UserError(
        f"LoveDA ('loveda') was not found in {searched}. Expected there: {info.example}. To fix it: get "
        f"{info.archive} from {info.page} and unpack both to one folder, $RAYSIM_DATA/loveda"
    )


def _find(path: str | None) -> Path | None:
    """Return the folder that contains `Train` or `Val`, or None."""
    for folder in candidate_folders(LoveDA.info, path):
        for layout in (".", *LoveDA.info.layouts):
            if {"Train", "Val"} & set(subfolders(folder / layout)):
                return (folder / layout).resolve()
    return None
